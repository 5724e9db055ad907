from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import HmexpError, ParameterError
from hmexp.sweep.parameters import SweepParameters


def test_what_papermill_hands_over_for_single_values() -> None:
    """``-p patterns 0`` gives the number 0, ``-p threads 2`` a number where a list is wanted."""
    given_by_p = SweepParameters.from_mapping(
        {"patterns": 0, "threads": 2, "size": 4096, "granules": "64KiB"}
    )
    assert given_by_p.patterns == ("0",)
    assert given_by_p.threads == (2,)
    assert given_by_p.size == ("4096",)


def test_repeats_are_taken_once() -> None:
    assert SweepParameters.from_mapping({"patterns": ["0", "0,2", "0"]}).patterns == ("0", "0,2")


@pytest.mark.parametrize(
    ("given_values", "says"),
    [
        ({"pattern": ["0"]}, "did you mean 'patterns'"),
        ({"xyz": 1, "thread": 1}, "'thread' .did you mean 'threads'.*'xyz'"),
        ({"patterns": []}, "empty"),
        ({"patterns": [None]}, "not a text"),
        ({"patterns": [0.2]}, "not a text"),
        ({"patterns": True}, "not a text"),
        ({"threads": "2"}, "threads '2' is not a whole number"),
        ({"threads": [1.5]}, "not a whole number"),
        ({"samples": "ten"}, "not a whole number"),
        ({"sample_seconds": "soon"}, "not a number"),
        ({"timeout_seconds": 0}, "above 0"),
        ({"timeout_seconds": float("nan")}, "above 0"),
        ({"size": None}, "not a text"),
        ({"results": ["a"]}, "not a text"),
    ],
)
def test_bad_parameters(given_values: dict[str, object], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        SweepParameters.from_mapping(given_values)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(SweepParameters.names()), json_values, max_size=4))
def test_any_value_is_usable_or_a_parameter_error(values: dict[str, object]) -> None:
    try:
        parameters = SweepParameters.from_mapping(values)
    except HmexpError:
        return
    assert SweepParameters.from_mapping(parameters.to_record()) == parameters
