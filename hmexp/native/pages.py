"""Mappings, and where their pages are."""

from __future__ import annotations

import errno as errno_names
import math
import os
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from hmexp.errors import NativeError
from hmexp.native.core import PAGE_BYTES, check, ffi, lib
from hmexp.pattern import Pattern

#: Threads that give pages back, at most, and what is worth one of them [bytes].
_MOST_THREADS: Final = 8
_OF_A_THREAD_BYTES: Final = 64 << 20


class Closable(Protocol):
    """Something that ends on request."""

    def close(self) -> None:
        """End it."""


class PageMapping:
    """A mapping of its own in the kernel's list, with an inaccessible page on either side.

    Parameters
    ----------
    size_bytes : int
        Length, a multiple of the page [bytes].
    align_bytes : int
        Alignment of the start [bytes].
    huge : bool
        Whether transparent huge pages are asked for (else they are forbidden).
    fd : int
        A file to map from its start, shared; it is closed with the mapping. Anonymous if negative.
    """

    def __init__(
        self, size_bytes: int, align_bytes: int = PAGE_BYTES, huge: bool = False, fd: int = -1
    ) -> None:
        self.fd = fd
        self.huge = huge
        self._base: Any = None
        self._keeper: Closable | None = None
        out = ffi.new("void **")
        check(
            lib.hm_map(size_bytes, PAGE_BYTES, align_bytes, int(huge), fd, out), f"mapping {size_bytes} bytes"
        )
        self._base = out[0]
        self.size_bytes = size_bytes

    @property
    def base(self) -> Any:
        """The start, as cffi's ``void *``."""
        if self._base is None:
            raise NativeError("the region is closed", "allocate it again", errno_names.EBADF)
        return self._base

    @property
    def address(self) -> int:
        """The start, as a number."""
        return int(ffi.cast("uintptr_t", self.base))

    def keep(self, keeper: Closable) -> None:
        """Have something that serves this mapping closed before the memory is given back."""
        self._keeper = keeper

    def close(self) -> None:
        """Give the memory back; closing twice is allowed."""
        keeper, self._keeper = self._keeper, None
        base, self._base = self._base, None
        fd, self.fd = self.fd, -1
        try:
            if keeper is not None:
                keeper.close()
        finally:
            if fd >= 0:
                os.close(fd)
            elif base is not None:
                self._drop(base)
            if base is not None:
                check(lib.hm_unmap(base, self.size_bytes, PAGE_BYTES), "munmap")

    def _drop(self, base: Any) -> None:
        threads = min(_MOST_THREADS, self.size_bytes // _OF_A_THREAD_BYTES)
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        if len(cpus) > 1:
            # If the system refuses threads, munmap gives the pages back alone.
            lib.hm_drop(base, self.size_bytes, len(cpus), cpus)

    def array(self) -> npt.NDArray[np.uint8]:
        """The bytes, without a copy; the array must not be used after `close`."""
        return np.frombuffer(ffi.buffer(self.base, self.size_bytes), dtype=np.uint8)

    def __del__(self) -> None:
        if getattr(self, "_base", None) is not None:
            self.close()


def make_layout(pattern: Pattern, pages: int) -> tuple[Any, Any]:
    """The core's ``struct hm_layout``, and what must be kept alive while it is used."""
    nodes = np.asarray(pattern.nodes, dtype=np.int32)
    held = ffi.from_buffer("int32_t[]", nodes)
    layout = ffi.new(
        "struct hm_layout *", (held, len(nodes), pattern.granule_pages(PAGE_BYTES), pages, PAGE_BYTES)
    )
    return layout, (nodes, held)


def advise(mapping: PageMapping, advice: int) -> None:
    """Advise the kernel about a whole mapping: ``MADV_...`` of `mmap`.

    Raises
    ------
    NativeError
        If the kernel does not take that advice for such a mapping.
    """
    check(lib.hm_advise(mapping.base, mapping.size_bytes, advice), f"madvise with advice {advice}", "madvise")


def populate(mapping: PageMapping) -> None:
    """Touch every page of a mapping that holds nothing yet, under the policy of the calling thread.

    Raises
    ------
    NativeError
        With EFAULT where an access would be a SIGBUS.
    """
    check(lib.hm_populate(mapping.base, mapping.size_bytes, PAGE_BYTES), "populating pages", "madvise")


def first_touch(mapping: PageMapping, pattern: Pattern, node: int, cpus: Sequence[int] = ()) -> None:
    """Touch the pages that `pattern` has on `node`, with the mapping bound to that node alone.

    Parameters
    ----------
    cpus : sequence of int
        One for each thread that touches; the calling thread does if there are fewer than two.
    """
    layout, _held = make_layout(pattern, mapping.size_bytes // PAGE_BYTES)
    check(
        lib.hm_first_touch(mapping.base, layout, node, len(cpus), list(cpus)),
        f"touching pages bound to node {node}",
        "mbind",
    )


def move_pages(
    mapping: PageMapping,
    pattern: Pattern,
    retries: int,
    limit_seconds: float = math.inf,
    stride_pages: int = 1,
) -> tuple[int, dict[str, int]]:
    """Move every page to its node.

    Parameters
    ----------
    mapping : PageMapping
        With all its pages there.
    pattern : Pattern
        Where they belong.
    retries : int
        Times that a batch asks again for its busy pages, a millisecond apart.
    limit_seconds : float
        After this no page is asked for any more [s].
    stride_pages : int
        Ask for every so many pages only [pages].

    Returns
    -------
    requested : int
        Pages that there were to be moved [pages].
    failures : dict
        Pages that were not, by the name of the errno; ETIME: not asked for in time [pages].
    """
    layout, _held = make_layout(pattern, mapping.size_bytes // PAGE_BYTES)
    requested = ffi.new("int64_t *")
    failures = ffi.new("int64_t[256]")
    limit_ns = int(min(limit_seconds, 1e9) * 1e9)
    check(
        lib.hm_move(mapping.base, layout, stride_pages, retries, limit_ns, requested, failures),
        "move_pages",
        "move_pages",
    )
    counted = {errno_names.errorcode.get(code, str(code)): int(failures[code]) for code in range(256)}
    return int(requested[0]), {name: count for name, count in counted.items() if count}


def query_nodes(mapping: PageMapping, first_page: int, pages: int) -> npt.NDArray[np.int32]:
    """Ask the kernel where pages are.

    Returns
    -------
    numpy.ndarray
        Node of each page, or a negative errno (``-ENOENT``: not present), shape ``(pages,)``.
    """
    nodes = np.empty(pages, dtype=np.int32)
    held = ffi.from_buffer("int32_t[]", nodes, require_writable=True)
    check(
        lib.hm_query(mapping.base, first_page, pages, PAGE_BYTES, held),
        "asking move_pages where pages are",
        "move_pages",
    )
    return nodes
