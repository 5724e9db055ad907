"""Pages found by their frames, and the same pages asked for one by one: one answer."""

from __future__ import annotations

import itertools
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hmexp import native
from hmexp.memory.placement import check_placement
from hmexp.memory.witnesses import open_frames
from hmexp.pattern import Pattern
from hmexp.system.frames import read_memory_blocks
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
PAGES = 3000
THIRD_WRONG = Pattern((NODE, NODE, NODE + 1))


@pytest.fixture
def frames() -> Iterator[native.FrameNodes]:
    with open_frames() as found:
        # CI is root and sees them; without the capability test_placement.py tests the other way.
        if found is None or not len(found.block_nodes):
            # Frames are for root; CI is root, and move_pages is tested for everybody.
            pytest.skip("this process may not see frames (CAP_SYS_ADMIN)")
        yield found


@pytest.fixture
def mapping() -> Iterator[native.PageMapping]:
    found = native.PageMapping(PAGES * native.PAGE_BYTES)
    yield found
    found.close()


def both(
    mapping: native.PageMapping, frames: native.FrameNodes, pattern: Pattern = THIRD_WRONG
) -> tuple[native.Where, native.Where]:
    pages = mapping.size_bytes // native.PAGE_BYTES
    return (
        native.find_pages(mapping, pattern, 0, pages, frames),
        native.find_pages(mapping, pattern, 0, pages, None),
    )


def answer(where: native.Where) -> tuple[object, ...]:
    return where.found, where.absent, where.misplaced, where.first_misplaced


