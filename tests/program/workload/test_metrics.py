"""Numbers in outputs: by a regular expression, by a path in JSON, and percentiles of many."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import MeasurementError
from hmexp.program.workload.metrics import extract, parse_path, take
from hmexp.store.workload_records import MetricRecord


def metric(**given: Any) -> MetricRecord:
    return MetricRecord(name="speed", unit="1/s", better="higher", **given)


@pytest.mark.parametrize(
    ("given", "output", "value"),
    [
        ({"regex": r"^speed: ([0-9.]+)$"}, "speeds: 2\nspeed: 1.5\n", 1.5),
        ({"regex": r"[\d,]+\.\d+"}, "in all 1,234,567.5 a second", 1234567.5),
        ({"regex": r"(?P<value>\d+) (a|b)s", "take": "sum"}, "1 as, 2 bs", 3),
        ({"regex": r"t=(\S+)", "take": "last", "scale": 1e-3}, "t=1e3 t=5e3", 5),
        ({"json": "a.b[-1]"}, 'starting\n{"a": {"b": [1, 2.5]}}\nbye', 2.5),
        ({"json": '["odd name"].x'}, '{"odd name": {"x": "7"}}', 7),
        ({"json": "runs[*].s", "take": "largest"}, '{"runs":\n [{"s": 1}, {"s": 3}, {"s": 2}]}', 3),
        ({"json": "[*]", "take": "p50"}, "[4, 1, 3, 2]", 2),
    ],
)  # fmt: skip
def test_a_number_is_found(given: dict[str, Any], output: str, value: float) -> None:
    assert extract(metric(**given), output) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "output", "words"),
    [
        ({"regex": r"speed (\d+)"}, "", "nothing matches"),
        ({"regex": r"speed (\d+)"}, "", "the output was empty"),
        ({"regex": r"speed (\d+)"}, "speed 1 speed 2", "2 numbers match; take says which one"),
        ({"regex": r"speed (\S+)"}, "speed fast", "'fast' is not a number"),
        ({"regex": r"speed (\S+)"}, "speed nan", "is not a finite number"),
        ({"json": "a.c"}, '{"a": {"b": 1}}', "'c' of a.c is not there; there are b"),
        ({"json": "a"}, "no JSON", "neither the output nor a line of it is JSON"),
        ({"json": "a"}, '{"a": true}', "'true' is not a number"),
        ({"json": "a[*]"}, '{"a": 1}', "needs a list"),
        ({"regex": r"\d+", "take": "p99"}, "1 2 3", "p99 needs 100 numbers, and 3 match"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_an_error_that_shows_the_output(
    given: dict[str, Any], output: str, words: str
) -> None:
    with pytest.raises(MeasurementError) as caught:
        extract(metric(**given), output)
    assert words in str(caught.value)
    assert "speed" in str(caught.value)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.floats(0, 100, exclude_max=True))
def test_a_percentile_is_one_of_the_numbers_and_that_part_is_not_above_it(
    values: list[float], rank: float
) -> None:
    text = f"p{rank:.3f}"
    rank = float(text[1:])
    if text.startswith("p100") or len(values) < 1 / (1 - rank / 100):
        return
    found = take(values, text)
    assert found in values
    below = sum(value <= found for value in values)
    assert below >= rank / 100 * len(values) - 1e-6
    # And no smaller one of them would do.
    smaller = [value for value in values if value < found]
    assert not smaller or sum(value <= max(smaller) for value in values) < rank / 100 * len(values) + 1e-6


@given(
    st.recursive(
        st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5) | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    ),
    st.data(),
)
def test_each_number_in_any_json_is_found_by_its_path(document: Any, data: st.DataObject) -> None:
    path, item = "", document
    while isinstance(item, list | dict) and item:
        if isinstance(item, list):
            index = data.draw(st.integers(0, len(item) - 1))
            path, item = f"{path}[{index}]", item[index]
        else:
            key = data.draw(st.sampled_from(sorted(item)))
            if '"' in key or "\n" in key:
                return
            path, item = f'{path}["{key}"]', item[key]
    if not path:
        return
    assert parse_path(path)
    noise = data.draw(st.sampled_from(["", "started\n", "[INFO] begun\n"]))
    if isinstance(item, float):
        assert math.isclose(extract(metric(json=path), noise + json.dumps(document)), item)
    elif item is None:
        with pytest.raises(MeasurementError):
            extract(metric(json=path), noise + json.dumps(document))


@given(st.text(max_size=60))
def test_any_output_gives_a_finite_number_or_an_error(output: str) -> None:
    for one in (metric(regex=r"(\S+)", take="last"), metric(json="a[0]")):
        with contextlib.suppress(MeasurementError):
            assert math.isfinite(extract(one, output))
