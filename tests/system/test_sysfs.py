"""Small readers of small files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParseError
from hmexp.system.sysfs import (
    format_id_list,
    parse_id_list,
    parse_meminfo,
    read_choice,
    read_int,
    read_text,
    split_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What Python takes for ends of lines, and the kernel for letters.
ODD_ENDS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
SOURCES = Path(__file__).resolve().parents[2] / "hmexp"


@given(st.lists(st.text(st.sampled_from("ab 0-:" + ODD_ENDS))))
def test_only_a_line_feed_ends_a_line_of_the_kernel(lines: list[str]) -> None:
    assert split_lines("".join(line + "\n" for line in lines)) == lines


@given(st.text(st.sampled_from("kB:7" + ODD_ENDS), max_size=20))
def test_a_name_with_odd_letters_hides_no_amount(name: str) -> None:
    assert parse_meminfo(f"{name}\nMemTotal: 4 kB\n{name}\n")["MemTotal"] == 4096


def _find(words: Iterable[str], *layers: str) -> list[str]:
    files = [path for layer in layers for path in (SOURCES / layer).rglob("*.py")]
    return [f"{path.name}: {word}" for path in files for word in words if word in path.read_text("utf-8")]


def test_no_reader_of_the_kernels_text_breaks_lines_elsewhere() -> None:
    """Neither `str.splitlines` nor a file of /proc or /sys that is opened as text."""
    assert not _find(["splitlines(", "open(encoding"], "system", "memory", "measure", "machine")


@given(st.sets(st.integers(0, 1024)))
def test_id_lists_round_trip(ids: set[int]) -> None:
    text = format_id_list(ids)
    assert parse_id_list("" if text == "none" else text, "here") == tuple(sorted(ids))


@pytest.mark.parametrize("text", ["x", "3-1", "0,,1", "-1", "0-", "0-99999999", "1;2", "0x1", "\u0663"])
def test_what_is_no_id_list(text: str) -> None:
    with pytest.raises(ParseError, match="/sys/somewhere"):
        parse_id_list(text, "/sys/somewhere")


@given(st.text())
def test_garbage_is_a_parse_error(text: str) -> None:
    try:
        ids = parse_id_list(text, "here")
    except ParseError:
        return
    assert list(ids) == sorted(set(ids))


def test_meminfo_of_machine_and_node() -> None:
    assert parse_meminfo("MemTotal:  8 kB\nHugePages_Total: 3\nbroken\n") == {"MemTotal": 8192}
    assert parse_meminfo("Node 12 Inactive(file):   2 kB\n") == {"Inactive(file)": 2048}


def test_unreadable_files_are_none(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert (read_text(gone), read_int(gone), read_choice(gone), read_text(tmp_path)) == (None,) * 4
    (tmp_path / "number").write_text("12 or so\n")
    assert read_int(tmp_path / "number") is None
    assert read_choice(tmp_path / "number") is None
