"""What placers cost and what their placement survives, measured on this machine; no time is asserted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from hmexp import native
from hmexp.errors import MeasurementError
from hmexp.measure import behaviour
from hmexp.measure.setup import mappings_needed, measure_mappings, measure_setup
from hmexp.memory.placers import PLACERS
from hmexp.pattern import Pattern
from hmexp.store.evidence import PlacementRecord
from hmexp.store.results import Behaviour, CostRecord
from hmexp.system.kernel_memory import count_mappings, read_kernel_memory
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
ALONE = Pattern((NODE,))
SIZE = 4 << 20
PAGES = SIZE // native.PAGE_BYTES


@pytest.mark.parametrize("placer", PLACERS)
def test_setup_is_measured_beside_a_plain_mapping(placer: str, need_placer: Callable[[str], None]) -> None:
    need_placer(placer)
    found = measure_setup(placer, ALONE, SIZE, 2)
    assert msgspec.json.decode(msgspec.json.encode(found), type=CostRecord) == found
    assert found.pages == PAGES
    assert len(found.placed) == len(found.plain) == len(found.ratio) == 2
    for entry in (*found.placed, *found.plain):
        assert entry.ns_per_page > 0
        assert entry.mappings == 1  # one node: equal policies are one mapping
        assert entry.page_tables_bytes_per_page >= 0
    assert found.misplaced == found.absent == (0, 0)
    assert found.proof is not None and found.proof.ok


@pytest.mark.parametrize("placer", PLACERS)
@pytest.mark.parametrize("kind", sorted(behaviour.BEHAVIOURS))
def test_behaviours(placer: str, kind: str, need_placer: Callable[[str], None]) -> None:
    need_placer(placer)
    found = behaviour.BEHAVIOURS[kind](placer, ALONE, SIZE)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Behaviour) == found
    placements = [part for part in msgspec.structs.astuple(found) if isinstance(part, PlacementRecord)]
    assert placements
    for placement in placements:
        assert placement.found == {NODE: PAGES}
        assert placement.misplaced == 0


def test_a_forked_child_has_copies_of_private_pages_and_shares_those_of_files() -> None:
    assert behaviour.after_fork("first_touch", ALONE, SIZE).shared is False
    if PLACERS["shared_policy"].unavailable() is None:
        assert behaviour.after_fork("shared_policy", ALONE, SIZE).shared is True


def test_a_child_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no page for a child")

    monkeypatch.setattr(behaviour, "_write_all", fail)
    with pytest.raises(MeasurementError, match="could not write its pages: OSError: no page for a child"):
        behaviour.after_fork("first_touch", ALONE, SIZE)


def test_page_tables_are_counted() -> None:
    size = 64 << 20
    mapping = native.PageMapping(size)
    try:
        before = read_kernel_memory()
        native.populate(mapping)
        grown = read_kernel_memory().since(before)
        assert grown.page_tables_bytes >= size // native.PAGE_BYTES * 8 * 0.9
        assert count_mappings(mapping.address, size) == 1
    finally:
        mapping.close()


def test_mappings_on_one_node_are_one() -> None:
    found = measure_mappings(ALONE, [1 << 20, 1 << 21])
    assert [entry.mappings for entry in found.regions] == [1, 1]
    assert all(entry.refused is None for entry in found.regions)


def test_a_refusal_ends_the_list() -> None:
    nowhere = Pattern((max(node.id for node in read_topology().nodes) + 900,))
    found = measure_mappings(nowhere, [1 << 20, 1 << 21])
    assert len(found.regions) == 1
    assert found.regions[0].refused is not None and found.regions[0].errno is not None


@pytest.mark.parametrize("nodes", [(0,), (0, 1), (0, 1, 1), (1, 0, 0, 1), (0, 0, 1), (0, 1, 0, 0, 1), (2, 2)])
@pytest.mark.parametrize("granule_pages", [1, 2, 8])
def test_mappings_needed_are_the_runs_that_the_core_counts(
    nodes: tuple[int, ...], granule_pages: int
) -> None:
    pattern = Pattern(nodes, granule_pages * native.PAGE_BYTES)
    for pages in range(1, 70):
        assert mappings_needed(pattern, pages * native.PAGE_BYTES) == native.count_runs(pattern, pages)
