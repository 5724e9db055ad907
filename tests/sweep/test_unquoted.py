"""Ratios that YAML reads as numbers where they stand without quotes."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.sweep.parameters import SweepParameters

SHARES = st.integers(0, 300)


@given(st.lists(SHARES, min_size=2, max_size=3))
def test_a_ratio_without_quotes_is_itself_or_is_told(shares: list[int]) -> None:
    ratio = ":".join(map(str, shares))
    read = yaml.safe_load(f"[{ratio}]")
    try:
        kept = SweepParameters.from_mapping({"patterns": read}).patterns
    except ParameterError as error:
        told = str(error)
        assert "quotes" in told and "YAML" in told
        assert ratio in told or len(shares) > 2
    else:
        # YAML reads no number with a leading zero, or with a part over 59, so.
        assert kept == (ratio,)


@given(st.lists(st.integers(0, 59), min_size=1, max_size=4, unique=True))
def test_numbers_are_nodes_as_far_as_no_ratio_becomes_one(nodes: list[int]) -> None:
    assert SweepParameters.from_mapping({"patterns": nodes}).patterns == tuple(map(str, nodes))


@pytest.mark.parametrize("text", ["on", "1:0.5", "2026-11-26", "~", "[[0, 2]]", "{0: 2}"])
def test_what_else_yaml_makes_of_a_pattern_is_told(text: str) -> None:
    with pytest.raises(ParameterError, match="YAML"):
        SweepParameters.from_mapping({"patterns": [yaml.safe_load(text)]})
