"""Memory policies of mappings and files, and the thread that places pages as they are touched."""

from __future__ import annotations

import os
from enum import Enum
from typing import Any

from hmexp.native.core import PAGE_BYTES, check, ffi, lib
from hmexp.native.pages import PageMapping, make_layout
from hmexp.pattern import Pattern


class Spreading(Enum):
    """How a mapping's own policy takes its new pages from the nodes of a pattern."""

    ANY = "bind"
    EVENLY = "interleave"
    WEIGHTED = "weighted interleave"

    @property
    def code(self) -> int:
        """The core's number of it."""
        return int(getattr(lib, f"HM_SPREAD_{self.name}"))


def spread(mapping: PageMapping, pattern: Pattern, how: Spreading) -> None:
    """Give a mapping a policy over the nodes of a pattern; no page that is there is moved.

    Raises
    ------
    NativeError
        With EINVAL where the kernel does not know the policy.
    """
    layout, _held = make_layout(pattern, mapping.size_bytes // PAGE_BYTES)
    check(lib.hm_spread(mapping.base, mapping.size_bytes, layout, how.code), f"mbind ({how.value})", "mbind")


def settle(mapping: PageMapping, pattern: Pattern) -> None:
    """Keep automatic NUMA balancing from moving the pages, by a policy of the mapping's own.

    Balancing (which moves pages to the node of the CPU that reads them) scans only mappings without
    one. The policy takes any node of the pattern for a new page.
    """
    spread(mapping, pattern, Spreading.ANY)


def count_runs(pattern: Pattern, pages: int) -> int:
    """Into how many parts, each on one node, a pattern cuts a region of `pages` pages."""
    layout, _held = make_layout(pattern, pages)
    return int(lib.hm_count_runs(layout))


def bind_runs(mapping: PageMapping, pattern: Pattern) -> None:
    """Bind each run of pages to its node. Each becomes an entry in the kernel's list of mappings.

    Raises
    ------
    NativeError
        With ENOMEM where the list is full (``vm.max_map_count``).
    """
    layout, _held = make_layout(pattern, mapping.size_bytes // PAGE_BYTES)
    check(lib.hm_bind_runs(mapping.base, layout), "mbind of a run of pages", "mbind")


def make_memory_file(size_bytes: int) -> int:
    """Make a file in memory, all holes, and return its descriptor."""
    fd = os.memfd_create("hmexp-region", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size_bytes)
    except OSError:
        os.close(fd)
        raise
    return fd


def bind_file(fd: int, pages: int, pattern: Pattern, window_pages: int) -> None:
    """Bind each run of pages of a file in memory to its node, through a window that moves along it."""
    layout, _held = make_layout(pattern, pages)
    check(lib.hm_bind_file(fd, layout, window_pages), "mbind of a run of a file's pages", "mbind")


def touch(mapping: PageMapping, first_page: int = 0, pages: int | None = None) -> None:
    """Store to pages one by one, as a program does."""
    count = mapping.size_bytes // PAGE_BYTES - first_page if pages is None else pages
    lib.hm_touch(mapping.base, first_page, count, PAGE_BYTES)


def open_userfaultfd() -> int:
    """Open a descriptor for the handling of page faults.

    Raises
    ------
    NativeError
        With EPERM where only privileged programs may, ENOSYS where the kernel cannot.
    """
    fd = ffi.new("int *")
    check(lib.hm_userfaultfd_open(fd), "userfaultfd", "userfaultfd")
    return int(fd[0])


class FaultHandler:
    """A thread that puts each page of a mapping on its node when it is first touched.

    It ends with `close`, or with the mapping that it is kept by. A forked child has no handler.

    Raises
    ------
    NativeError
        If a system call is refused.
    """

    def __init__(self, mapping: PageMapping, pattern: Pattern) -> None:
        self._handler: Any = None
        layout, _held = make_layout(pattern, mapping.size_bytes // PAGE_BYTES)
        out = ffi.new("struct hm_handler **")
        check(
            lib.hm_handler_start(mapping.base, layout, out),
            "handling page faults by userfaultfd",
            "userfaultfd",
        )
        self._handler = out[0]

    def settle(self) -> None:
        """What `settle` does, once all pages are there; later faults are still put on their nodes.

        Raises
        ------
        NativeError
            Also if a fault could not be resolved.
        """
        check(lib.hm_handler_settle(self._handler), "resolving page faults by userfaultfd", "userfaultfd")

    @property
    def faults(self) -> int:
        """Faults that were resolved."""
        return int(lib.hm_handler_faults(self._handler))

    def close(self) -> None:
        """End the thread; closing twice is allowed."""
        handler, self._handler = self._handler, None
        if handler is not None:
            check(lib.hm_handler_stop(handler), "resolving page faults by userfaultfd", "userfaultfd")
