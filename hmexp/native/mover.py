"""Pages of another process, moved a batch at a time; no answer here is proof of where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.native.core import PAGE_BYTES, ffi, lib

#: A status that the kernel did not write: it says nothing about its page.
UNWRITTEN: Final = int(lib.HM_UNWRITTEN)


@dataclass(frozen=True)
class MoveCall:
    """What one ``move_pages`` answered.

    Parameters
    ----------
    status : numpy.ndarray
        For each page the node that the kernel claims it is on, or a negative errno, or `UNWRITTEN`, dtype
        int32, shape ``(pages,)``.
    errno : int
        Why the call failed as a whole; 0 if it did not.
    taken_ns : int
        How long it took: no thread that touched one of these pages waited for longer [ns].
    """

    status: npt.NDArray[np.int32]
    errno: int
    taken_ns: int


def move_foreign(
    pid: int, pages: npt.NDArray[np.uint64], nodes: npt.NDArray[np.int32], *, everybody: bool = False
) -> MoveCall:
    """Ask for pages of a process to be moved, by one call.

    Parameters
    ----------
    pid : int
        The process.
    pages : numpy.ndarray
        Virtual page numbers; none asks only whether the process's pages may be moved, dtype uint64, shape
        ``(pages,)``.
    nodes : numpy.ndarray
        Node for each, dtype int32, shape ``(pages,)``.
    everybody : bool
        Move pages that other processes map, too; it needs CAP_SYS_NICE.
    """
    addresses = np.ascontiguousarray(pages * np.uint64(PAGE_BYTES), dtype=np.uint64)
    wanted = np.ascontiguousarray(nodes, dtype=np.int32)
    status = np.empty(len(addresses), dtype=np.int32)
    taken_ns = ffi.new("int64_t *")
    count = len(addresses)
    returned = lib.hm_move_foreign(
        pid,
        count,
        ffi.from_buffer("uint64_t[]", addresses) if count else ffi.NULL,
        ffi.from_buffer("int32_t[]", wanted) if count else ffi.NULL,
        ffi.from_buffer("int32_t[]", status) if count else ffi.NULL,
        int(everybody),
        taken_ns,
    )
    return MoveCall(status, max(0, -int(returned)), int(taken_ns[0]))


def split_foreign(pidfd: int, pages: npt.NDArray[np.uint64]) -> int:
    """Have the kernel split the huge pages that these pages are part of; it needs CAP_SYS_NICE.

    Parameters
    ----------
    pidfd : int
        The process, as `os.pidfd_open` has it.
    pages : numpy.ndarray
        Virtual page number of one page of each huge page, dtype uint64, shape ``(huge pages,)``.

    Returns
    -------
    int
        For how many the kernel took the advice, or a negative errno if for none. Whether they were split, a
        scan says.
    """
    addresses = np.ascontiguousarray(pages * np.uint64(PAGE_BYTES), dtype=np.uint64)
    return int(
        lib.hm_split_foreign(pidfd, len(addresses), ffi.from_buffer("uint64_t[]", addresses), PAGE_BYTES)
    )
