"""A page that shares its frame is not a page that was placed; and pages that are on no node have reasons."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hmexp
from hmexp import native
from hmexp.errors import PlacementError
from hmexp.memory import witnesses
from hmexp.memory.witnesses import name_absent
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
SIZE = 2 << 20
PAGES = SIZE // native.PAGE_BYTES

#: Set PR_SET_MEMORY_MERGE, exec, and say the flags of a region of ours and of a mapping that is not.
MERGE = """
import ctypes, mmap, os, sys
if sys.argv[1] == "first":
    if ctypes.CDLL(None, use_errno=True).prctl(67, 1, 0, 0, 0):
        sys.exit(77)
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], "second"])
import hmexp
other = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(other))
region = hmexp.allocate("1MiB", "NODE")
flags = {}
for line in open("/proc/self/smaps", "rb"):
    words = line.split()
    if b"-" in words[0] and not words[0].endswith(b":"):
        start, end = (int(word, 16) for word in words[0].split(b"-"))
    elif words[0] == b"VmFlags:":
        flags[start, end] = words[1:]
def mergeable(at):
    return next(b"mg" in found for (start, end), found in flags.items() if start <= at < end)
print(mergeable(address), mergeable(region.mapping.address), region.placement().ok)
region.close()
""".replace("NODE", str(NODE))


def test_no_region_is_merged_whatever_was_inherited() -> None:
    """Systemd's MemoryKSM= makes all mappings of a unit, and of what it executes, candidates for merging."""
    command = [sys.executable, "-c", MERGE, "first", MERGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MEMORY_MERGE (Linux 6.4, CONFIG_KSM)")
    assert done.stdout.split() == ["True", "False", "True"], done.stderr


@pytest.mark.in_child
def test_pages_that_share_a_frame_fail_the_proof() -> None:
    """A child that was forked and has written nothing shares every frame; so does a page that KSM merged."""
    with hmexp.allocate(SIZE, str(NODE)) as region:
        region.placement().require()
        begin, end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(begin, 1)
            os._exit(0)
        try:
            placement = region.placement()
        finally:
            os.close(end)
            os.waitpid(child, 0)
        assert placement.shared == PAGES and placement.first_shared == 0
        assert placement.misplaced == 0 and placement.found == {NODE: PAGES}
        with pytest.raises(PlacementError, match=f"{PAGES} of {PAGES} pages share their frame") as caught:
            placement.require()
        assert "ksm" in str(caught.value.remedy)
        assert placement.to_record().shared == PAGES
        assert region.placement().ok  # the child is gone


@pytest.mark.in_child
def test_who_may_not_see_frames_sees_what_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "_shows_frames", lambda _fd: False)
    with hmexp.allocate(SIZE, str(NODE)) as region:
        assert region.placement().ok
        begin, end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(begin, 1)
            os._exit(0)
        shared = region.placement().shared
        os.close(end)
        os.waitpid(child, 0)
        assert shared == PAGES


def where(absent: dict[str, int], unmapped: int, entry: int) -> native.Where:
    return native.Where({}, absent, 0, None, 0, unmapped=unmapped, unmapped_entry=entry)


@given(
    st.dictionaries(st.sampled_from(["ENOENT", "EFAULT", "EBUSY", "EIO"]), st.integers(1, 9)),
    st.integers(0, 20),
    st.integers(0, (1 << 64) - 1),
)
def test_every_absent_page_has_one_reason(absent: dict[str, int], unmapped: int, entry: int) -> None:
    named = name_absent(where(absent, unmapped, entry))
    assert sum(named.values()) == sum(absent.values())
    assert all(count > 0 for count in named.values())


def test_what_pagemap_says_of_a_page_that_is_not_mapped(tmp_path: Path) -> None:
    flags = tmp_path / "kpageflags"
    flags.write_bytes(struct.pack("=3Q", 0, 1 << 19, 0))
    swapped, migration = 1 << 62, 30
    assert witnesses._name_entry(swapped | 5 << 5) == "swapped out"
    assert witnesses._name_entry(swapped | 1 << 5 | migration, flags) == "poisoned"
    assert witnesses._name_entry(swapped | 2 << 5 | migration, flags) == "under migration"
    assert witnesses._name_entry(swapped | 2 << 5 | migration, tmp_path / "none") == "under migration"
    assert "swapped out" in witnesses._name_entry(swapped)  # frames are hidden


def test_the_reasons_are_in_the_sentence() -> None:
    named = name_absent(where({"ENOENT": 3, "EFAULT": 1}, 2, 1 << 62 | 7 << 5))
    assert named == {"ENOENT": 1, "EFAULT": 1, "swapped out": 2}
