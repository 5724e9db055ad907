"""The record of a point keeps of its launches what the point itself does not have."""

from __future__ import annotations

import msgspec

from hmexp.experiment.point_records import join_launches
from hmexp.store.evidence import NoiseRecord, PlacementRecord, Proof
from hmexp.store.parameters import LoopPoint
from hmexp.store.records import LaunchRecord
from hmexp.store.results import Measured, SetupRecord

Strip = tuple[tuple[int, int], ...]
STRIP: Strip = ((0, 2), (0, 2), (0, 0), (0, 0))
OTHER: Strip = ((0, 2), (0, 2), (0, 0), (0, 1))


def _side(strip: Strip) -> PlacementRecord:
    return PlacementRecord(ok=True, pages=4, expected={0: 4}, found={0: 4}, numa_maps={0: 4}, strip=strip)


def _launch(number: int, strip: Strip) -> LaunchRecord:
    noise = NoiseRecord(
        preempted=(0, 0), migrated=(0, 0), off_cpu=(0.0, 0.0), stolen=(0.0, 0.0), flags=((), ())
    )
    return LaunchRecord(
        point_id="a",
        launch=number,
        status="ok",
        parameters=LoopPoint(
            pattern="0", granule_bytes=4096, size_bytes=16384, placer="first_touch", operation="read",
            threads=1,
        ),
        started=f"2026-01-0{number + 1}",
        elapsed_seconds=1.0,
        setup=SetupRecord(ns_per_page=1.0 + number, seconds=0.1),
        proof=Proof(before=_side(strip)),
        result=Measured(
            unit="GB/s", samples=(1.0, 2.0), sample_seconds=(0.1, 0.1), payload_bytes=(1, 1), n=2, median=1.5,
            noise=noise,
        ),
    )  # fmt: skip


def test_a_launch_leaves_out_the_strips_that_are_the_points() -> None:
    launches = [_launch(0, STRIP), _launch(1, STRIP), _launch(2, OTHER)]
    record = join_launches(launches)
    assert record.proof == launches[0].proof
    same, again, differs = (launch.proof for launch in record.launches)
    assert same == again == Proof(before=_side(()))
    assert differs == launches[2].proof


def test_a_launch_that_was_not_proven_stays_so() -> None:
    unproven = msgspec.structs.replace(_launch(1, STRIP), proof=None, status="failed", reason="it fell over")
    record = join_launches([_launch(0, STRIP), unproven])
    assert record.status == "failed" and record.reason == "it fell over"
    assert [launch.proof for launch in record.launches] == [_launch(0, STRIP).proof, None]
    assert record.result is None


def test_what_a_launch_took_to_set_up_is_the_median_and_what_it_took_in_all_the_sum() -> None:
    record = join_launches([_launch(number, STRIP) for number in range(3)])
    assert record.setup is not None and record.setup.ns_per_page == 2.0
    assert record.elapsed_seconds == 3.0 and record.started == "2026-01-01"
    assert isinstance(record.result, Measured) and record.result.n == 6
