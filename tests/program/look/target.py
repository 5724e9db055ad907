"""A program with pages of every sort, that says where it finds each itself; a test starts it.

It prints a line of JSON, then waits for its input to end. `fork` as an argument: a child shares its pages.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
import tempfile
from pathlib import Path

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_MOVE_PAGES = 279


def ask(start: int, pages: int) -> list[int]:
    """Status of each page by this process's own move_pages: a node, or a negative errno."""
    addresses = (ctypes.c_void_p * pages)(*(start + i * PAGE for i in range(pages)))
    status = (ctypes.c_int * pages)(*[-999] * pages)
    if _libc.syscall(_MOVE_PAGES, 0, ctypes.c_ulong(pages), addresses, None, status, 0):
        raise OSError(ctypes.get_errno(), "move_pages")
    return list(status)


def address_of(area: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def touch(area: mmap.mmap, pages: range) -> None:
    for page in pages:
        area[page * PAGE] = 1


def make_areas() -> dict[str, tuple[mmap.mmap, int]]:
    """Each area with its pages [pages]."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    sparse = mmap.mmap(-1, 1 << 30, private)
    sparse.madvise(mmap.MADV_NOHUGEPAGE)
    touch(sparse, range(0, 1 << 18, 4096))
    small = mmap.mmap(-1, 4000 * PAGE, private)
    small.madvise(mmap.MADV_NOHUGEPAGE)
    touch(small, range(0, 4000, 2))
    _ = small[PAGE]  # the zero page
    huge = mmap.mmap(-1, 8 << 20, private)
    huge.madvise(mmap.MADV_HUGEPAGE)
    touch(huge, range(0, 2048, 16))
    shared = mmap.mmap(-1, 64 * PAGE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    touch(shared, range(0, 64, 2))
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 64 * PAGE)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 64 * PAGE, mmap.MAP_SHARED)
        copied = mmap.mmap(file.fileno(), 64 * PAGE, mmap.MAP_PRIVATE)
    for page in range(64):
        _ = mapped[page * PAGE]
    touch(copied, range(0, 64, 2))
    reserved = mmap.mmap(-1, 1 << 34, private, prot=0)
    return {
        "small": (small, 4000),
        "huge": (huge, 2048),
        "shared": (shared, 64),
        "file": (mapped, 64),
        "copied": (copied, 64),
        "sparse": (sparse, 1 << 18),
        "reserved": (reserved, 0),
    }


def main() -> None:
    areas = make_areas()
    child = 0
    if "fork" in sys.argv:
        child = os.fork()
        if not child:
            sys.stdin.read()
            os._exit(0)
    found = {}
    for name, (area, pages) in areas.items():
        start = _address(area)
        found[name] = {"start": start, "bytes": len(area), "status": ask(start, pages) if pages else []}
    print(json.dumps({"child": child, "areas": found}), flush=True)
    sys.stdin.read()
    if child:
        os.waitpid(child, 0)


def _address(area: mmap.mmap) -> int:
    try:
        return address_of(area)
    except TypeError:  # not writable: the reservation
        for line in Path("/proc/self/maps").read_text().split("\n"):
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            if end - begin == len(area) and "---p" in line:
                return begin
        raise


if __name__ == "__main__":
    main()
