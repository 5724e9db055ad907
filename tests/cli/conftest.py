"""Commands in this process: quick, and with what they print."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from hmexp.measure import host
from hmexp.measure.host import measure_quantity
from hmexp.measure.sampling import Sampling
from hmexp.memory.region import Region, allocate
from hmexp.memory.speed import Quantity
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

#: Runs a command with these words; what it returns has its status and what it printed.
Run = Callable[..., Any]


@pytest.fixture
def run(run_hmexp: Run) -> Run:
    """See `run_hmexp`, for tests that run nothing else."""
    return run_hmexp


@pytest.fixture
def host_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure this host once, of all commands of this process that scale an emulated node to it."""
    monkeypatch.setattr(host, "measure_quantity", measured_once)


@cache
def speed_of_host(quantity: Quantity, threads: int) -> float:
    with allocate("128MiB", str(near_dram(read_topology())), calibrating=True) as region:
        return measure_quantity(region, quantity, threads, host.SAMPLING)


def measured_once(_region: Region, quantity: Quantity, threads: int, _sampling: Sampling) -> float:
    return speed_of_host(quantity, threads)
