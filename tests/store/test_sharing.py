"""Records that share their equal parts are the records that were read."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from hmexp.store.reader import POINTS, each_record
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.store.sharing import Sharing

ROOT = Path(__file__).resolve().parents[2]


def test_shared_records_are_the_same_to_the_last_byte() -> None:
    file = ROOT / "results" / "example" / POINTS
    read = list(each_record(file, PointRecord))
    share = Sharing()
    shared = [share(record) for record in read]
    assert shared == read
    # Equal is not enough: 0 and 0.0 are equal, and are written differently.
    assert [msgspec.json.encode(record) for record in shared] == [msgspec.json.encode(r) for r in read]


def test_equal_parts_become_one(tmp_path: Path) -> None:
    shutil.copy(ROOT / "results" / "example" / POINTS, tmp_path)
    share = Sharing()
    first, *_ = [share(record) for record in each_record(tmp_path / POINTS, PointRecord)]
    again = share(next(iter(each_record(tmp_path / POINTS, PointRecord))))
    assert isinstance(first.result, Measured) and isinstance(again.result, Measured)
    assert first.result.payload_bytes is again.result.payload_bytes
    assert first.proof is not None and first.proof.before is not None
    assert again.proof is not None and again.proof.before is not None
    assert first.proof.before.strip is again.proof.before.strip
