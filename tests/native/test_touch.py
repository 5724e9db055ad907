"""The first touch, by one thread and by several: exactly the pages of a node, each once."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp import native
from hmexp.errors import NativeError
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

NODE = near_dram(read_topology())
#: A node that need not be there: none of its pages is touched here.
OTHER = NODE + 7


@given(
    entries=st.lists(st.sampled_from((NODE, OTHER)), min_size=1, max_size=9).filter(
        lambda all_: NODE in all_
    ),
    granule_pages=st.sampled_from((1, 2, 4, 16, 256, 512, 1024, 2048)),
    pages=st.integers(1, 3000),
    threads=st.integers(0, 4),
)
def test_the_pages_of_a_node_and_no_others(
    entries: list[int], granule_pages: int, pages: int, threads: int
) -> None:
    pattern = Pattern(tuple(entries), granule_pages * PAGE_BYTES)
    cpus = [min(os.sched_getaffinity(0))] * threads
    mapping = PageMapping(pages * PAGE_BYTES)
    try:
        native.first_touch(mapping, pattern, NODE, cpus)
        expected = pattern.page_nodes(0, pages, PAGE_BYTES)
        there = native.query_nodes(mapping, 0, pages) >= 0
        assert np.array_equal(there, expected == NODE)
    finally:
        mapping.close()


def test_a_node_that_is_not_there_is_an_error_of_any_number_of_threads() -> None:
    mapping = PageMapping(16 << 20)
    try:
        for threads in (0, 2):
            with pytest.raises(NativeError, match="EINVAL"):
                native.first_touch(mapping, Pattern((1000,)), 1000, cpus=[0] * threads)
    finally:
        mapping.close()


def test_one_thread_touches_where_there_are_no_more_to_be_had() -> None:
    """The kernel refuses threads beyond RLIMIT_AS: a stack of each is address space."""
    script = f"""
import resource
from hmexp import native
from hmexp.pattern import Pattern
mapping = native.PageMapping(16 << 20)
used = int(open("/proc/self/statm").read().split()[0]) * {resource.getpagesize()}
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 20), used + (2 << 20)))
native.first_touch(mapping, Pattern(({NODE},)), {NODE}, cpus=[{min(os.sched_getaffinity(0))}] * 4)
print((native.query_nodes(mapping, 0, 4096) == {NODE}).all())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n", done.stderr
