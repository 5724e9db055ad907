"""Shapes of a sweep's loops: chosen once, recorded, kept by a resumed run, and plain where that is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hmexp.errors import ParameterError
from hmexp.experiment.progress import NoDisplay, Progress
from hmexp.measure import shape_cache
from hmexp.measure.shape_choice import is_kept
from hmexp.native import SHAPES, vector_bits
from hmexp.report.comparison.options import ComparisonOptions
from hmexp.report.comparison.verdicts import compare
from hmexp.store.details import BandwidthDetails
from hmexp.store.reader import POINTS, read_points, read_run
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.store.shapes import ShapeRecord, ShapeTrial
from hmexp.store.writer import encode_run
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.topology import read_topology

SMALL: dict[str, Any] = {
    "size": "64MiB", "samples": 2, "sample_seconds": 0.001, "operations": ["read", "copy", "latency"],
    "threads": [1], "launches": 2, "precision": 0, "patterns": ["0"], "emulate": "none",
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sweep(results: Path, said: list[str] | None = None, display: Any = None, **values: Any) -> Path:
    plan = make_plan(
        SweepParameters.from_mapping(SMALL | {"results": str(results)} | values), read_topology()
    )
    return run_sweep(plan, display or NoDisplay(), (said if said is not None else []).append).path


def walked(path: Path) -> dict[str, set[str]]:
    """The shapes of the launches of each bandwidth."""
    found: dict[str, set[str]] = {}
    for record in read_points(path / POINTS).values():
        for details in _details(record):
            found.setdefault(_operation(record), set()).add(f"{details.shape}-{details.vector_bits}")
    return found


def _details(record: PointRecord) -> list[BandwidthDetails]:
    assert isinstance(record.result, Measured)
    every = [record.result.details, *(launch.details for launch in record.result.launches)]
    return [one for one in every if isinstance(one, BandwidthDetails)]


def _operation(record: PointRecord) -> str:
    return str(getattr(record.parameters, "operation", ""))


def kept(operation: str, shape: str, ratio: float, bits: int = vector_bits()) -> ShapeRecord:
    """As if it had been measured here."""
    plain = ShapeTrial(
        shape="plain", vector_bits=vector_bits(), ratios=(1.0, 1.0), gbps=(10.0, 10.0), rounds=7
    )
    trial = ShapeTrial(shape=shape, vector_bits=bits, ratios=(ratio, ratio), gbps=(11.0, 11.0), rounds=7)
    return ShapeRecord(
        operation=operation, page_bytes=4096, threads=1, shape=shape, vector_bits=bits, ratio=ratio,
        source="measured", trials=(plain, trial),
    )  # fmt: skip


def test_auto_measures_once_and_says_what_every_shape_gave(tmp_path: Path) -> None:
    said: list[str] = []
    path = sweep(tmp_path, said, operations=["read"], launches=1, sample_seconds=0.05, shapes="auto")
    (record,) = read_run(path).shapes or ()
    assert (record.operation, record.page_bytes, record.threads, record.source) == (
        "read",
        4096,
        1,
        "measured",
    )
    assert {trial.shape for trial in record.trials} == set(SHAPES) - {"places4w"}
    assert walked(path) == {"read": {record.name}}
    assert any(record.name in line or "plain loop is kept" in line for line in said)
    again = sweep(tmp_path, operations=["read"], launches=1, sample_seconds=0.05, shapes="auto", run="again")
    (second,) = read_run(again).shapes or ()
    if is_kept(record):
        assert second == msgspec.structs.replace(record, source="kept")
    else:
        assert second.source == "measured" and any("busy" in line for line in said)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"shapes": "plain"},
        {"shapes": "auto"},  # of samples of a millisecond nobody sees a difference
        {"shapes": "auto", "sample_seconds": 0.05, "size": "16MiB"},
        {"shapes": "places4", "operations": ["latency"]},
        {"shapes": "places4", "operations": ["read"], "access": ["random_line"]},
        {"shapes": "places4", "emulate": "2=optane-dcpmm", "operations": ["read"]},
        {"shapes": "auto", "emulate": "2=optane-dcpmm", "operations": ["read"], "sample_seconds": 0.05},
    ],
    ids=str,
)
def test_where_there_is_nothing_to_choose_loops_are_plain(tmp_path: Path, values: dict[str, Any]) -> None:
    given: dict[str, Any] = {"operations": ["read"], "launches": 1} | values
    path = sweep(tmp_path, **given)
    assert read_run(path).shapes == ()
    # Single lines have narrower vectors.
    bits = min(256, vector_bits()) if "access" in values else vector_bits()
    assert all(shapes == {f"plain-{bits}"} for shapes in walked(path).values())
    assert not shape_cache.cache_folder().exists()


def test_a_named_shape_is_that_of_every_operation_that_has_it(tmp_path: Path) -> None:
    path = sweep(tmp_path, shapes="places4w")
    widest = vector_bits()
    assert walked(path) == {"read": {f"plain-{widest}"}, "copy": {f"places4w-{widest}"}}
    shapes = {one.operation: (one.name, one.ratio) for one in read_run(path).shapes or ()}
    assert shapes == {"read": (f"plain-{widest}", None), "copy": (f"places4w-{widest}", None)}


class StopError(Exception):
    """In the middle of a run."""


class After:
    """Ends a run as soon as a few launches are made."""

    def show(self, progress: Progress) -> None:
        if progress.done >= 2:
            raise StopError


def test_a_resumed_run_keeps_its_shapes(tmp_path: Path) -> None:
    """Whatever is asked or kept by then: the points of a run are measured alike."""
    with pytest.raises(StopError):
        sweep(tmp_path, display=After(), shapes="places2", run="one")
    began = read_run(tmp_path / "one").shapes
    shape_cache.keep(kept("read", "places4", 1.2))
    said: list[str] = []
    path = sweep(tmp_path, said, shapes="auto", run="one")
    assert read_run(path).shapes == began
    assert any("keeps" in line and "places2" in line for line in said)
    widest = vector_bits()
    assert walked(path) == {"read": {f"places2-{widest}"}, "copy": {f"places2-{widest}"}}


def test_a_run_that_was_begun_without_shapes_stays_plain(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        sweep(tmp_path, display=After(), run="old")
    run = msgspec.structs.replace(read_run(tmp_path / "old"), shapes=None)
    (tmp_path / "old" / "run.json").write_bytes(encode_run(run))
    path = sweep(tmp_path, shapes="places4", run="old")
    assert read_run(path).shapes is None
    assert all(shapes == {f"plain-{vector_bits()}"} for shapes in walked(path).values())


@pytest.mark.parametrize("shapes", ["sing", "places4-77", "", "auto-256", "plain-"])
def test_an_unknown_shape_is_refused(tmp_path: Path, shapes: str) -> None:
    with pytest.raises(ParameterError, match="shape"):
        sweep(tmp_path, shapes=shapes)


def test_runs_of_other_shapes_are_compared_by_the_recorded_ratio_or_not_at_all(tmp_path: Path) -> None:
    plain = sweep(tmp_path, run="plain", operations=["read"])
    bare = sweep(tmp_path, run="bare", operations=["read"], shapes="places4")
    shape_cache.keep(kept("read", "places4", 1.25))
    bridged = sweep(tmp_path, run="bridged", operations=["read"], shapes="places4")
    (refused,) = compare(plain, bare).points
    assert refused.verdict == "not comparable"
    assert "different shapes" in (refused.why or "") and "--shapes" in (refused.why or "")
    (same,) = compare(bare, bridged).points
    assert same.verdict != "not comparable"
    outcome = compare(plain, bridged, ComparisonOptions())
    (point,) = outcome.points
    assert point.quotient is not None and point.a.median is not None and point.b.median is not None
    assert point.quotient == pytest.approx(point.b.median / point.a.median / 1.25)
    assert any("different shapes" in line and "1.250 of plain" in line for line in outcome.summary)
    back = compare(bridged, plain).points[0].quotient
    assert back == pytest.approx(1 / point.quotient)
