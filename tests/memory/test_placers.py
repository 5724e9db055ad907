"""What placers promise, refuse and say. With several nodes: tests/lab/test_placers.py."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import hmexp
from hmexp import native
from hmexp.errors import (
    MappingLimitError,
    NativeError,
    ParameterError,
    PlacementError,
    PlacerUnavailableError,
    PlacerUnsuitableError,
)
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placement import check_placement
from hmexp.memory.placers import PLACERS, FirstTouch, LazyPlacer, Obstacle, Userfaultfd, Weighted
from hmexp.memory.placers.mbind import MAX_MAP_COUNT
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern
from hmexp.system.numa_maps import mappings_within, read_numa_maps
from hmexp.system.settings import HERE
from hmexp.system.sysfs import read_text
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
ABSENT = max(node.id for node in read_topology().nodes) + 1
LAZY = [name for name, placer in PLACERS.items() if hasattr(placer, "bind") and placer.lazy]
HOST = NodeSpeed(10.0, 8.0, 100.0)
EMULATION = Emulation.scale_to_host(EmulationRequest.parse(f"{ABSENT}=optane-dcpmm"), HOST, [NODE], NODE)
PAGES = 512
SIZE = PAGES * PAGE_BYTES


def test_the_eight_placers_are_there_and_say_what_they_are() -> None:
    assert set(PLACERS) == {
        "first_touch", "move_pages", "hybridmem", "mbind", "shared_policy", "userfaultfd", "interleave",
        "weighted",
    }  # fmt: skip
    for name, placer in PLACERS.items():
        assert placer.name == name
        assert placer.needs
        smallest, largest = placer.granules
        assert PAGE_BYTES <= smallest <= largest <= 1 << 30
    assert [name for name, placer in PLACERS.items() if not placer.exact_order] == ["interleave", "weighted"]


def test_a_placer_that_is_not_here_says_why_and_what_to_do() -> None:
    class Away(FirstTouch):
        name = "away"

        def unavailable(self) -> Obstacle:
            return Obstacle("its hardware is on order", "wait for it")

    with pytest.raises(PlacerUnavailableError, match="away cannot work here: its hardware") as caught:
        hmexp.allocate(SIZE, str(NODE), Away())
    assert caught.value.remedy == "wait for it"


@pytest.mark.parametrize("name", PLACERS)
def test_each_places_here_or_says_why_not(name: str, machine_weights: Callable[[], None]) -> None:
    machine_weights()
    if PLACERS[name].unavailable() is None:
        with hmexp.allocate(SIZE, str(NODE), name) as region:
            assert region.placement().ok
        return
    with pytest.raises(PlacerUnavailableError, match=f"placer {name} cannot work here") as caught:
        hmexp.allocate(SIZE, str(NODE), name)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("placer", "pattern", "granule", "huge", "says"),
    [
        ("interleave", (NODE, ABSENT, ABSENT), PAGE_BYTES, False, "same share"),
        ("interleave", (NODE, ABSENT), 65536, False, "cannot do granules of 64KiB"),
        ("interleave", (NODE, ABSENT), PAGE_BYTES, True, "cannot do granules of one page"),
        ("weighted", (NODE, ABSENT), HUGE_PAGE_BYTES, False, "cannot do granules of 2MiB"),
        ("weighted", (NODE, *(ABSENT,) * 256), PAGE_BYTES, False, "weights of 1 to 255"),
        ("userfaultfd", (NODE,), PAGE_BYTES, True, "page by page"),
        ("first_touch", (NODE, ABSENT), 65536, True, "cannot be of huge pages"),
        ("hybridmem", (NODE, ABSENT), 65536, True, "huge pages for granules of 2MiB"),
    ],
)
def test_what_a_placer_cannot_do_it_refuses(
    placer: str, pattern: tuple[int, ...], granule: int, huge: bool, says: str
) -> None:
    obstacle = PLACERS[placer].unsuitable(Pattern(pattern, granule), huge)
    assert obstacle is not None and says in obstacle.reason and obstacle.remedy
    with pytest.raises(PlacerUnsuitableError, match=says):
        PLACERS[placer].map(SIZE, PAGE_BYTES, Pattern(pattern, granule), huge)


def test_unequal_shares_are_refused_for_an_emulated_node_as_well() -> None:
    """All pages are on one real node, and any placer could put them there; but not in that order."""
    with pytest.raises(PlacerUnsuitableError, match="same share"):
        hmexp.allocate(SIZE, Pattern((NODE, ABSENT, ABSENT), PAGE_BYTES), "interleave", emulation=EMULATION)
    with hmexp.allocate(
        SIZE, Pattern((NODE, ABSENT), PAGE_BYTES), "interleave", emulation=EMULATION
    ) as region:
        assert region.placement().require().found == {NODE: PAGES}


def test_a_node_s_own_latency_is_refused_where_only_a_ratio_is_known() -> None:
    with hmexp.allocate(SIZE, str(NODE), "interleave") as region:
        assert not region.knows_order
        with pytest.raises(ParameterError, match="interleave promises a ratio only"):
            hmexp.measure_latency(region, ring=hmexp.RingPlan(node=NODE), sampling=hmexp.Sampling(1, 0.001))


def test_mbind_counts_its_mappings_before_it_starts() -> None:
    limit = int(MAX_MAP_COUNT.read_text())
    with pytest.raises(MappingLimitError, match=f"needs {limit} mappings .* may have {limit} ") as caught:
        PLACERS["mbind"].map(limit * PAGE_BYTES, PAGE_BYTES, Pattern((NODE, ABSENT), PAGE_BYTES))
    assert "granule" in (caught.value.remedy or "") and "shared_policy" in (caught.value.remedy or "")
    assert native.count_runs(Pattern((0, 2, 2), PAGE_BYTES), 7) == 5
    assert native.count_runs(Pattern((0, 2, 2, 0), 4 * PAGE_BYTES), 16 * 3 + 1) == 7
    assert native.count_runs(Pattern((0,), PAGE_BYTES), 1000) == 1


@pytest.mark.in_child
def test_numa_maps_is_summed_over_a_region_that_was_cut_up(raw_memory: ModuleType) -> None:
    with hmexp.allocate(SIZE, str(NODE)) as region:
        for first in range(0, PAGES, 2):  # each other page with a policy of another kind
            raw_memory.spread_page(region.mapping, first, NODE)
        assert len(mappings_within(region.mapping.address, SIZE, read_numa_maps())) == PAGES
        assert region.placement().require().numa_maps == {NODE: PAGES}


@pytest.mark.parametrize("name", LAZY)
def test_two_threads_touch_what_was_bound(name: str, need_placer: Callable[[str], None]) -> None:
    need_placer(name)
    placer: LazyPlacer = PLACERS[name]  # type: ignore[assignment]
    pattern = Pattern((NODE,), PAGE_BYTES)
    mapping = placer.map(SIZE, PAGE_BYTES, pattern)
    try:
        placer.bind(mapping, pattern)
        # Both touch every page.
        threads = [threading.Thread(target=native.touch, args=(mapping,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_placement(mapping, pattern, exact_order=placer.exact_order).require()
    finally:
        mapping.close()


@pytest.mark.in_child
def test_the_fault_handler_lives_as_long_as_the_region(
    raw_memory: ModuleType, need_placer: Callable[[str], None]
) -> None:
    need_placer("userfaultfd")
    with hmexp.allocate(SIZE, Pattern((NODE,), 65536), "userfaultfd") as region:
        assert region.setup.details["faults"] == SIZE // 65536
        raw_memory.drop(region.mapping, 16, 32)
        assert not region.placement().ok
        region.mapping.array()[16 * PAGE_BYTES] = 7  # brings its granule
        assert sum(region.placement().absent.values()) == 16
        assert int(np.count_nonzero(region.mapping.array())) == 1
        assert region.placement().require().found == {NODE: PAGES}
        assert len(mappings_within(region.mapping.address, SIZE, read_numa_maps())) == 1
    with pytest.raises(NativeError, match="closed"):
        native.touch(region.mapping)


def test_a_fault_that_cannot_be_resolved_is_an_error_and_nobody_waits_for_ever(
    need_placer: Callable[[str], None],
) -> None:
    need_placer("userfaultfd")
    pattern = Pattern((1000,), PAGE_BYTES)
    placer = Userfaultfd()
    mapping = placer.map(SIZE, PAGE_BYTES, pattern)
    with pytest.raises(NativeError, match="EINVAL"):
        placer.place(mapping, pattern)
    with pytest.raises(NativeError, match="EINVAL"):
        mapping.close()
    mapping.close()


@pytest.mark.in_child
def test_pages_that_cannot_be_moved_in_time_are_counted(raw_memory: ModuleType) -> None:
    mapping = PageMapping(SIZE)
    try:
        native.populate(mapping)
        pattern = Pattern((NODE,), PAGE_BYTES)
        assert native.move_pages(mapping, pattern, 5, 60.0) == (PAGES, {})
        assert native.move_pages(mapping, pattern, 5, 0.0) == (PAGES, {"ETIME": PAGES})
        assert native.move_pages(mapping, pattern, 5, 60.0, 16) == (PAGES // 16, {})
        raw_memory.drop(mapping, 0, 3)
        assert native.move_pages(mapping, pattern, 0) == (PAGES, {"ENOENT": 3})
        with pytest.raises(NativeError) as caught:
            native.move_pages(mapping, pattern, 0, stride_pages=0)
        assert caught.value.errno == errno.EINVAL
    finally:
        mapping.close()


@pytest.mark.parametrize(
    ("asked", "misplaced"),
    [
        ((NODE,), 0),
        ((NODE,) * 7, 0),
        # All are on NODE, whose share is a half and one page more or less.
        ((NODE, ABSENT), PAGES // 2 - 1),
        # Fewer pages than one period: a single one is all that NODE may have.
        ((ABSENT,) * (PAGES + 88) + (NODE,), PAGES - 1),
    ],
)
def test_a_ratio_is_held_to_within_one_period(asked: tuple[int, ...], misplaced: int) -> None:
    with hmexp.allocate(SIZE, str(NODE)) as region:
        placement = check_placement(region.mapping, Pattern(asked, PAGE_BYTES), exact_order=False)
    assert placement.first_misplaced is None
    assert placement.misplaced == misplaced
    if placement.misplaced:
        with pytest.raises(PlacementError, match="are not in the ratio"):
            placement.require()


def test_weights_are_as_before_after_a_region_and_after_a_failure(need_placer: Callable[[str], None]) -> None:
    need_placer("weighted")

    def weights() -> Mapping[str, str | None]:
        return {path.name: read_text(path) for path in HERE.weights_directory.iterdir()}

    before = weights()
    with hmexp.allocate(SIZE, str(NODE), "weighted") as region:
        assert weights() == before
        assert f"weighted_interleave.node{NODE}" in str(region.setup.settings)
    mapping = PageMapping(SIZE)
    mapping.close()
    with pytest.raises(NativeError, match="closed"):
        Weighted().place(mapping, Pattern((NODE,), PAGE_BYTES))
    assert weights() == before


@pytest.mark.parametrize("name", ["first_touch", "mbind", "move_pages", "interleave", "weighted"])
def test_huge_pages_are_had_where_they_are_asked_for(name: str, need_placer: Callable[[str], None]) -> None:
    # `weighted` needs Linux 6.9, and huge pages a kernel that gives them: both are tested in the lab, too.
    need_placer(name)
    obstacle = PLACERS[name].unsuitable(Pattern((NODE,), HUGE_PAGE_BYTES), True)
    if obstacle is not None:
        # A kernel without transparent huge pages; the lab test asserts them.
        pytest.skip(f"no huge pages here: {obstacle.reason}")
    with hmexp.allocate(4 * HUGE_PAGE_BYTES, Pattern((NODE,), HUGE_PAGE_BYTES), name, huge=True) as region:
        region.placement().require()
        assert huge_bytes(region.mapping.address) in range(HUGE_PAGE_BYTES, 4 * HUGE_PAGE_BYTES + 1)
    with hmexp.allocate(4 * HUGE_PAGE_BYTES, Pattern((NODE,), HUGE_PAGE_BYTES), name) as region:
        assert huge_bytes(region.mapping.address) == 0


def huge_bytes(address: int) -> int:
    """How much of a mapping is of transparent huge pages, by smaps [bytes]."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{address:x}-"))
    line = next(line for line in lines[start:] if line.startswith("AnonHugePages:"))
    return int(line.split()[1]) * 1024
