"""The kernel module on a real kernel with real nodes: its own suite, and hmexp on top of it."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="no compiler"),
]

ROOT = Path(__file__).resolve().parents[2]
#: The original design, with the test program that has to run unmodified. Not part of the checkout.
SEED = next(iter(sorted((ROOT.parent / "shared" / "seed").glob("*.txt"))), None)
STRESS_SECONDS = os.environ.get("HMEXP_LAB_STRESS", "20")
#: All but what a page costs: times of an emulated processor say nothing; `test_ahead.py` counts instructions.
SUITE = (
    "abi", "programs", "layout", "ahead", "sharing", "io", "huge", "limits", "quota", "movement", "defects",
    "seed.sh", "stress", "fuzz",
)  # fmt: skip
PYTHON = shlex.quote(sys.executable)
HMEXP = f"{PYTHON} -m hmexp"


def test_the_modules_own_suite(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """Every errno, sharing, I/O, limits, movement, the seed's defects and program, stress; a clean log."""
    seed = f"HM_SEED={SEED}" if SEED else ""
    result = guest(
        f"TESTS='{' '.join(SUITE)}' {seed} STRESS={STRESS_SECONDS} OUT={tmp_path} {built}/tests/run.sh",
        topology="module-tests",
        writable=[tmp_path],
        append="init_on_alloc=0 memhp_default_state=online_movable",
        timeout_seconds=1500 + 2 * int(STRESS_SECONDS),
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    for line in ("unload: passed", "kernel log: clean"):
        assert line in result.text
    for name in SUITE:
        assert f"{name}: passed" in result.text
    if SEED:
        assert "N0=87382 N2=174762" in result.text


PLACE = """
import hmexp
from hmexp.memory.placers import Hybridmem
for size, pattern in (("256MiB", "0,2,2"), (4096 * 1001, "2,0,0,1")):
    with hmexp.allocate(size, pattern, placer="hybridmem") as region:
        placement = region.placement().require()
        assert placement.placer_count == placement.found == placement.numa_maps == placement.expected
        print(placement.summary)
try:
    hmexp.allocate("600MiB", "1", placer="hybridmem", topology=None)
except hmexp.HmexpError as error:
    print(type(error).__name__)
"""


def test_hmexp_places_proves_and_sweeps_with_it(
    guest: Callable[..., LabResult], built: Path, tmp_path: Path
) -> None:
    script = tmp_path / "place.py"
    script.write_text(PLACE)
    results = tmp_path / "results"
    results.mkdir()
    result = guest(
        f"insmod {built}/hybridmem.ko && {PYTHON} {script} && "
        f"{HMEXP} sweep --placers hybridmem first_touch --patterns 0,2,2 --operations read --size 16MiB "
        f"--launches 1 --precision 0 --samples 3 --sample-seconds 0.01 "
        f"--emulate none --results {results} && rmmod hybridmem",
        topology="module-tests",
        writable=[results],
        directory=ROOT,
        timeout_seconds=600,
    )
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert "all 65536 pages are in place (21846 on node 0, 43690 on node 2)" in result.text
    assert "CapacityError" in result.text
    run = next(path for path in results.iterdir() if path.name.startswith("sweep-"))
    with (run / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["placer"] for row in rows} == {"hybridmem", "first_touch"}
    for row in rows:
        assert row["status"] == "ok" and row["proof_ok"] == "True" and row["emulated"] == "False"
        added = row["added_baseline"] == "True"
        assert row["pages_found"] == ("0:4096" if added else "0:1366 2:2730")
        assert row["timing_valid"] == str(result.timing_valid)
    if not result.timing_valid:
        assert "functional only" in (run / "report.html").read_text().lower()


def test_a_strict_region_on_a_full_node_is_an_error_with_its_reason(
    guest: Callable[..., LabResult], built: Path, tmp_path: Path
) -> None:
    script = tmp_path / "full.py"
    script.write_text(
        "import hmexp\n"
        "from hmexp.memory import region\n"
        "from hmexp.memory.placers import Hybridmem\n"
        "region.check_capacity = lambda *a, **k: None  # as if the node had filled up since\n"
        "try:\n"
        "    hmexp.allocate('512MiB', '1', placer='hybridmem')\n"
        "except hmexp.HmexpError as error:\n"
        "    print('strict:', type(error).__name__, error)\n"
        "with hmexp.allocate('400MiB', '1', placer=Hybridmem(strict=False)) as r:\n"
        "    placement = r.placement()\n"
        "    print('fallback:', placement.ok, r.setup.details['fallbacks'] == placement.misplaced > 0)\n"
    )
    result = guest(
        f"insmod {built}/hybridmem.ko && {PYTHON} {script}; dmesg | grep -c 'Out of memory'",
        topology="module-tests",
        directory=ROOT,
        timeout_seconds=300,
    )
    lines = result.text.splitlines()
    assert lines[0].startswith("strict: CapacityError the kernel module refused"), result.text + str(
        result.stderr
    )
    assert "fallback: False True" in result.text
    assert lines[-1] == "0"