def test_frames_and_move_pages_agree(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    native.populate(mapping)
    fast, slow = both(mapping, frames)
    assert answer(fast) == answer(slow) == ({NODE: PAGES}, {}, PAGES // 3, 2)
    assert slow.asked == PAGES
    assert fast.asked < PAGES // 10  # a page in the middle of being moved may be asked about


def test_runs_of_frames_are_those_of_pagemap(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    native.populate(mapping)
    # A page that is migrated between the two looks has another frame.
    entries = np.zeros(PAGES, dtype=np.uint64)
    for _ in range(5):
        with Path("/proc/self/pagemap").open("rb", buffering=0) as file:
            file.seek(mapping.address // native.PAGE_BYTES * 8)
            file.readinto(entries.data)
        found, asked = both(mapping, frames)
        shown = entries & np.uint64((1 << 55) - 1)
        runs = 1 + np.count_nonzero(np.diff(shown.astype(np.int64)) != 1)
        if found.frame_runs == runs:
            break
    assert (found.frames, found.frame_runs) == (PAGES, runs)
    assert (asked.frames, asked.frame_runs) == (0, 0)
    placement = check_placement(mapping, Pattern((NODE,)))
    assert placement.frame_run_pages is not None
    assert 1 <= placement.frame_run_pages <= PAGES
    assert placement.to_record().frame_run_pages == placement.frame_run_pages


def test_parts_add_up(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    native.populate(mapping)
    edges = [0, 1, 4, 1000, 1001, PAGES]
    parts = [
        native.find_pages(mapping, THIRD_WRONG, first, end - first, frames)
        for first, end in itertools.pairwise(edges)
    ]
    assert answer(native.Where.total(parts)) == answer(both(mapping, frames)[1])


@pytest.mark.parametrize("granule_pages", [1, 2, 16, 4096])
@pytest.mark.parametrize("entries", [(NODE, NODE + 1), (NODE + 1, NODE, NODE + 1, NODE + 1, NODE)])
def test_misplaced_pages_are_those_that_the_pattern_says(
    mapping: native.PageMapping, frames: native.FrameNodes, entries: tuple[int, ...], granule_pages: int
) -> None:
    native.populate(mapping)
    pattern = Pattern(entries, granule_pages * native.PAGE_BYTES)
    wrong = np.flatnonzero(pattern.page_nodes(0, PAGES, native.PAGE_BYTES) != NODE)
    for where in both(mapping, frames, pattern):
        assert where.misplaced == len(wrong)
        assert where.first_misplaced == (int(wrong[0]) if len(wrong) else None)


def test_all_nodes_of_this_machine(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    """One node on most machines; three in the lab, where this file is run, too."""
    nodes = [node.id for node in read_topology().memory_nodes]
    pattern = Pattern((*nodes, *nodes[1:]))
    for node in pattern.distinct_nodes:
        native.first_touch(mapping, pattern, node)
    fast, slow = both(mapping, frames, pattern)
    assert answer(fast) == answer(slow)
    assert fast.misplaced == 0
    assert fast.found == pattern.pages_per_node(PAGES, native.PAGE_BYTES)
    # All on one node: what the pattern has on others is wrong.
    wrong = Pattern((nodes[0],))
    fast, slow = both(mapping, frames, wrong)
    assert answer(fast) == answer(slow)
    assert fast.misplaced == PAGES - fast.found[nodes[0]]


def test_pages_that_are_nowhere(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    fast, slow = both(mapping, frames)
    assert answer(fast) == answer(slow)
    # ENOENT, or on older kernels EFAULT: there is no page table yet.
    assert (fast.found, sum(fast.absent.values()), fast.misplaced) == ({}, PAGES, 0)


def test_the_zero_page_is_on_no_node(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    assert not mapping.array()[: 100 * native.PAGE_BYTES].any()  # reading alone maps the zero page
    mapping.array()[200 * native.PAGE_BYTES] = 1
    fast, slow = both(mapping, frames)
    assert answer(fast) == answer(slow)
    assert fast.found == {NODE: 1}
    assert sum(fast.absent.values()) == PAGES - 1


def test_pages_shared_after_a_fork(mapping: native.PageMapping, frames: native.FrameNodes) -> None:
    native.populate(mapping)
    begin, end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - it only holds the pages
        os.close(end)
        os.read(begin, 1)
        os._exit(0)
    try:
        fast, slow = both(mapping, frames)
        assert answer(fast) == answer(slow) == ({NODE: PAGES}, {}, PAGES // 3, 2)
    finally:
        os.close(end)
        os.close(begin)
        os.waitpid(child, 0)


def test_pages_of_a_file(frames: native.FrameNodes) -> None:
    size = 64 * native.PAGE_BYTES
    fd = os.memfd_create("hmexp-test")
    os.ftruncate(fd, size)
    mapping = native.PageMapping(size, fd=fd)
    try:
        mapping.array()[:: 2 * native.PAGE_BYTES] = 1
        fast, slow = both(mapping, frames)
        assert answer(fast) == answer(slow)
        assert fast.found == {NODE: 32}
    finally:
        mapping.close()


def test_huge_pages(frames: native.FrameNodes) -> None:
    size = 8 << 20
    mapping = native.PageMapping(size, 2 << 20, huge=True)
    try:
        native.populate(mapping)
        fast, slow = both(mapping, frames)
        assert answer(fast) == answer(slow)
        assert fast.found == {NODE: size // native.PAGE_BYTES}
    finally:
        mapping.close()


def test_a_block_of_which_the_node_is_not_known_is_asked_about(
    mapping: native.PageMapping, frames: native.FrameNodes
) -> None:
    native.populate(mapping)
    blind = native.FrameNodes(frames.pagemap_fd, frames.block_bytes, np.full(1, -1, dtype=np.int16))
    where = native.find_pages(mapping, THIRD_WRONG, 0, PAGES, blind)
    assert where.asked == PAGES
    assert answer(where) == answer(both(mapping, frames)[1])


def test_many_pages_are_looked_at_by_threads_with_the_same_result() -> None:
    size = (1 << 16) * native.PAGE_BYTES + 5 * native.PAGE_BYTES
    mapping = native.PageMapping(size)
    try:
        native.populate(mapping)
        native.settle(mapping, Pattern((NODE,)))
        placement = check_placement(mapping, THIRD_WRONG)
        pages = size // native.PAGE_BYTES
        assert placement.found == placement.numa_maps == {NODE: pages}
        assert (placement.misplaced, placement.first_misplaced) == (pages // 3, 2)
    finally:
        mapping.close()


def make_tree(root: Path, nodes: dict[int, list[int]], size: str = "8000000") -> Path:
    (root / "devices/system/memory").mkdir(parents=True)
    (root / "devices/system/memory/block_size_bytes").write_text(size + "\n")
    for node, blocks in nodes.items():
        folder = root / f"devices/system/node/node{node}"
        folder.mkdir(parents=True)
        (folder / "memory_failure").mkdir()
        for block in blocks:
            (folder / f"memory{block}").mkdir()
    return root


def test_blocks_of_memory(tmp_path: Path) -> None:
    found = read_memory_blocks(make_tree(tmp_path, {0: [0, 1, 4], 2: [4, 6]}))
    assert found is not None
    assert found.block_bytes == 128 << 20
    # 4 is of two nodes, 2, 3 and 5 are holes.
    assert found.nodes.tolist() == [0, 0, -1, -1, -1, -1, 2]


@pytest.mark.parametrize("size", ["", "0", "banana", "3"])
def test_a_size_of_blocks_that_makes_no_sense(tmp_path: Path, size: str) -> None:
    assert read_memory_blocks(make_tree(tmp_path, {0: [0]}, size)) is None


def test_a_kernel_that_tells_no_blocks(tmp_path: Path) -> None:
    assert read_memory_blocks(tmp_path) is None
    assert read_memory_blocks(make_tree(tmp_path, {0: []})) is None


def test_this_machine_has_blocks_as_the_kernel_counts_them() -> None:
    found = read_memory_blocks()
    # A kernel without memory hotplug has none, and the proof then asks move_pages.
    if found is None:
        # A kernel without memory hot-plug; the lab has one with it.
        pytest.skip("this kernel has no memory blocks")
    assert found.block_bytes >= mmap.PAGESIZE
    assert set(np.unique(found.nodes).tolist()) - {-1} <= {node.id for node in read_topology().nodes}
