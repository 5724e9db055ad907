"""Whatever can be a record is read back as it was written."""

from __future__ import annotations

import types
import typing
from functools import cache

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hmexp.store.journal import append_line, replace_file
from hmexp.store.reader import RUN, each_record, read_run
from hmexp.store.records import LaunchRecord, PointRecord, RunRecord
from hmexp.store.results import Measured
from hmexp.store.schema import Stored
from hmexp.store.writer import encode, encode_run

# Every text that UTF-8 has, and every number that JSON has and Python keeps as it is.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SIMPLE: dict[object, st.SearchStrategy[object]] = {
    bool: st.booleans(), int: WHOLE, float: NUMBER, str: TEXT, type(None): st.none(),
}  # fmt: skip
#: Always drawn: they have several kinds.
KINDS = ("parameters", "result", "details")
MOST_OTHERS = 3


@cache
def strategy(hint: object) -> st.SearchStrategy[typing.Any]:
    """Values of a type, of every kind where it has several."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(strategy, inner))
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(strategy(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(strategy, inner))
    if origin is dict:
        return st.dictionaries(strategy(inner[0]), strategy(inner[1]), max_size=3)
    assert isinstance(hint, type) and issubclass(hint, Stored), hint
    return record(hint)


@cache
def record(kind: type[Stored]) -> st.SearchStrategy[typing.Any]:
    """Records of a type: what must be there, what says its kind, and a few of the other fields.

    Hypothesis would take seconds to draw every field of a point that has all of its parts.
    """
    hints = typing.get_type_hints(kind)
    needed = [field.name for field in msgspec.structs.fields(kind) if field.required or field.name in KINDS]
    others = [name for name in kind.__struct_fields__ if name not in needed and name != "schema"]
    chosen = st.lists(st.sampled_from(others), max_size=MOST_OTHERS, unique=True) if others else st.just([])
    return st.composite(_draw)(kind, hints, needed, chosen)


def _draw(
    draw: st.DrawFn,
    kind: type[Stored],
    hints: dict[str, object],
    needed: list[str],
    chosen: st.SearchStrategy[list[str]],
) -> Stored:
    return kind(**{name: draw(strategy(hints[name])) for name in (*needed, *draw(chosen))})


@pytest.mark.parametrize("kind", [PointRecord, LaunchRecord])
@settings(max_examples=settings().max_examples // 2, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_line_is_read_back_as_it_was_written(
    kind: type[PointRecord | LaunchRecord], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = data.draw(st.lists(record(kind), min_size=1, max_size=2))
    file = tmp_path_factory.mktemp("run") / "points.jsonl"
    for one in written:
        append_line(file, encode(one), new=True)
    assert file.read_bytes().count(b"\n") == len(written)
    assert list(each_record(file, kind)) == written


@settings(max_examples=settings().max_examples // 2, suppress_health_check=list(HealthCheck))
@given(run=record(RunRecord))
def test_a_run_is_read_back_as_it_was_written(
    run: RunRecord, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    replace_file(folder / RUN, encode_run(run))
    assert read_run(folder) == run


def test_every_kind_of_parameters_results_and_details_is_drawn() -> None:
    seen: set[str] = set()

    @settings(max_examples=300, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(record(PointRecord), record(Measured))
    def look(point: PointRecord, measured: Measured) -> None:
        seen.update(type(part).__name__ for part in (point.parameters, point.result, measured.details))

    look()
    assert seen >= {
        "LoopPoint", "CostPoint", "MappingsPoint", "BehaviourPoint", "GranulePoint", "CurvePoint",
        "Measured", "CostRecord", "Mappings", "Behaviour", "Windows", "NoneType",
        "BandwidthDetails", "LatencyDetails", "StoreLatencyDetails", "LoadedDetails", "TailDetails",
    }  # fmt: skip
