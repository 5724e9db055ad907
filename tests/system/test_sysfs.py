"""Small readers of small files."""

from __future__ import annotations

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
)

if TYPE_CHECKING:
    from pathlib import Path


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
