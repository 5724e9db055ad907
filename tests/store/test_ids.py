"""The ids of points that are stored can be made again of their parameters: resuming goes by them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_points
from hmexp.sweep.point import SweepPoint

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example" / POINTS


def test_every_id_of_the_example_is_rebuilt_from_its_parameters() -> None:
    raw = [json.loads(line) for line in EXAMPLE.read_text().splitlines()]
    assert len(raw) == 35
    by_hand = [SweepPoint(**record["parameters"]).id for record in raw]
    assert by_hand == [record["point_id"] for record in raw]
    read = read_points(EXAMPLE)
    assert list(read) == by_hand
    for point_id, record in read.items():
        assert isinstance(record.parameters, LoopPoint)
        point = SweepPoint(**msgspec.structs.asdict(record.parameters))
        assert point.id == point_id
        assert point.to_record() == record.parameters
