"""What the kernel holds, read from trees of `/proc` and `/sys` of several shapes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParseError
from hmexp.system.kernel_memory import KernelMemory, count_mappings, read_kernel_memory

SLABINFO = """slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>
maple_node           100    160    256   16    1 : tunables    0    0    0 : slabdata     10     10      0
vm_area_struct       200    210    184   22    1 : tunables    0    0    0 : slabdata     10     10      0
pid                   10     32    264   16    1 : tunables    0    0    0 : slabdata      2      2      0
"""


def make_proc(root: Path, slabinfo: str | None) -> Path:
    (root / "self").mkdir(parents=True)
    (root / "self" / "status").write_text("Name:\tx\nVmPTE:\t     132 kB\n")
    (root / "self" / "maps").write_text(
        "1000-2000 rw-p 0 00:00 0\n2000-3000 rw-p 0 00:00 0 a b\nff000-ff800 r--p 0\n"
    )
    if slabinfo is not None:
        (root / "slabinfo").write_text(slabinfo)
    return root


def test_caches_by_name_and_merged_ones_by_their_alias(tmp_path: Path) -> None:
    slab = tmp_path / "sys" / "kernel" / "slab"
    (slab / ":0000264").mkdir(parents=True)
    for name in ("pid", "numa_policy", "anon_vma"):
        (slab / name).symlink_to(":0000264")
    found = read_kernel_memory(make_proc(tmp_path / "proc", SLABINFO), tmp_path / "sys")
    assert found.page_tables_bytes == 132 * 1024
    assert found.slab_bytes == {
        "vm_area_struct": 200 * 184,
        "maple_node": 100 * 256,
        "anon_vma+numa_policy+pid": 10 * 264,
    }


def test_without_the_right_to_read_slabinfo(tmp_path: Path) -> None:
    found = read_kernel_memory(make_proc(tmp_path / "proc", None), tmp_path / "sys")
    assert found.slab_bytes is None
    assert found.total_bytes == 132 * 1024
    assert found.since(found) == KernelMemory(0, None)


def test_growth() -> None:
    before, after = KernelMemory(10, {"a": 5, "b": 7}), KernelMemory(30, {"a": 4, "b": 9})
    assert after.since(before) == KernelMemory(20, {"a": -1, "b": 2})
    assert after.since(before).total_bytes == 21


def test_mappings_that_begin_in_a_range(tmp_path: Path) -> None:
    proc = make_proc(tmp_path, None)
    assert count_mappings(0x1000, 0x1000, proc) == 1
    assert count_mappings(0x1000, 0x2000, proc) == 2
    assert count_mappings(0x0, 1 << 20, proc) == 3


@given(st.binary(max_size=300))
def test_garbage_in_slabinfo_is_no_memory(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        proc = make_proc(Path(folder) / "proc", SLABINFO)
        (proc / "slabinfo").write_bytes(SLABINFO.encode() + garbage)
        found = read_kernel_memory(proc, Path(folder) / "sys")
        assert found.slab_bytes is not None and all(size >= 0 for size in found.slab_bytes.values())


@given(st.binary(max_size=100))
def test_garbage_in_maps_is_a_parse_error(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        proc = make_proc(Path(folder) / "proc", None)
        (proc / "self/maps").write_bytes(garbage)
        try:
            assert count_mappings(0, 1 << 60, proc) >= 0
        except ParseError as error:
            told = str(error)
            assert str(proc) in told


def test_maps_that_cannot_be_read_are_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="mount"):
        count_mappings(0, 1, tmp_path)
