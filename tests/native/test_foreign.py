"""The pages of another process agree with what that process finds itself, however they are seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hmexp.native import foreign
from hmexp.native.foreign import CATEGORIES, Blocks, Sight
from hmexp.system.frames import read_memory_blocks

TARGET = Path(__file__).resolve().parents[1] / "program" / "look" / "target.py"


@contextmanager
def target(*arguments: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with subprocess.Popen([sys.executable, str(TARGET), *arguments], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        yield child.pid, json.loads(child.stdout.readline())
        child.communicate()


def blocks() -> Blocks:
    return read_memory_blocks() or Blocks()


def count(scan: foreign.Scan) -> dict[str, int]:
    names = ("PRESENT", "SWAPPED", "FILE", "SHARED", "HUGE", "ZERO", "OTHER")
    found = {name: int(np.count_nonzero(scan.flags & getattr(foreign, name))) for name in names}
    return {name: pages for name, pages in found.items() if pages}


@pytest.mark.parametrize("forked", [False, True])
def test_every_page_as_the_program_finds_it_itself(*, forked: bool) -> None:
    ways = {
        "frames": Sight, "no scan": lambda pid, blocks: Sight(pid, blocks, categories=0),
        "query": lambda pid, _: Sight(pid), "neither": lambda pid, _: Sight(pid, categories=0),
    }  # fmt: skip
    with target(*(["fork"] if forked else [])) as (pid, said):
        for name, way in ways.items():
            with way(pid, blocks()) as sight:
                for area, is_ in said["areas"].items():
                    if area == "reserved":
                        assert (
                            not sight.categories or sight.occupied(is_["start"], is_["start"] + 2**34) == []
                        )
                        continue
                    scan = sight.scan(is_["start"], is_["start"] + is_["bytes"])
                    # ENOENT, and the zero page's EFAULT: no node.
                    its_own = np.maximum(np.array(is_["status"]), -1)
                    assert (scan.node == its_own).all(), (name, area)
                    expected = {
                        "small": {"PRESENT": 2001, "ZERO": 1, "SHARED": 2000 * forked},
                        "sparse": {"PRESENT": 64, "SHARED": 64 * forked},
                        "shared": {"PRESENT": 32, "FILE": 32},
                        "file": {"PRESENT": 64, "FILE": 64},
                        "copied": {"PRESENT": 32, "SHARED": 32 * forked},
                    }.get(area)
                    if expected:
                        assert count(scan) == {k: v for k, v in expected.items() if v}, (name, area)
                    else:
                        present = np.count_nonzero(scan.flags & foreign.PRESENT)
                        huge = np.count_nonzero(scan.flags & foreign.HUGE)
                        # None where the machine has no huge page to give.
                        assert huge in ((0, 512, 1024, 1536, present) if sight.sees_huge else (0,))
        if forked:
            assert not foreign.share_memory(pid, said["child"])
            assert foreign.share_memory(pid, pid)


def test_a_category_that_the_kernel_refuses_is_left_out() -> None:
    with target() as (pid, _), Sight(pid) as plain, Sight(pid, categories=CATEGORIES | 1 << 40) as more:
        assert more.categories == plain.categories


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is shown frames")
def test_a_kernel_that_calls_all_pages_merged_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Linux 6.12 does: its kpageflags has KPF_KSM for every anonymous page."""
    known = blocks()
    frames = known.nodes.size * known.block_bytes // foreign.PAGE_BYTES
    fd = os.memfd_create("kpageflags")
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(np.full(frames, 1 << 21, dtype=np.uint64))
        monkeypatch.setattr(foreign, "_are_pages_merged", lambda: True)
        with target("fork") as (pid, said):
            start = said["areas"]["small"]["start"]
            stop = start + said["areas"]["small"]["bytes"]
            with Sight(pid, known) as sight:
                assert sight.sees_merged
                assert count(sight.scan(start, stop)) == {"PRESENT": 2001, "SHARED": 2000, "ZERO": 1}
            monkeypatch.setattr(foreign, "_open_or_none", lambda _: os.dup(fd))
            with Sight(pid, known) as sight:
                assert not sight.sees_merged
                assert count(sight.scan(start, stop)) == {"PRESENT": 2001, "SHARED": 2000, "ZERO": 1}
    finally:
        os.close(fd)


def test_ended() -> None:
    with target() as (pid, said):
        sight = Sight(pid, blocks())
        start = said["areas"]["small"]["start"]
    with sight, pytest.raises(ProcessLookupError, match="has ended, or has executed another program"):
        sight.scan(start, start + foreign.PAGE_BYTES)
    with pytest.raises(FileNotFoundError):
        Sight(pid)


def test_another_program_is_not_taken_for_the_first() -> None:
    code = "import os, sys; print(flush=True); sys.stdin.readline(); os.execvp('sleep', ['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        with Sight(child.pid, blocks()) as sight:
            child.stdin.write(b"\n")
            child.stdin.flush()
            assert child.stdout.read(0) == b""
            while b"sleep" not in Path(f"/proc/{child.pid}/comm").read_bytes():
                pass
            with pytest.raises(ProcessLookupError):
                sight.scan(1 << 20, 2 << 20)
        child.kill()
