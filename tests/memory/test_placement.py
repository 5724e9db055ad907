"""Regions on real pages, and the proof of where they are."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType

import pytest

import hmexp
from hmexp import native
from hmexp.errors import (
    CapacityError,
    HmexpError,
    NativeError,
    ParameterError,
    PatternError,
    PlacementError,
    TopologyError,
    UnitError,
)
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.memory.placement import Placement, check_placement
from hmexp.memory.placers import PLACERS
from hmexp.pattern import Pattern
from hmexp.system.numa_maps import mapping_at, read_numa_maps
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
SIZE = 8 << 20
PAGES = SIZE // native.PAGE_BYTES
HOST = NodeSpeed(10.0, 8.0, 100.0)
EMULATION = Emulation.scale_to_host(EmulationRequest.parse("9=optane-dcpmm"), HOST, [NODE], NODE)


@pytest.mark.parametrize("placer", PLACERS)
def test_every_page_is_placed_and_both_witnesses_agree(
    placer: str, need_placer: Callable[[str], None]
) -> None:
    need_placer(placer)
    with hmexp.allocate(SIZE + 1, str(NODE), placer) as region:
        placement = region.placement()
    assert placement.ok
    assert placement.pages == PAGES + 1
    assert placement.expected == placement.found == placement.numa_maps == {NODE: PAGES + 1}
    assert placement.require() is placement
    exact = PLACERS[placer].exact_order
    assert placement.exact_order is exact
    assert ("all" if exact else "within one period") in placement.summary


# `interleave` has equal shares only, and 1:2 is not: test_placers.py has its refusal.
@pytest.mark.parametrize("placer", [name for name in PLACERS if name != "interleave"])
def test_an_emulated_node_is_proven_on_its_backing(placer: str, need_placer: Callable[[str], None]) -> None:
    need_placer(placer)
    exact = PLACERS[placer].exact_order
    pattern = Pattern((NODE, 9, 9), 65536 if exact else native.PAGE_BYTES)
    with hmexp.allocate(SIZE, pattern, placer, emulation=EMULATION) as region:
        placement = region.placement().require()
        assert region.pages_per_node() == pattern.pages_per_node(PAGES, native.PAGE_BYTES)
        assert "EMULATED" in repr(region)
    assert placement.found == {NODE: PAGES}
    asked, found = placement.strip
    assert asked[:3] == (NODE, 9, 9)
    assert set(found) == {NODE}


def test_a_page_on_a_wrong_node_is_misplaced() -> None:
    """The check against another pattern than the one that placed the pages: every third page is wrong."""
    with hmexp.allocate(SIZE, str(NODE)) as region:
        placement = check_placement(region.mapping, Pattern((NODE, NODE, NODE + 1)))
    assert not placement.ok
    assert placement.misplaced == PAGES // 3
    assert placement.first_misplaced == 2
    assert placement.found == {NODE: PAGES}
    with pytest.raises(PlacementError, match=f"{PAGES // 3} of {PAGES} pages are on a wrong node") as caught:
        placement.require()
    assert caught.value.placement is not None
    assert caught.value.placement.misplaced == PAGES // 3


@pytest.mark.in_child
def test_pages_dropped_behind_its_back_are_noticed(raw_memory: ModuleType) -> None:
    with hmexp.allocate(SIZE, str(NODE)) as region:
        raw_memory.drop(region.mapping, 16, 5)
        placement = region.placement()
        assert not placement.ok
        assert sum(placement.absent.values()) == 5
        assert placement.found == {NODE: PAGES - 5} == placement.numa_maps
        assert placement.strip[1][16:21] == (-1,) * 5
        with pytest.raises(PlacementError, match=r"5 of .* pages are on no node"):
            hmexp.measure_bandwidth(region, "read", sampling=hmexp.Sampling(1, 0.001))


@pytest.mark.parametrize("placer", PLACERS)
def test_numa_balancing_is_kept_away(placer: str, need_placer: Callable[[str], None]) -> None:
    """The kernel scans only mappings under the default policy; numa_maps names the policy."""
    need_placer(placer)
    with hmexp.allocate(SIZE, str(NODE), placer) as region:
        assert mapping_at(region.mapping.address, read_numa_maps()).policy != "default"
        assert region.placement().ok


def test_witnesses_that_disagree_are_no_proof() -> None:
    placement = Placement(10, {0: 10}, {0: 10}, {0: 9}, 0, None, {}, ((0,), (0,)))
    assert not placement.ok
    assert "numa_maps counts N0=9" in placement.summary


def test_a_region_is_a_line_of_its_own_in_numa_maps() -> None:
    with hmexp.allocate(SIZE, str(NODE)) as one, hmexp.allocate(SIZE, str(NODE)) as two:
        maps = read_numa_maps()
        for region in (one, two):
            assert mapping_at(region.mapping.address, maps).pages == {NODE: PAGES}


def test_the_policy_of_the_thread_is_as_before() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libnuma = ctypes.CDLL("libnuma.so.1", use_errno=True)

    def policy() -> int:
        mode = ctypes.c_int(-1)
        assert libnuma.get_mempolicy(ctypes.byref(mode), None, 0, None, 0) == 0
        return mode.value

    mask = ctypes.c_ulong(1 << NODE)
    assert libc is not None
    assert libnuma.set_mempolicy(1, ctypes.byref(mask), 65) == 0  # MPOL_PREFERRED
    try:
        with hmexp.allocate(SIZE, str(NODE)):
            assert policy() == 1
    finally:
        assert libnuma.set_mempolicy(0, None, 0) == 0
    assert policy() == 0


def test_a_node_that_does_not_exist_is_refused_by_the_kernel_too() -> None:
    mapping = native.PageMapping(SIZE)
    try:
        with pytest.raises(NativeError, match="EINVAL"):
            native.first_touch(mapping, Pattern((1000,)), 1000)
        requested, failures = native.move_pages(mapping, Pattern((NODE,)), 0)
        assert requested == PAGES
        assert sum(failures.values()) == PAGES  # untouched pages cannot be moved
    finally:
        mapping.close()


@pytest.mark.parametrize(
    ("size", "pattern", "placer", "error", "says"),
    [
        (0, "0", "first_touch", UnitError, "not positive"),
        ("3 bananas", "0", "first_touch", UnitError, "bananas"),
        ("1000TiB", str(NODE), "first_touch", CapacityError, "needs 1000TiB on node"),
        (1 << 70, str(NODE), "first_touch", UnitError, "any machine"),
        ("1MiB", "", "first_touch", PatternError, "empty"),
        ("1MiB", "999", "first_touch", TopologyError, "node 999 does not exist"),
        ("1MiB", str(NODE), "by_hand", ParameterError, "first_touch"),
    ],
)
def test_bad_requests(size: int | str, pattern: str, placer: str, error: type[HmexpError], says: str) -> None:
    with pytest.raises(error, match=says):
        hmexp.allocate(size, pattern, placer)


def test_html_of_a_placement_shows_every_node() -> None:
    with hmexp.allocate(SIZE, Pattern((NODE, 9)), emulation=EMULATION) as region:
        html = region.placement()._repr_html_()
    assert str(PAGES) in html and "numa_maps" in html
