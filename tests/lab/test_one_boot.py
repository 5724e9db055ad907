"""The module works: the one boot of the lab in `make test`. Everything else is in `make lab-test`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [pytest.mark.lab, pytest.mark.one_boot]


def test_the_module_loads_places_by_patterns_and_unloads(
    guest: Callable[..., LabResult], built: Path, tmp_path: Path
) -> None:
    """The module's own tests of its interface and of where pages are, on nodes of a real kernel."""
    result = guest(
        f'TESTS="abi layout" OUT={tmp_path} {built}/tests/run.sh',
        topology="module-tests",
        writable=[tmp_path],
        append="init_on_alloc=0 memhp_default_state=online_movable",
        timeout_seconds=300,
    )
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    for line in ("abi: passed", "layout: passed", "unload: passed", "kernel log: clean"):
        assert line in result.text
