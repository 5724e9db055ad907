"""Memory by its address: the only place in the tests that pokes there, within bounds, and only in a child.

A slip (MADV_DONTNEED a few pages too far) drops whatever lies there: relocated data of a library, or the heap
of the interpreter. The process then dies much later, or is silently wrong. So tests that need this are marked
`in_child`, and every range is checked against the mapping that it is meant to be in.
"""

from __future__ import annotations

import ctypes
import os

from hmexp import native
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import Pattern

_MADV_DONTNEED = 4


def drop(mapping: PageMapping, first_page: int, pages: int) -> None:
    """Drop pages of a mapping, as if they had never been touched."""
    address = _checked(mapping, first_page, pages)
    libc = ctypes.CDLL(None, use_errno=True)
    length = ctypes.c_size_t(pages * PAGE_BYTES)
    assert libc.madvise(ctypes.c_void_p(address), length, _MADV_DONTNEED) == 0


def spread_page(mapping: PageMapping, page: int, node: int) -> None:
    """Give one page of a mapping a policy of its own, which cuts the mapping up."""
    part = native.PageMapping.__new__(native.PageMapping)
    part._base = native.core.ffi.cast("void *", _checked(mapping, page, 1))
    part.size_bytes = PAGE_BYTES
    try:
        native.spread(part, Pattern((node,)), native.Spreading.EVENLY)
    finally:
        part._base = None  # or it would be unmapped with this object


def _checked(mapping: PageMapping, first_page: int, pages: int) -> int:
    if "HMEXP_TEST_CHILD" not in os.environ:
        raise RuntimeError("mark this test `in_child`: it pokes at memory by its address")
    held = mapping.size_bytes // PAGE_BYTES
    if first_page < 0 or pages < 1 or first_page + pages > held:
        raise ValueError(f"pages {first_page}..{first_page + pages} are not all in a mapping of {held} pages")
    return int(mapping.address + first_page * PAGE_BYTES)
