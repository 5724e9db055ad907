"""The parser of numa_maps: lines of documents, of this process, and of nobody."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hmexp.errors import HmexpError, ParseError
from hmexp.system.numa_maps import (
    NumaMapping,
    count_pages_within,
    mapping_at,
    mappings_within,
    parse_numa_maps,
    read_numa_maps,
)

PAGE = mmap.PAGESIZE
NEEDS_NUMA_MAPS = pytest.mark.skipif(
    not Path("/proc/self/numa_maps").exists(), reason="this kernel has no NUMA support"
)


def only(line: str) -> NumaMapping:
    (mapping,) = parse_numa_maps(line + "\n")
    return mapping


def test_anonymous_memory() -> None:
    line = "7f0a3c000000 bind:0,2 anon=65536 dirty=65536 active=0 N0=21846 N2=43690 kernelpagesize_kB=4"
    assert only(line) == NumaMapping(
        start=0x7F0A3C000000,
        policy="bind:0,2",
        pages={0: 21846, 2: 43690},
        kernelpagesize_bytes=4096,
        counters={"anon": 65536, "dirty": 65536, "active": 0},
    )


def test_file_with_every_counter() -> None:
    line = (
        "7f884ea2d000 default file=/usr/lib/libc.so.6 anon=1 dirty=1 mapped=38 mapmax=8 swapcache=2 "
        "active=36 writeback=1 N0=38 kernelpagesize_kB=4"
    )
    mapping = only(line)
    assert mapping.file == "/usr/lib/libc.so.6"
    assert mapping.counters == {
        "anon": 1, "dirty": 1, "mapped": 38, "mapmax": 8, "swapcache": 2, "active": 36, "writeback": 1,
    }  # fmt: skip


def test_huge_pages_are_counted_in_huge_pages() -> None:
    file = "/anon_hugepage\\040(deleted)"
    mapping = only(f"2aaaaac00000 prefer:1 file={file} huge anon=3 dirty=3 N1=3 kernelpagesize_kB=2048")
    assert mapping.flags == {"huge"}
    assert mapping.file == "/anon_hugepage (deleted)"
    assert mapping.pages == {1: 3}
    assert mapping.bytes_by_node == {1: 3 * 2 * 1024 * 1024}


def test_transparent_huge_pages_are_counted_in_base_pages() -> None:
    mapping = only("7f0000000000 default anon=512 dirty=512 N0=512 kernelpagesize_kB=4")
    assert mapping.bytes_by_node == {0: 2 * 1024 * 1024}


@pytest.mark.parametrize(
    "policy",
    [
        "default", "local", "unknown", "bind:0", "bind=static:0-1,3", "prefer:1", "prefer=relative:1",
        "prefer (many):0,2", "interleave:0,2", "weighted interleave:0,2", "bind=balancing:0",
        "weighted interleave=static|balancing:0-3", "prefer (many)=relative:0", "interleave",
        # Cut off by the kernel's buffer of 64 bytes.
        "weighted interleave=relative|balancing:0,2,4,6,8,10,12,14,16,1", "bind:0,2,",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "rest",
    [
        "",
        " heap anon=1 N0=1 kernelpagesize_kB=4",
        " stack",
        " file=/dev/zero\\040(deleted) huge",
        " N12=7 kernelpagesize_kB=64",
    ],
)
def test_policies(policy: str, rest: str) -> None:
    assert only(f"00400000 {policy}{rest}").policy == policy


def test_mapping_without_resident_pages() -> None:
    mapping = only("7f0000000000 default")
    assert (mapping.pages, mapping.kernelpagesize_bytes, mapping.counters) == ({}, None, {})
    assert mapping.bytes_by_node == {}


def test_heap_and_stack() -> None:
    assert only("556d36e43000 default heap anon=4 N0=4 kernelpagesize_kB=4").flags == {"heap"}
    assert only("7ffc1000 default stack anon=4 N0=4 kernelpagesize_kB=4").flags == {"stack"}


def test_counters_and_flags_of_later_kernels_are_kept() -> None:
    mapping = only("7f0000000000 default shiny=3 sealed N0=1 kernelpagesize_kB=4")
    assert mapping.counters == {"shiny": 3}
    assert mapping.flags == {"sealed"}


@pytest.mark.parametrize("character", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\xa0"])
def test_paths_with_what_python_takes_for_blanks(character: str) -> None:
    name = f"/tmp/a{character}b"
    mappings = parse_numa_maps(f"7f0000000000 default file={name} mapped=1 N0=1 kernelpagesize_kB=4\n")
    assert [mapping.file for mapping in mappings] == [name]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("zzz default", "'zzz' is not an address"),
        ("+7f default", "not an address"),
        ("7f0000000000", "not a memory policy"),
        ("7f0000000000 ", "not a memory policy"),
        ("7f0000000000  default", "not a memory policy"),
        ("7f0000000000 N0=3 kernelpagesize_kB=4", "not a memory policy"),
        ("7f0000000000 default anon=1 =3", "'=3' is not known"),
        ("7f0000000000 default N0=-1 kernelpagesize_kB=4", "not a memory policy"),
        ("7f0000000000 default anon=1 N0=-1 kernelpagesize_kB=4", "'N0=-1' is not known"),
        ("7f0000000000 default N0=1 N0=2 kernelpagesize_kB=4", "0 is given twice"),
        ("7f0000000000 default N0=1", "pages without kernelpagesize_kB"),
        ("7f0000000000 default N0=1 kernelpagesize_kB=0", "kernelpagesize_kB is 0"),
        ("7f0000000000 default anon=1 N0=" + "9" * 5000 + " kernelpagesize_kB=4", "is not known"),
    ],
)
def test_damage_is_named_with_its_line(line: str, why: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_numa_maps(f"00400000 default\n{line}\n")
    assert "line 2" in caught.value.message
    assert why in caught.value.message
    assert line[:80] in caught.value.message
    assert len(caught.value.message) < 1000


@given(st.text())
@example("7f0000000000 default N0=1")
def test_garbage_is_a_parse_error_or_nothing(text: str) -> None:
    try:
        mappings = parse_numa_maps(text)
    except ParseError:
        return
    assert len(mappings) == sum(map(bool, text.split("\n")))


@given(st.text(alphabet="0123456789abcdefN=: ,()\\\nkilepagzs_B", max_size=200), st.integers(0, 200))
def test_torn_lines_are_a_parse_error_or_nothing(noise: str, cut: int) -> None:
    line = "7f0a3c000000 prefer (many):0,2 file=/a\\040b huge anon=6 active=0 N0=2 N2=4 kernelpagesize_kB=4\n"
    for text in (line[:cut] + noise, noise + line[cut:], line[:cut] + noise + line[cut:]):
        try:
            mappings = parse_numa_maps(text)
        except ParseError:
            continue
        assert all(mapping.policy for mapping in mappings)


# No backslash: the kernel does not escape it, so that `\040` in a name cannot be told from a blank.
PATHS = st.text(st.characters(exclude_characters="\0\\", exclude_categories=["Cs"]), min_size=1)
COUNTERS = st.sampled_from(["anon", "dirty", "mapped", "mapmax", "swapcache", "active", "writeback"])
COUNTS = st.integers(0, 2**64 - 1)
MAPPINGS = st.builds(
    NumaMapping,
    start=st.integers(0, 2**64 - 1),
    policy=st.sampled_from(["default", "bind:0", "prefer (many):0,2", "weighted interleave=static:0-3"]),
    pages=st.dictionaries(st.integers(0, 1023), COUNTS, min_size=1, max_size=8),
    kernelpagesize_bytes=st.sampled_from([4096, 65536, 2 << 20, 1 << 30]),
    file=st.none() | PATHS,
    flags=st.frozensets(st.sampled_from(["heap", "stack", "huge"])),
    counters=st.dictionaries(COUNTERS, COUNTS),
)


def write(mapping: NumaMapping) -> str:
    """Write a line as the kernel does."""
    words = [f"{mapping.start:08x}", mapping.policy]
    if mapping.file is not None:
        escaped = "".join(f"\\{ord(c):03o}" if c in "\n\t= " else c for c in mapping.file)
        words.append(f"file={escaped}")
    words += sorted(mapping.flags)
    words += [f"{name}={count}" for name, count in mapping.counters.items()]
    words += [f"N{node}={pages}" for node, pages in mapping.pages.items()]
    words.append(f"kernelpagesize_kB={(mapping.kernelpagesize_bytes or 0) // 1024}")
    return " ".join(words) + "\n"


@given(st.lists(MAPPINGS))
def test_round_trip(mappings: list[NumaMapping]) -> None:
    assert parse_numa_maps("".join(map(write, mappings))) == mappings


def test_mapping_at_is_exact() -> None:
    mappings = parse_numa_maps("3000 bind:0\n1000 default\n5000 default heap\n9000 default\nb000 local\n")
    assert mapping_at(0x3000, mappings).policy == "bind:0"
    with pytest.raises(HmexpError) as caught:
        mapping_at(0x4000, mappings)
    assert "no mapping starts at 4000; the nearest of 5 start at 1000" in caught.value.message
    assert "3000 (bind:0), 5000 (default), 9000" in caught.value.message
    assert "merged" in (caught.value.remedy or "")
    for outside in (0x10, 0xF000):
        with pytest.raises(HmexpError, match="no mapping starts"):
            mapping_at(outside, mappings)
    with pytest.raises(HmexpError, match="nearest of 0 start at none"):
        mapping_at(0x1000, [])


def test_mappings_within() -> None:
    mappings = parse_numa_maps("1000 default\n3000 bind:0\n5000 bind:2\n9000 default\n")
    assert [each.start for each in mappings_within(0x3000, 0x6000, mappings)] == [0x3000, 0x5000]


@NEEDS_NUMA_MAPS
def test_own_pages_are_found() -> None:
    pages = 64
    with mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        area.madvise(mmap.MADV_NOHUGEPAGE)
        anchor = ctypes.c_char.from_buffer(area)
        # A private mapping without a policy may be merged with its neighbours: what is asked is
        # that the touched pages are counted, wherever the line begins.
        start = ctypes.addressof(anchor)
        before = _resident_pages()
        for page in range(0, pages, 2):
            area[page * PAGE] = 1
        mappings = read_numa_maps()
        after = sum(sum(mapping.pages.values()) for mapping in mappings)
        assert after - before >= pages // 2
        assert any(mapping.start <= start for mapping in mappings)
        del anchor


@NEEDS_NUMA_MAPS
def test_shared_mapping_is_a_line_of_its_own(tmp_path: Path) -> None:
    # A blank, a new line, a tab, "=" and bytes that are no UTF-8: as the kernel really escapes them.
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a b=c\td\ne\xff\xc3\xa9"))
    path.write_bytes(bytes(8 * PAGE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8 * PAGE) as area:
        for page in range(8):
            area[page * PAGE] = 1
        anchor = ctypes.c_char.from_buffer(area)
        mapping = mapping_at(ctypes.addressof(anchor), read_numa_maps())
        del anchor
        assert mapping.file == str(path)
        assert sum(mapping.pages.values()) == 8
        assert mapping.kernelpagesize_bytes == PAGE
        assert sum(mapping.bytes_by_node.values()) == 8 * PAGE


@NEEDS_NUMA_MAPS
def test_another_process() -> None:
    program = "print('here', flush=True); input()"
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        assert any(mapping.file for mapping in read_numa_maps(child.pid))
    finally:
        child.communicate(b"\n")
    with pytest.raises(HmexpError, match=f"process {child.pid} has ended"):
        read_numa_maps(child.pid)


def test_kernel_without_numa(tmp_path: Path) -> None:
    (tmp_path / "17").mkdir()
    with pytest.raises(HmexpError, match="does not exist") as caught:
        read_numa_maps(17, tmp_path)
    assert "CONFIG_NUMA" in str(caught.value)


def test_proc_that_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(HmexpError, match="not mounted") as caught:
        read_numa_maps(proc_root=tmp_path)
    assert "mount -t proc" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (PermissionError(13, "denied"), "may not read"),
        (ProcessLookupError(3, "no such process"), "has ended"),
        (OSError(5, "input/output error"), "cannot be read: input/output error"),
    ],
)
def test_what_the_kernel_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, why: str
) -> None:
    (tmp_path / "17").mkdir()

    def refuse(_path: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(HmexpError, match=why):
        read_numa_maps(17, tmp_path)


def _resident_pages() -> int:
    return sum(sum(mapping.pages.values()) for mapping in read_numa_maps())


def test_pages_within_a_range_are_added_up_without_the_rest(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "numa_maps").write_text(
        "1000 default anon=1 dirty=1 N0=1 kernelpagesize_kB=4\n"
        "2000 bind:0 anon=3 dirty=3 N0=3 kernelpagesize_kB=4\n"
        "5000 bind:1 anon=1 dirty=1 N1=1 kernelpagesize_kB=4\n"
        "6000 bind:0\n"
        "200000 bind:1 huge anon=2 dirty=2 N1=2 kernelpagesize_kB=2048\n"
        "600000 ?\n"
    )
    assert count_pages_within(0x2000, 0x4000, tmp_path) == {0: 3 * 4096, 1: 4096}
    assert count_pages_within(0x6000, 0x1000, tmp_path) == {}
    assert count_pages_within(0x200000, 0x400000, tmp_path) == {1: 2 * 2 << 20}
    with pytest.raises(ParseError):
        count_pages_within(0x200000, 0x400001, tmp_path)
    with pytest.raises(HmexpError):
        count_pages_within(0x3000, 0x1000, tmp_path)
    with pytest.raises(HmexpError):
        count_pages_within(0x3000, 0x1000, tmp_path / "nowhere")
