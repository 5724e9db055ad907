"""What hosts are compared by: of sweeps, curves, matrices and programs."""

from __future__ import annotations

import msgspec
import pytest

from hmexp.report.fleet.comparable import Unit, gather, values_of
from hmexp.store.curves import LoadedRate
from hmexp.store.details import LoadedDetails, PerPayload
from hmexp.store.parameters import CurvePoint, LoopPoint
from hmexp.store.parts import Multiple
from hmexp.store.records import PointRecord
from hmexp.store.results import LaunchSummary, Measured
from tests.program.test_prediction import point as program_point

DRAM = (0, 1)


def loop(pattern: str, **fields: object) -> PointRecord:
    given = LoopPoint(
        placer="libnuma", pattern=pattern, granule_bytes=4096, size_bytes=1 << 20, operation="latency",
        threads=1,
    )  # fmt: skip
    launches = tuple(LaunchSummary(n=1, median=median) for median in (90.0, 110.0))
    return PointRecord(
        point_id=pattern, status="ok", parameters=msgspec.structs.replace(given, **fields), dram_share=1.0,
        result=Measured(unit="ns", samples=(90.0, 110.0), n=2, median=100.0, launches=launches),
    )  # fmt: skip


def curve(pattern: str) -> PointRecord:
    def details(scale: float) -> LoadedDetails:
        rates = ((None, 0.0, 100.0), (100, 10.0, 150.0), (0, 12.0, 400.0), (50, 13.0, 300.0))
        return LoadedDetails(
            curve=tuple(LoadedRate(delay_ns=d, load_gbps=g * scale, median=n * scale) for d, g, n in rates),
            per_payload=PerPayload(loads=0.5, stores=0.5, write_allocates=0.5),
        )  # fmt: skip

    given = CurvePoint(
        placer="libnuma", pattern=pattern, granule_bytes=4096, size_bytes=1 << 20, read_percent=50.0,
        stores="regular", threads=1, samples=1, sample_seconds=0.1,
    )  # fmt: skip
    launches = tuple(LaunchSummary(n=1, median=1.0, details=details(scale)) for scale in (1.0, 2.0))
    return PointRecord(
        point_id=pattern, status="ok", parameters=given,
        result=Measured(unit="ns", samples=(1.0, 1.0), n=2, median=1.0, launches=launches),
    )  # fmt: skip


def test_of_a_curve_the_peak_and_the_idle_latency_are_compared() -> None:
    found = {value.unit: value.launches for value in values_of(curve("0,2"), DRAM)}
    what = "50 % reads, regular stores, 1MiB"
    # A regular store reads its line first: half of the payload once more.
    assert found == {
        Unit("peak bandwidth", 0.5, "GB/s", what, 1): (13 * 1.5, 26 * 1.5),
        Unit("idle latency", 0.5, "ns", what, -1): (100.0, 200.0),
    }


def test_of_a_program_every_metric_is_compared_and_the_first_says_what_is_kept() -> None:
    for better, multiple, kept in (("lower", 2.0, 0.5), ("higher", 0.5, 0.5)):
        record = msgspec.structs.replace(
            program_point("0,2", 2.0, better=better),
            dram_share=0.5, of_dram=Multiple(median=multiple, ci_low=multiple, ci_high=multiple),
        )  # fmt: skip
        assert record.result is not None
        metric = record.result.metrics[0]  # type: ignore[union-attr]
        second = msgspec.structs.replace(metric, name="stall", unit="us", better="lower")
        record = msgspec.structs.replace(
            record, result=msgspec.structs.replace(record.result, metrics=(metric, second))
        )
        first, other = values_of(record, DRAM)
        assert first.unit == Unit("elapsed", 0.5, "s", "mine by follow", -1 if better == "lower" else 1)
        assert (first.launches, first.kept) == (metric.samples, pytest.approx(kept))
        assert (other.unit.operation, other.unit.better, other.kept) == ("stall", -1, None)


def test_cells_of_a_matrix_are_told_apart_by_their_nodes() -> None:
    cells = [loop(node, cpu_node=cpu) for cpu in "01" for node in "01"]
    found = gather(value for cell in cells for value in values_of(cell, DRAM))
    region = "1MiB, granule 4KiB, libnuma, 1 thread"
    assert sorted(unit.what for unit in found) == [
        f"{region}, CPUs of node {cpu}, pattern {node}" for cpu in "01" for node in "01"
    ]
    # A ratio may have other nodes on another host.
    assert [unit.what for unit in gather(values_of(loop("0"), DRAM))] == [region]


@pytest.mark.parametrize("samples", [(0.0, 1.0), (-1.0,), (float("inf"),), ()])
def test_values_that_have_no_logarithm_are_left_out(samples: tuple[float, ...]) -> None:
    record = program_point("0", 1.0)
    metric = msgspec.structs.replace(record.result.metrics[0], samples=samples)  # type: ignore[union-attr]
    result = msgspec.structs.replace(record.result, metrics=(metric,))
    assert values_of(msgspec.structs.replace(record, result=result), DRAM) == ()


def test_a_point_that_failed_has_no_values() -> None:
    assert values_of(msgspec.structs.replace(loop("0"), status="failed", result=None), DRAM) == ()
