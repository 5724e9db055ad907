"""Clocks of the guest that count instructions: what asks for them, and that they do."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from hmexp.lab import LabResult
from hmexp.lab.counting import counted
from hmexp.lab.errors import LabError

#: The same work again and again, by two clocks of the kernel [ns].
LOOP = """
import time
def work(n):
    begin = time.monotonic_ns()
    for _ in range(n):
        pass
    return time.monotonic_ns() - begin
work(1000)
print(*[work(20000) for _ in range(5)], work(40000))
"""


def test_only_software_emulation_counts() -> None:
    assert counted("auto") == counted("tcg") == "tcg"
    with pytest.raises(LabError, match="accelerator is kvm"):
        counted("kvm")
    with pytest.raises(LabError, match="slow node"):
        counted("auto", slowed=True)


@pytest.mark.lab
def test_the_clocks_of_a_guest_count_instructions(guest: Callable[..., LabResult]) -> None:
    """The same loop takes as many each time, and twice as many if it is twice as long, on any host."""
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    result = guest(
        ["sh", "-c", f"cat {clock}; echo $HMEXP_LAB_INSTRUCTIONS; exec {sys.executable} -c '{LOOP}'"],
        topology="one",
        count_instructions=True,
        timeout_seconds=600,
    )
    source, told, times = result.check().text.splitlines()
    assert (source, told) == ("tsc", "1")
    assert result.counts_instructions and not result.timing_valid
    *same, twice = sorted(map(int, times.split()))
    # The guest's own interrupts are among them.
    assert max(same) < 1.1 * min(same)
    assert twice == pytest.approx(2 * same[2], rel=0.1)
