"""Damaged text of the kernel: an error of ours with the line, or figures that a kernel may write."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParseError, ProgramError
from hmexp.program.look.target import Target, read_target
from hmexp.system.numa_maps import parse_numa_maps
from hmexp.system.smaps import read_huge_bytes

NUMA_MAPS = """\
55f9bcd9a000 default file=/usr/bin/cat\\040x mapped=2 mapmax=3 N0=2 kernelpagesize_kB=4
55f9be0d5000 bind=static:0,2 heap anon=5 dirty=5 swapcache=1 N0=3 N2=2 kernelpagesize_kB=4
7f0000000000 weighted interleave:0,2 anon=7 dirty=7 N0=2 N2=5 kernelpagesize_kB=4
7f0000200000 prefer (many):1 file=/anon_hugepage\\040(deleted) huge anon=1 dirty=1 N1=1 kernelpagesize_kB=2048
7ffc00000000 default stack anon=3 dirty=3 N0=3 kernelpagesize_kB=4"""
SMAPS = """\
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
Size:               4096 kB
KernelPageSize:        4 kB
AnonHugePages:      2048 kB
VmFlags: rd wr mr mw me ac sd
7f0000400000-7f0000600000 rw-p 00000000 00:0f 3                          /anon_hugepage (deleted)
Private_Hugetlb:    2048 kB"""
STAT = (
    "71 (a ) b) S 1 71 71 0 -1 4194560 312 0 0 0 1 2 0 0 20 0 1 0 4711 8388608 200 18446744073709551615 1 1"
)


def damage(data: st.DataObject, text: str) -> str:
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(st.text(st.characters(codec="utf-8"), max_size=4))
    return text[:at] + put + text[at + data.draw(st.integers(0, 6)) :]


@given(st.data())
def test_numa_maps(data: st.DataObject) -> None:
    text = damage(data, NUMA_MAPS)
    try:
        found = parse_numa_maps(text)
    except ParseError as error:
        found, said = [], error.message
    else:
        said = "line 1:"
    assert 1 <= int(said.split("line ")[1].split(":")[0]) <= text.count("\n") + 1
    for mapping in found:
        assert all(pages >= 0 for pages in mapping.bytes_by_node.values())
        assert not mapping.pages or mapping.kernelpagesize_bytes


@given(st.data())
def test_smaps(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_smaps(Path(folder, "smaps"), damage(data, SMAPS))


def check_smaps(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    try:
        found = read_huge_bytes(0x7F0000000000, 6 << 20, path)
    except ParseError as error:
        found, said = 0, error.message
    else:
        said = str(path)
    assert str(path) in said
    assert found >= 0 and found % 1024 == 0


@given(st.data())
def test_stat(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_stat(Path(folder), damage(data, STAT))


def check_stat(folder: Path, text: str) -> None:
    (folder / "71").mkdir()
    (folder / "71" / "stat").write_text(text, encoding="utf-8")
    try:
        found = read_target(71, folder)
    except ProgramError as error:
        said = error.message
    else:
        assert_numbers(found)
        return
    assert "stat does not look as documented" in said


def assert_numbers(found: Target) -> None:
    assert found.start_ticks >= 0 and found.minor_faults >= 0


def test_a_name_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "71").mkdir()
    (tmp_path / "71" / "stat").write_text(STAT)
    found = read_target(71, tmp_path)
    assert (found.name, found.state, found.parent, found.start_ticks) == ("a ) b", "S", 1, 4711)
    assert (found.minor_faults, found.is_kernel_thread) == (312, False)
