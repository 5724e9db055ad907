"""Sizes of pages that a region may ask for, and the refusal of those that it cannot have."""

from __future__ import annotations

from typing import Final

from hmexp.errors import ParameterError
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.units import MIB, format_size, parse_size

HUGE_PAGE_BYTES: Final = 2 * MIB
#: Part of a region that must be of huge pages to be called so.
HUGE_SHARE: Final = 0.99


def read_page_size(text: str) -> int:
    """A granule, or a size of pages: ``page`` is the machine's own page, others are sizes [bytes].

    Raises
    ------
    ParameterError
        If it is neither.
    """
    return PAGE_BYTES if text == "page" else parse_size(text)


def find_page_bytes(text: str) -> int:
    """The size of a page by its name: ``page`` (the machine's own), ``4KiB``, ``2MiB`` [bytes].

    Raises
    ------
    ParameterError
        If there are no such pages here, with those that there are.
    """
    size = read_page_size(text)
    if size not in (PAGE_BYTES, HUGE_PAGE_BYTES):
        raise ParameterError(
            f"this machine has no pages of {format_size(size)}",
            f"use {format_size(PAGE_BYTES)} or {format_size(HUGE_PAGE_BYTES)}",
        )
    return size


def require_page_size(pattern: Pattern, page_bytes: int) -> bool:
    """Whether huge pages are to be asked for; refuses them where a page would be on two nodes.

    Raises
    ------
    ParameterError
        If the granule is smaller than the page, and the pattern has several nodes: emulated ones count,
        for a real node in their place could not be had so.
    """
    if page_bytes <= PAGE_BYTES:
        return False
    if len(pattern.distinct_nodes) > 1 and pattern.granule_bytes % page_bytes:
        raise ParameterError(
            f"a pattern with granules of {format_size(pattern.granule_bytes)} cannot be of pages of "
            f"{format_size(page_bytes)}: a page is on one node",
            f"use granules of {format_size(page_bytes)} or more, or pages of {format_size(PAGE_BYTES)}",
        )
    return True
