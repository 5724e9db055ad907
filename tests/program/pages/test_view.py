"""What a follower sees of a process whose mappings move while they are looked at."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hmexp.native import PAGE_BYTES
from hmexp.program.pages import view
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.view import Looker, Ranges, Seen

PAGES = 512
#: Touches 512 pages, says where they are, and moves them to another address for each line of input.
CHILD = f"""
import ctypes, sys
libc = ctypes.CDLL(None)
address, size = ctypes.c_void_p, ctypes.c_size_t
libc.mmap.restype = libc.mremap.restype = address
libc.mmap.argtypes = [address, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.argtypes = [address, size, size, ctypes.c_int, address]
length = {PAGES * PAGE_BYTES}
room = libc.mmap(None, 4 * length, 0, 0x22, -1, 0)
base = libc.mmap(room, length, 3, 0x32, -1, 0)
ctypes.memset(base, 1, length)
print(base, flush=True)
for line in sys.stdin:
    base = libc.mremap(base, length, length, 3, room + 2 * length if base == room else room)
    print(base, flush=True)
"""


def test_a_mapping_that_moves_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """`maps` is read, the mapping moves, and what was read is looked at: it is seen where it is by then."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        bases = [int(child.stdout.readline())]
        with HeldProcess(child.pid) as target:
            looker = Looker(target)
            scan, moves = looker._scan, 2

            def moved_meanwhile(ranges: Ranges) -> Seen:
                nonlocal moves
                if moves:
                    moves -= 1
                    assert child.stdin is not None and child.stdout is not None
                    print("move", file=child.stdin, flush=True)
                    bases.append(int(child.stdout.readline()))
                return scan(ranges)

            monkeypatch.setattr(looker, "_scan", moved_meanwhile)
            for count in (2, 1):
                moves = count
                found = looker.look()
                first = bases[-1] // PAGE_BYTES
                there = (found.pages >= first) & (found.pages < first + PAGES)
                assert there.sum() == PAGES and (np.diff(found.pages.astype(np.int64)) > 0).all()
                left = bases[-2] // PAGE_BYTES
                assert not ((found.pages >= left) & (found.pages < left + PAGES)).any()
            looker.close()
        child.stdin.close()


def test_ranges() -> None:
    """Against each page by itself, for many layouts."""
    random = np.random.default_rng(3)

    def some() -> Ranges:
        edges = np.sort(random.choice(40, size=2 * int(random.integers(0, 6)), replace=False), kind="stable")
        return [(int(a) * PAGE_BYTES, int(b) * PAGE_BYTES) for a, b in edges.reshape(-1, 2)]

    def pages_of(ranges: Ranges) -> set[int]:
        return {page for a, b in ranges for page in range(a // PAGE_BYTES, b // PAGE_BYTES)}

    for _ in range(300):
        ranges, known = some(), some()
        assert pages_of(view._subtract(ranges, known)) == pages_of(ranges) - pages_of(known)
        pages = np.arange(40, dtype=np.uint64)
        seen = (pages, pages.astype(np.int16), pages.astype(np.uint8))
        assert set(view._within(seen, ranges)[0].tolist()) == pages_of(ranges)
