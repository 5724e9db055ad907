"""What a report forgets of a record changes nothing of what it says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hmexp.report.figures.loaded_latency import curves_of
from hmexp.report.figures.strips import strips_of
from hmexp.report.model.tables import frame_of, samples_of
from hmexp.report.run.digest import Digest
from hmexp.report.run.facts import proof_ok
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.store.run import POINTS, read_run

EXAMPLE = Path(__file__).resolve().parents[3] / "results" / "example"


def test_tables_and_strips_of_the_example_are_those_of_its_whole_records() -> None:
    records = [json.loads(line) for line in (EXAMPLE / POINTS).read_text().splitlines()]
    whole, cut = Results.from_records(records, read_run(EXAMPLE)), Results.load(EXAMPLE)
    assert frame_of(cut).equals(frame_of(whole))
    assert samples_of(cut).equals(samples_of(whole))
    assert strips_of(cut) == strips_of(whole)


def _launched(synthetic: SimpleNamespace) -> dict[str, Any]:
    record: dict[str, Any] = synthetic.make_record("0,2", "read", samples=2)
    rate = {"load_gbps": 1.0, "median": 90.0, "samples": [1.0] * 9, "noise": {"flags": [[]] * 9}}
    details = {"stop": {"stopped": "cap"}, "curve": [rate, rate | {"load_gbps": 2.0}], "cpus": [0]}
    launch = {"n": 1, "median": 90.0, "details": details}
    record["result"] |= {"launches": [launch, copy.deepcopy(launch)], "bus_bytes": [1, 2]}
    record["launches"] = [{"launch": n, "proof": copy.deepcopy(record["proof"])} for n in range(2)]
    return record


def test_curves_and_stops_stay(synthetic: SimpleNamespace) -> None:
    record = _launched(synthetic)
    whole = Point.from_record(copy.deepcopy(record), (0,))
    cut = Point.from_record(Digest()(record), (0,))
    assert curves_of(cut) == curves_of(whole) and len(curves_of(cut)) == 2
    assert cut.launches == whole.launches == 2
    assert len(json.dumps(cut.record)) < 0.7 * len(json.dumps(whole.record))


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_launch_out_of_place_is_not_forgotten(synthetic: SimpleNamespace, side: str) -> None:
    record = _launched(synthetic)
    assert proof_ok(Digest()(copy.deepcopy(record))) is True
    broken = copy.deepcopy(record)
    broken["launches"][1]["proof"][side]["ok"] = False
    assert proof_ok(Digest()(broken)) is False
    absent = copy.deepcopy(record)
    absent["launches"][1]["proof"][side] = None
    assert proof_ok(Digest()(absent)) is False
    unproven = copy.deepcopy(record)
    unproven["launches"] = [{"proof": None}]
    assert proof_ok(Digest()(unproven)) is proof_ok(unproven) is None


def test_one_digest_serves_many_records_and_none_gets_anothers(synthetic: SimpleNamespace) -> None:
    digest = Digest()
    records = [_launched(synthetic) for _ in range(3)]
    records[1]["proof"]["after"]["strip"] = [[0, 2], [0, 0]]
    records[2]["result"]["payload_bytes"] = [7, 8]
    wanted = [(r["proof"]["after"]["strip"], r["result"]["payload_bytes"]) for r in copy.deepcopy(records)]
    found = [digest(record) for record in records]
    assert [(r["proof"]["after"]["strip"], r["result"]["payload_bytes"]) for r in found] == wanted
    assert found[0]["proof"]["before"]["strip"] is found[2]["proof"]["before"]["strip"]
