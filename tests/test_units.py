from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import UnitError
from hmexp.units import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1), (4096, 4096), ("4k", 4096), ("256MiB", 256 << 20), ("1.5 GiB", 3 << 29), ("2gb", 2 << 30),
        (" 1 TiB ", 1 << 40), ("0.5k", 512), ("9007199254740993", 9007199254740993),
    ],
)  # fmt: skip
def test_known_sizes(text: str | int, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        0,
        -4096,
        "-1",
        "3 bananas",
        "1.0001k",
        "GiB",
        "1e9",
        "1,5G",
        "0.0M",
        True,
        1.5,
        None,
        "\u0661k",
    ],
)
def test_bad_sizes(text: object) -> None:
    with pytest.raises(UnitError) as caught:
        parse_size(text)  # type: ignore[arg-type]
    assert repr(text) in str(caught.value) or str(text) in str(caught.value)


@given(st.integers(1, 1 << 50))
def test_exact_sizes_round_trip(pages: int) -> None:
    text = format_size(pages * 4096)
    if "." not in text:
        assert parse_size(text) == pages * 4096


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_unit_error(text: str) -> None:
    with contextlib.suppress(UnitError):
        assert parse_size(text) > 0
