"""Pages that come before they are touched, on real nodes: exact, few, and at the edge of what there is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult
from hmexp.lab.catalogue import upstream_version

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="no compiler"),
]

ALONE = "shared, none ahead"
#: Linux's own memory that processes share (shmem), through the same page cache.
SHMEM = "shared anonymous"
COST = re.compile(
    r"# granule (\d+ \w+), (.+), (shared|shared, none ahead|shared anonymous|private): "
    r"\d+ (\w+) a page .*, ratio ([\d.]+), ([\d.]+) pages"
)
TOUCH, SPARSE, POPULATE = "touch", "touch of one page in 16", "MADV_POPULATE_WRITE"
LARGER = ("16 KiB", "64 KiB", "1 MiB")
#: Linux 5.19 has folios of a file that are larger than a page.
LARGE_FOLIOS = (5, 19)


def run(
    guest: Callable[..., LabResult], built: Path, out: Path, *names: str, append: str = "", **more: object
) -> LabResult:
    """The named tests of the module in a guest, each of which has to pass."""
    result = guest(
        f"TESTS='{' '.join(names)}' OUT={out} {built}/tests/run.sh",
        topology="module-tests",
        writable=[out],
        append=append or "init_on_alloc=0",
        timeout_seconds=1800,
        **more,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    for name in names:
        assert f"{name}: passed" in result.text
    return result


def test_pages_ahead_are_exact_and_few(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """A sequence, random touches, the switches, threads at the last pages of a node; msync and writev."""
    run(guest, built, tmp_path, "abi", "ahead", "io")
    for name in ("ahead", "io"):
        print((tmp_path / f"{name}.tap").read_text())


def test_pages_ahead_are_never_forced(guest: Callable[..., LabResult], built: Path, tmp_path: Path) -> None:
    """A full node, a cgroup at its limit, a cpuset without the node: as if there were no pages ahead."""
    run(guest, built, tmp_path, "limits")


@pytest.mark.parametrize("init_on_alloc", [0, 1])
def test_what_a_page_costs_in_instructions(
    guest: Callable[..., LabResult], built: Path, tmp_path: Path, init_on_alloc: int
) -> None:
    """Against anonymous memory. Counts, not times: the same on any host, so they can be held to a limit.

    Private memory is printed and held to none: the kernel clears its page, and the module cannot prevent it.
    """
    result = run(
        guest, built, tmp_path, "populate",
        append=f"init_on_alloc={init_on_alloc}", count_instructions=True,
    )  # fmt: skip
    assert result.counts_instructions
    ratio: dict[tuple[str, str, str], float] = {}
    pages: dict[tuple[str, str, str], float] = {}
    for granule, way, kind, unit, against, brought in COST.findall(result.text):
        assert unit == "instructions"
        ratio[granule, way, kind] = float(against)
        pages[granule, way, kind] = float(brought)
    large = upstream_version(result.kernel) >= LARGE_FOLIOS
    limits = {("4 KiB", TOUCH): 0.90}
    if ("4 KiB", POPULATE, "shared") in ratio:  # Linux 5.14 and later
        limits["4 KiB", POPULATE] = 0.95
    if large:
        # No more than THP, though Linux 6.1 counts each of 512 pages as it maps a huge page of a file. Where
        # memset() stores eight bytes an instruction (7.3), it is far less, which says nothing of time.
        limits |= {(granule, TOUCH): 0.80 for granule in LARGER} | {("2 MiB", TOUCH): 1.00}
    for (granule, way), limit in limits.items():
        assert ratio[granule, way, "shared"] <= limit, (granule, way, ratio)
        assert (granule, way, "private") in ratio
    # One page in 16: that there could be pages ahead costs little, and brings few.
    for granule in ("4 KiB", *LARGER):
        assert ratio[granule, SPARSE, "shared"] <= 1.10 * ratio[granule, SPARSE, ALONE]
        # Anonymous memory has no page cache to be entered in, which alone costs 1.2 times as much.
        assert ratio[granule, SPARSE, "shared"] <= 1.02 * ratio[granule, SPARSE, SHMEM]
        assert pages[granule, SPARSE, "shared"] <= 1.10
