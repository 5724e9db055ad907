"""The mappings of a process, by what the kernel says of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import HmexpError, ParseError
from hmexp.program.look.mappings import Mapping, Sort, parse_maps, read_mappings

MAPS = """\
55f9bcd9a000-55f9bcd9c000 r--p 00000000 fe:00 1835                       /usr/bin/cat
55f9bcda1000-55f9bcda2000 rw-p 00006000 fe:00 1835                       /usr/bin/cat (deleted)
55f9be0d5000-55f9be0f6000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 {nothing}
7f0000001000-7f0000002000 rw-s 00000000 00:01 1034                       /dev/zero (deleted)
7f0000002000-7f0000003000 rw-p 00000000 00:05 5                          /dev/zero
7f0000003000-7f0000004000 rw-p 00000000 00:05 77                         /dev/hybridmem
7f0000004000-7f0000005000 rw-s 00000000 00:0e 1                          anon_inode:[perf_event]
7f0000200000-7f0000400000 rw-p 00000000 00:0f 3                          /anon_hugepage (deleted)
7f0000400000-7f0000600000 rw-s 00000000 00:0f 4                          /memfd:a b\\012c (deleted)
7f0000600000-7f0000601000 rw-p 00000000 00:00 0                          [anon:glibc: malloc]
7f0000700000-7f0040000000 ---p 00000000 00:00 0 {nothing}
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
7ffc00031000-7ffc00033000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
""".replace("{nothing}", "")


def test_each_is_of_its_sort() -> None:
    found = parse_maps(MAPS)
    sorts = [mapping.sort for mapping in found]
    assert sorts == [
        Sort.FILE, Sort.FILE, Sort.HEAP, Sort.ANONYMOUS, Sort.SHARED, Sort.ANONYMOUS, Sort.DEVICE,
        Sort.DEVICE, Sort.ANONYMOUS, Sort.SHARED, Sort.ANONYMOUS, Sort.ANONYMOUS, Sort.STACK, Sort.SPECIAL,
        Sort.SPECIAL,
    ]  # fmt: skip
    assert found[9].path == "/memfd:a b\nc (deleted)"
    assert [mapping.start for mapping in found if mapping.is_reservation] == [0x7F0000700000]


def test_of_a_real_process_with_its_policies() -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        mappings = read_mappings(child.pid)
        sorts = {mapping.sort for mapping in mappings}
        assert {Sort.HEAP, Sort.STACK, Sort.ANONYMOUS, Sort.FILE, Sort.SPECIAL} <= sorts
        heap = next(mapping for mapping in mappings if mapping.sort is Sort.HEAP)
        assert heap.policy == "default"
        assert heap.numa is not None
        assert sum(heap.numa.bytes_by_node.values()) > 0
        assert read_mappings(child.pid, numa=False)[0].numa is None
        child.communicate()
    with pytest.raises(HmexpError, match=f"there is no process {child.pid}"):
        read_mappings(child.pid)


@given(st.data())
def test_damage_is_an_error_of_ours_or_a_mapping(data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(MAPS.split("\n")))
    at = data.draw(st.integers(0, len(line)))
    cut = data.draw(st.integers(0, 5))
    put = data.draw(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=4))
    damaged = line[:at] + put + line[at + cut :]
    try:
        found = parse_maps(damaged)
    except ParseError:
        return
    assert len(found) == bool(damaged)
    assert all(isinstance(mapping, Mapping) and mapping.start < mapping.stop for mapping in found)


def test_a_bad_line_is_named() -> None:
    with pytest.raises(ParseError, match=r"maps, line 3: not a mapping: '7f rw-p'"):
        parse_maps("\n".join([*MAPS.split("\n")[:2], "7f rw-p"]))
    with pytest.raises(ParseError, match=r"maps, line 1: the mapping ends before it begins"):
        parse_maps("7f0000001000-7f0000000000 rw-p 00000000 00:00 0 ")
