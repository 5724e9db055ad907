"""Pages of 2 MiB: asked for, counted, and an error where the kernel gave others."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hmexp
from hmexp.errors import ParameterError, ParseError, PlacementError
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES, find_page_bytes, require_page_size
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.system.smaps import read_huge_bytes

THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")
needs_thp = pytest.mark.skipif(
    not THP.exists() or "[never]" in THP.read_text(), reason="this kernel gives no transparent huge pages"
)
TEXT = """\
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
Size:               4096 kB
AnonHugePages:      2048 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
VmFlags: rd wr mr mw me ac hg
7f0000400000-7f0000600000 rw-s 00000000 00:01 77 /dev/hybridmem
AnonHugePages:         0 kB
FilePmdMapped:      2048 kB
7f0000600000-7f0000800000 rw-p 00000000 00:00 0
AnonHugePages:      2048 kB
"""


def test_huge_bytes_of_a_range_are_summed_over_its_mappings(tmp_path: Path) -> None:
    smaps = tmp_path / "smaps"
    smaps.write_text(TEXT)
    assert read_huge_bytes(0x7F0000000000, 6 << 20, smaps) == 4 << 20
    assert read_huge_bytes(0x7F0000000000, 4 << 20, smaps) == 2 << 20
    with pytest.raises(ParseError, match="no mapping"):
        read_huge_bytes(0x1000, 4096, smaps)
    smaps.write_text(TEXT.replace("2048 kB", "two"))
    with pytest.raises(ParseError, match="two"):
        read_huge_bytes(0x7F0000000000, 4 << 20, smaps)


def test_pages_of_the_machine_are_told_from_huge_ones() -> None:
    with hmexp.allocate("8MiB", "0") as region:
        placement = region.placement()
        assert placement.huge_share == 0 and placement.page_bytes == PAGE_BYTES
        assert (
            hmexp.measure_bandwidth(region, sampling=hmexp.Sampling(1, 0.001)).details.page_bytes
            == PAGE_BYTES
        )


@needs_thp
def test_huge_pages_are_had_and_counted() -> None:
    with hmexp.allocate("8MiB", "0", huge=True) as region:
        found = hmexp.measure_latency(region, sampling=hmexp.Sampling(1, 0.001))
    for placement in (found.before, found.after):
        assert placement.ok and placement.huge_share == 1
    assert found.details.page_bytes == HUGE_PAGE_BYTES
    assert found.after.to_record().page_bytes == HUGE_PAGE_BYTES


@needs_thp
def test_a_region_that_is_not_huge_enough_is_an_error_with_the_share() -> None:
    with hmexp.allocate("3MiB", "0", huge=True) as region, pytest.raises(PlacementError) as caught:
        hmexp.measure_bandwidth(region, sampling=hmexp.Sampling(1, 0.001))
    assert "only 66.7% of the region" in str(caught.value) and "transparent_hugepage" in str(caught.value)
    assert caught.value.stage == "before" and caught.value.placement is not None
    assert caught.value.placement.huge_share == pytest.approx(2 / 3, abs=1e-6)


def test_names_of_sizes() -> None:
    assert find_page_bytes("page") == PAGE_BYTES
    assert find_page_bytes("2MiB") == HUGE_PAGE_BYTES
    for wrong in ("1GiB", "12KiB"):
        with pytest.raises(ParameterError, match="2MiB"):
            find_page_bytes(wrong)


def test_a_page_is_on_one_node() -> None:
    assert require_page_size(Pattern.parse("0,2", HUGE_PAGE_BYTES), HUGE_PAGE_BYTES)
    assert require_page_size(Pattern.parse("0", PAGE_BYTES), HUGE_PAGE_BYTES)
    assert not require_page_size(Pattern.parse("0,2", PAGE_BYTES), PAGE_BYTES)
    with pytest.raises(ParameterError, match="granules of 4KiB"):
        require_page_size(Pattern.parse("0,2", 4096), HUGE_PAGE_BYTES)


@given(path=st.text(st.sampled_from("/ax \r\v\x85\u2028\u2029"), max_size=12), at=st.integers(0, 12))
def test_a_path_cannot_pretend_to_be_another_mapping(path: str, at: int) -> None:
    """The kernel writes a line feed in a path as ``\\012``, and every other letter as it stands."""
    start, size = 0x7F0000000000, 4 << 20
    head = f"{start:x}-{start + size:x} rw-p 00000000 00:00 0 "
    other = f"7f0000500000-7f0000501000 r--p 00000000 08:01 5 {path[:at]}{head}{path[at:]}"
    with tempfile.TemporaryDirectory() as folder:
        smaps = Path(folder) / "smaps"
        lines = [head, "AnonHugePages: 2048 kB", other, "AnonHugePages: 8192 kB", ""]
        smaps.write_bytes("\n".join(lines).encode())
        assert read_huge_bytes(start, size, smaps) == 2 << 20


@given(st.binary(max_size=200))
def test_garbage_in_smaps_is_a_parse_error(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        smaps = Path(folder) / "smaps"
        smaps.write_bytes(b"1000-2000 rw-p \nAnonHugePages: " + garbage)
        try:
            assert read_huge_bytes(0x1000, 0x1000, smaps) >= 0
        except ParseError as error:
            assert str(smaps) in str(error)  # noqa: PT017
