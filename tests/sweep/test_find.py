"""The search for the cheapest ratio: against machines whose truth is known, and a small real one."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp.errors import ParameterError
from hmexp.experiment.backlog import Backlog
from hmexp.experiment.engine import run_experiment
from hmexp.experiment.launch_records import empty_record
from hmexp.experiment.progress import Progress
from hmexp.measure.need import Requirement, parse_need
from hmexp.report.model.decision import decide
from hmexp.report.page.first import first_page
from hmexp.report.run.results import Results
from hmexp.store.reader import LAUNCHES, read_launches, read_run
from hmexp.store.records import LaunchRecord
from hmexp.store.results import Measured
from hmexp.store.run import RunDirectory
from hmexp.sweep.find import RATIOS, Find, make_find
from hmexp.sweep.point import SweepPoint
from hmexp.sweep.search import RatioSearch
from hmexp.system.topology import read_topology

Truth = Callable[[str, float], float]
ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY = read_topology()
EMULATED = {"emulate": "2=optane-dcpmm"}
WITH_DRAM = ("1:0", *RATIOS)


def find(*needs: str, **values: Any) -> Find:
    return make_find(tuple(map(parse_need, needs)), EMULATED | values, TOPOLOGY)


def empty(found: Find) -> Backlog[SweepPoint]:
    """The backlog of a run directory that has nothing yet."""
    directory = SimpleNamespace(records=list, launches=lambda _: {})
    return Backlog(found, cast("RunDirectory", directory), lambda _: None)


def launched(found: Find, point: SweepPoint, number: int, samples: list[float]) -> LaunchRecord:
    record = empty_record(found.task(point, None, number))
    unit = "ns" if point.operation == "latency" else "GB/s"
    result = Measured(unit=unit, samples=tuple(samples), median=sorted(samples)[len(samples) // 2])
    return LaunchRecord(
        point_id=record.point_id, status="ok", parameters=record.parameters, launch=number, result=result
    )


def search(found: Find, truth: Truth, noise: float = 0.0, seed: int = 1) -> tuple[str | None, RatioSearch]:
    """Search on a machine of a known truth; the pattern that was found to keep every need."""
    backlog, chance = empty(found), random.Random(seed)
    looking = found.search(backlog)
    for point, number, _ in looking.steps():
        share = point.parsed_pattern.share(found.plan.dram_nodes)
        value = truth(point.operation, share) * math.exp(noise * chance.gauss(0, 1))
        samples = [value * math.exp(noise / 5 * chance.gauss(0, 1)) for _ in range(5)]
        backlog.add(point, number, launched(found, point, number, samples))
    return looking.chosen, looking


def optane(operation: str, share: float) -> float:
    """Both nodes work side by side: some slow memory can be faster than none."""
    if operation == "latency":
        return 250 * share + 750 * (1 - share)
    fast, slow = (16.0, 6.0) if operation == "read" else (11.0, 1.9)
    return min(fast / share if share else 1e9, slow / (1 - share) if share < 1 else 1e9)


def keeps(needs: tuple[Requirement, ...], truth: Truth, share: float) -> bool:
    def quotient(need: Requirement) -> float:
        return truth(need.of, share) / (truth(need.of, 1.0) if need.unit == "x" else 1.0)

    return all(need.judge(quotient(need), quotient(need)) == "kept" for need in needs)


def cheapest(found: Find, truth: Truth) -> str | None:
    """The answer of the whole grid, without noise."""
    kept = [c.pattern for c in found.candidates if keeps(found.needs, truth, share_of(found, c.pattern))]
    return kept[0] if kept else None


def share_of(found: Find, pattern: str) -> float:
    entries = [int(word) for word in pattern.split(",")]
    return sum(entry in found.plan.dram_nodes for entry in entries) / len(entries)


@settings(max_examples=settings().max_examples // 4, deadline=None)
@given(read=st.integers(20, 100), latency=st.floats(1.01, 3.5))
def test_it_has_the_answer_of_the_whole_grid_in_a_third_of_its_launches(read: int, latency: float) -> None:
    # Not on a limit: there even a quiet machine cannot decide.
    found = find(f"read>={read - 0.37}", f"latency<={latency:.3f}37x")
    chosen, looking = search(found, optane)
    assert chosen == cheapest(found, optane)
    record = looking.record()
    assert record.open is None and not record.noise
    assert record.launches <= looking.most_launches
    assert record.launches <= record.grid_launches / 3


@settings(max_examples=settings().max_examples // 6, deadline=None)
@given(read=st.floats(0.5, 40.0))
def test_what_all_dram_does_not_keep_is_looked_for_from_the_least_dram_up(read: float) -> None:
    # A mixture reads at up to 22 GB/s, all DRAM at 16.
    found = find(f"read>={read:.2f}37GB/s")
    chosen, _ = search(found, optane)
    assert chosen == cheapest(found, optane)


@pytest.mark.parametrize(
    "profile",
    ["hmexp/memory/profiles/optane-dcpmm", "hmexp/memory/profiles/cxl-expander", "examples/remote-socket"],
)
def test_it_agrees_with_the_whole_grid_of_the_same_noisy_launches(profile: str) -> None:
    speeds = tomllib.loads((ROOT / f"{profile}.toml").read_text(encoding="utf-8"))

    def truth(operation: str, share: float) -> float:
        figure = "latency_ns" if operation == "latency" else f"{operation}_gbps"
        fast, slow = (float(speeds[node][figure]) for node in ("dram", "slow"))
        if operation == "latency":
            return fast * share + slow * (1 - share)
        return min(fast / share if share else 1e9, slow / (1 - share) if share < 1 else 1e9)

    def noisy(point: SweepPoint, number: int) -> list[float]:
        chance = random.Random(f"{point.id} {number}")
        value = truth(point.operation, share_of(found, point.pattern)) * math.exp(0.005 * chance.gauss(0, 1))
        return [value * math.exp(0.001 * chance.gauss(0, 1)) for _ in range(5)]

    found = find("read>=70", "latency<=1.9x")
    backlog, grid = empty(found), empty(found)
    looking, whole = found.search(backlog), found.search(grid)
    for point, number, _ in looking.steps():
        backlog.add(point, number, launched(found, point, number, noisy(point, number)))
    for point in found.plan.points:
        for number in range(point.launches):
            grid.add(point, number, launched(found, point, number, noisy(point, number)))
    # All launches are there: it asks for none, and judges by all of them.
    assert list(whole.steps()) == []
    assert looking.chosen == whole.chosen is not None
    assert looking.record().launches <= looking.record().grid_launches / 3


def test_what_a_need_asks_beyond_all_dram_is_found_too() -> None:
    found = find("read>=120")
    assert search(found, optane)[0] == cheapest(found, optane) is not None


def test_noise_costs_launches_and_then_forbids_an_answer() -> None:
    found = find("read>=70", "latency<=1.57x")
    quiet, loud = search(found, optane, 0.005), search(found, optane, 0.5)
    assert quiet[0] == cheapest(found, optane)
    assert loud[1].record().noise and loud[0] is None
    assert quiet[1].record().launches < loud[1].record().launches <= loud[1].most_launches


def test_a_drift_of_the_machine_falls_on_all_dram_as_well() -> None:
    found = find("read>=70")
    steps = found.search(empty(found)).steps()
    first, _, _ = next(steps)
    assert first.pattern != "0", "all DRAM alone says nothing"
    backlog = empty(found)
    order = []
    for point, number, _ in found.search(backlog).steps():
        order.append(point.pattern == "0")
        backlog.add(point, number, launched(found, point, number, [1.0 + 0.001 * number] * 5))
    assert order[:4] == [False, True, False, True]


def test_a_ratio_that_failed_is_neither_kept_nor_the_end() -> None:
    found = find("latency<=2.2x")
    backlog = empty(found)
    looking = found.search(backlog)
    for point, number, _ in looking.steps():
        record = launched(found, point, number, [optane("latency", share_of(found, point.pattern))] * 5)
        failed = point.pattern == cheapest(found, optane)
        if failed:
            record = LaunchRecord(
                point_id=point.id, status="failed", parameters=record.parameters, launch=number
            )
        backlog.add(point, number, record)
    assert looking.record().open == "failures"
    assert looking.chosen is not None and looking.chosen != cheapest(found, optane)


@pytest.mark.parametrize(
    ("needs", "values", "says"),
    [
        ((), {}, "nothing is needed"),
        (("read>=90",), {"launches": 1}, "launches 1 gives no interval"),
        (("read>=90",), {"patterns": ["1:0"]}, "no pattern has slow memory"),
        (("read>=90",), {"size": "900TiB"}, "900TiB"),
        (("store_flush<=2x",), {"emulate": "2=cxl-expander"}, "store_flush"),
    ],
)
def test_what_cannot_be_searched_is_refused(needs: tuple[str, ...], values: Any, says: str) -> None:
    with pytest.raises(Exception, match=r"\w") as refused:
        find(*needs, **values)
    assert says in str(refused.value)


def test_times_that_mean_nothing_are_not_searched_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HMEXP_TIMING_VALID", "0")
    with pytest.raises(ParameterError, match="timings mean nothing here"):
        find("read>=90")


class Stop:
    """Interrupts after so many launches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def show(self, progress: Progress) -> None:
        self.left -= "of this host" not in progress.current
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_real_search_resumes_has_a_first_page_and_is_finished(tmp_path: Path) -> None:
    given = {
        "size": "1MiB", "samples": 2, "sample_seconds": 0.002, "precision": 0, "launches": 2,
        "patterns": ["1:1", "0:1"], "results": str(tmp_path),
    }  # fmt: skip
    found = find("latency<=9.9x", **given)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(found, Stop(3), lambda _: None)
    path = (tmp_path / "latest-find").resolve()
    assert path.name.startswith("find-") and not (tmp_path / "latest").exists()
    kept = (path / LAUNCHES).read_bytes()
    search_record = read_run(path).search
    assert search_record is not None and search_record.open == "begun"
    outcome = run_experiment(found, None, lambda _: None)
    assert outcome.path == path and (path / LAUNCHES).read_bytes().startswith(kept)
    run = read_run(path)
    assert run.search is not None and run.finished and run.points == sum(outcome.counts.values())
    made = read_launches(path / LAUNCHES)
    assert run.search.launches == sum(map(len, made.values())) <= run.search.grid_launches == 6
    results = Results.load(path)
    decision = decide(results)
    # The needs are the run's own, and what was left out is not missing.
    assert [str(need) for need in decision.needs] == ["latency<=9.9x"]
    page = first_page(decision, results)
    assert decision.verdict in ("yes", "cannot say") and page.css != "bad"
    assert any(ground.name in ("Searched", "Not decided") for ground in page.trust)
