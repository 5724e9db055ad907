"""At the end of a run, intervals are widened where its launches depend on one another."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from hmexp.experiment.effects import settle_intervals
from hmexp.measure.launches import join_results
from hmexp.measure.statistics import summarise
from hmexp.store.parameters import LoopPoint
from hmexp.store.parts import LaunchPart
from hmexp.store.reader import read_points
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured
from hmexp.store.run import POINTS, RunDirectory, open_run

POINTS_OF_RUN, LAUNCHES = 20, 6


def launch(value: float) -> Measured:
    samples = (value * 0.999, value, value * 1.001)
    s = summarise(samples)
    return Measured(unit="GB/s", samples=samples, n=3, median=s.median, ci_low=s.ci_low, ci_high=s.ci_high)


def record(
    number: int, medians: npt.NDArray[np.float64], baseline: str | None, *, rounds: bool = False
) -> PointRecord:
    given = LoopPoint(
        pattern="0", granule_bytes=4096, size_bytes=(number + 1) << 20, placer="bind", operation="read",
        threads=1,
    )  # fmt: skip
    result = join_results([launch(value) for value in medians.tolist()])
    # In rounds: a launch of each point, then the next of each.
    parts = tuple(
        LaunchPart(launch=each, started=f"2026-01-01T{each:02}:00:{number:02}+00:00")
        for each in range(len(medians) if rounds else 0)
    )
    return PointRecord(
        point_id=f"p{number}", status="ok", parameters=given, result=result, baseline_id=baseline,
        launches=parts,
    )  # fmt: skip


def fill(
    directory: RunDirectory, rows: npt.NDArray[np.float64], *, rounds: bool = False
) -> list[PointRecord]:
    records = [
        record(n, np.exp(0.01 * row), "p0" if n else None, rounds=rounds) for n, row in enumerate(rows)
    ]
    for each in records:
        directory.append(each)
    return records


def drifting(seed: int) -> npt.NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(seed).normal(size=(POINTS_OF_RUN, LAUNCHES)), axis=1)


def test_drift_widens_every_interval_and_is_said_on_each_point(tmp_path: Path) -> None:
    with open_run(tmp_path, "auto", RunRecord(name="", plan="a"), lambda _: None) as directory:
        before = {r.point_id: r for r in fill(directory, drifting(1))}
        effects = settle_intervals(directory, list(before.values()))
        assert effects is not None
        assert effects.autocorrelation > 0.5
        assert effects.points == POINTS_OF_RUN
        after = read_points(directory.path / POINTS)
        for name, old in before.items():
            one, two = old.result, after[name].result
            assert isinstance(one, Measured)
            assert isinstance(two, Measured)
            assert two.interval_widened is not None
            assert two.interval_widened > 1.5
            assert None not in (one.ci_low, one.ci_high, two.ci_low, two.ci_high)
            assert (two.ci_high or 0) - (two.ci_low or 0) > (one.ci_high or 0) - (one.ci_low or 0)
            assert two.median == one.median
            assert two.samples == one.samples
            assert (after[name].of_dram is None) == (name == "p0")
        # The same again changes nothing: no line is added.
        lines = (directory.path / POINTS).read_text().count("\n")
        assert settle_intervals(directory, list(after.values())) == effects
        assert (directory.path / POINTS).read_text().count("\n") == lines


def test_what_an_earlier_try_widened_is_taken_back_when_more_launches_say_otherwise(tmp_path: Path) -> None:
    with open_run(tmp_path, "auto", RunRecord(name="", plan="a"), lambda _: None) as directory:
        generator = np.random.default_rng(3)
        records = fill(directory, generator.normal(size=(POINTS_OF_RUN, LAUNCHES)))
        result = records[4].result
        assert isinstance(result, Measured)
        wide = msgspec.structs.replace(result, ci_low=0.1, ci_high=9.0, interval_widened=40.0)
        records[4] = msgspec.structs.replace(records[4], result=wide)
        directory.append(records[4])
        assert settle_intervals(directory, records) is None
        assert (
            msgspec.structs.replace(read_points(directory.path / POINTS)["p4"], of_dram=None).result == result
        )


def test_independent_launches_are_left_as_they_are(tmp_path: Path) -> None:
    with open_run(tmp_path, "auto", RunRecord(name="", plan="a"), lambda _: None) as directory:
        rows = np.random.default_rng(4).normal(size=(POINTS_OF_RUN, LAUNCHES))
        before = {r.point_id: r.result for r in fill(directory, rows)}
        assert settle_intervals(directory, list(read_points(directory.path / POINTS).values())) is None
        after = read_points(directory.path / POINTS)
        assert {name: each.result for name, each in after.items()} == before


def test_a_drift_of_the_whole_machine_is_in_values_and_not_in_multiples(tmp_path: Path) -> None:
    with open_run(tmp_path, "auto", RunRecord(name="", plan="a"), lambda _: None) as directory:
        noise = np.random.default_rng(5).normal(0, 0.1, size=(POINTS_OF_RUN, LAUNCHES))
        records = fill(directory, np.linspace(0, 10, LAUNCHES) + noise, rounds=True)
        effects = settle_intervals(directory, records)
        assert effects is not None
        assert effects.autocorrelation > 0.5
        assert effects.of_dram_autocorrelation == 0
        for each in read_points(directory.path / POINTS).values():
            assert isinstance(each.result, Measured)
            assert each.result.interval_widened is not None
            multiple = each.of_dram
            assert (multiple is None) == (each.point_id == "p0")
            if multiple is not None:
                assert multiple.rounds == LAUNCHES
                assert 0.995 < multiple.ci_low < multiple.ci_high < 1.005


def test_multiples_that_drift_by_themselves_are_widened(tmp_path: Path) -> None:
    with open_run(tmp_path, "auto", RunRecord(name="", plan="a"), lambda _: None) as directory:
        rows = drifting(6)
        rows[0] = 0
        effects = settle_intervals(directory, fill(directory, rows, rounds=True))
        assert effects is not None
        assert effects.of_dram_autocorrelation > 0.5
