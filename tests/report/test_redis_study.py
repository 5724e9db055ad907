"""What the study of a Redis says: from records of two nodes, made here, to verdicts, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from hmexp.errors import ParameterError
from hmexp.notebook.redis import read_prices
from hmexp.program.workload.files import find_workload
from hmexp.report.model.prices import Prices
from hmexp.report.page.study import PageParts, render_study
from hmexp.report.study.first.redis import redis_page
from hmexp.report.study.redis import cells_of, dumps_frame, redis_frame
from hmexp.report.study.redis_figures import redis_beside_dram, redis_dumps, redis_latency, redis_metric
from hmexp.report.study.redis_verdict import judge, redis_verdicts
from hmexp.report.study.results import StudyResults
from hmexp.store.program_points import MetricValues, ProgramLaunch, ProgramPoint, ProgramResult
from hmexp.store.program_records import PlacementSample, ProgramRun
from hmexp.store.records import PointRecord, RunRecord
from hmexp.system.provenance import timing_validity

#: Multiples of all DRAM: of the throughput, and of the p99.
Kept = tuple[float, float]
PATTERNS = {"1:0": "0", "1:1": "0,1", "0:1": "1"}
RUN = ProgramRun(command=("redis-server",), way="policy", pid=1, started="")


def record(
    ratio: str, reads: int, samples: Mapping[str, Sequence[float]], workload: str = "redis-open"
) -> PointRecord:
    definition = find_workload(workload).with_values({"read_percent": str(reads)}).record
    point = ProgramPoint(
        workload=workload, pattern=PATTERNS[ratio], granule_bytes=4096, way="policy", definition=definition
    )
    metrics = []
    for metric in definition.metrics:
        values = tuple(samples.get(metric.name, [1.0, 1.0, 1.0]))
        metrics.append(
            MetricValues(
                name=metric.name, unit=metric.unit, better=metric.better, samples=values,
                median=sorted(values)[len(values) // 2], ci_low=min(values), ci_high=max(values),
            )
        )  # fmt: skip
    seen = PlacementSample(seconds=1.0, in_place=90, misplaced=10, anonymous_by_node={0: 50, 1: 50})
    launches = tuple(ProgramLaunch(phases={}, before=seen, after=seen, run=RUN) for _ in range(3))
    name = f"{workload} {reads} "
    return PointRecord(
        point_id=name + ratio,
        status="ok",
        parameters=point,
        result=ProgramResult(metrics=tuple(metrics), launches=launches),
        baseline_id=None if ratio == "1:0" else name + "1:0",
    )


def requests(ratio: str, reads: int, kept: Kept, busy: float = 0.5) -> PointRecord:
    spread = (0.99, 1.0, 1.01)
    return record(
        ratio,
        reads,
        {
            "throughput": [100_000 * kept[0] * each for each in spread],
            "p99": [200 * kept[1] * each for each in spread],
            "client_busy": [busy] * 3,
        },
    )


def study(*records: PointRecord, slow: tuple[int, ...] = (1,), timing_valid: bool = True) -> StudyResults:
    run = RunRecord(
        name="r", plan="p", study="redis", dram_nodes=(0,), slow_nodes=slow, timing_valid=timing_valid
    )
    return StudyResults(run, records)


def both(reads: int, half: Kept, slow: Kept) -> list[PointRecord]:
    return [requests("1:0", reads, (1, 1)), requests("1:1", reads, half), requests("0:1", reads, slow)]


def test_the_sentence_holds_where_every_interval_says_so() -> None:
    found = study(
        *both(100, (0.98, 1.02), (0.7, 1.5)),
        *both(95, (0.97, 1.03), (0.6, 1.6)),
        *both(0, (0.5, 2), (0.3, 4)),
    )
    text = "\n".join(redis_verdicts(found, Prices(10.0, 2.0)))
    assert "1:1: it does; its memory costs 60% of all DRAM's." in text
    assert "0:1: it does not; its memory costs 20% of all DRAM's." in text
    assert "The sentence holds here at 1:1: slow memory may replace up to 50% of the memory" in text
    assert "Control: 1:1, values of 100B, 0 % reads suffers more: it keeps × 0.51" in text
    assert "1:1, values of 100B, 95 % reads: throughput × 0.97 [" in text
    # Writes decide nothing of a Redis that reads much.
    cells = [cell for cell in cells_of(found) if cell.ratio == "1:1"]
    assert judge([cell for cell in cells if cell.read_percent >= 95]) == "yes"
    assert judge([cell for cell in cells if cell.read_percent == 0]) == "no"


def test_a_verdict_is_open_where_the_intervals_do_not_say() -> None:
    text = "\n".join(redis_verdicts(study(*both(100, (0.905, 1.0), (0.5, 2.0)))))
    assert "1:1: open; more launches narrow the intervals." in text
    assert "Whether the sentence holds here is open." in text
    assert "costs" not in text
    text = "\n".join(redis_verdicts(study(*both(100, (0.5, 1.0), (0.5, 2.0)))))
    assert "The sentence does not hold here at any ratio: keep this Redis in DRAM." in text
    # A throughput that is kept, and a tail that is not.
    assert "1:1: it does not." in "\n".join(redis_verdicts(study(*both(100, (1.0, 1.5), (1.0, 2.0)))))


def test_a_client_that_was_the_limit_decides_nothing() -> None:
    records = both(100, (0.98, 1.02), (0.98, 1.02))
    records[1] = requests("1:1", 100, (0.98, 1.02), busy=0.97)
    found = study(*records)
    text = "\n".join(redis_verdicts(found))
    assert "Not valid: 1:1, values of 100B, 100 % reads: the client was busy 97% of the time" in text
    assert "1:1: open" in text and "0:1: it does." in text
    frame = redis_frame(found)
    assert "the client was busy" in frame.loc[(100, 100, "1:1"), "invalid"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (study(), "no point was measured"),
        (study(requests("1:0", 100, (1, 1)), slow=()), "says nothing of slow memory"),
        (study(*both(100, (1, 1), (1, 1)), timing_valid=False), "times mean nothing"),
        (study(requests("1:1", 100, (1, 1))), "DRAM alone was not measured"),
    ],
)
def test_without_slow_memory_or_true_times_there_is_no_verdict(found: StudyResults, says: str) -> None:
    [line] = redis_verdicts(found)
    assert line.startswith("No verdict: ") and says in line


def test_a_node_that_the_lab_slows_has_a_verdict_that_says_so() -> None:
    """As the guest writes it: what is judged is the emulator's delay."""
    valid, note = timing_validity(environ={"HMEXP_LAB_SLOW_NODE": "2:read=600,write=1200"})
    found = study(*both(100, (0.5, 2.0), (0.5, 2.0)), timing_valid=valid)
    found = StudyResults(msgspec.structs.replace(found.run, timing_note=note), found.records)
    first, *others = redis_verdicts(found)
    assert first.startswith("emulated: lab plugin: accesses to node 2 are delayed")
    assert "it does not" in "\n".join(others) and not any("No verdict" in each for each in others)
    # Above every figure, table and page as well.
    assert [label for label in found.title.labels if label.startswith("emulated: lab plugin")]
    page = redis_page(found)
    assert "on the emulated machine" in page.verdict and "lab plugin" in page.trust[0].text
    text = render_study(found, PageParts(page), {}, {})
    assert "The lab's emulator delayed each access to that node" in text and "published profile" not in text


def test_one_node_says_so() -> None:
    one = study(requests("1:0", 100, (1, 1)), slow=())
    one = StudyResults(msgspec.structs.replace(one.run, one_node=True), one.records)
    [line] = redis_verdicts(one)
    assert line.startswith("No verdict: this machine has one node with memory")


def test_tables_and_figures_are_of_what_was_measured() -> None:
    dumps = [record(ratio, 50, {"fork": [3.0, 4.0, 5.0]}, "redis-dump") for ratio in PATTERNS]
    found = study(*both(100, (0.9, 1.1), (0.7, 1.5)), *both(0, (0.5, 2), (0.3, 4)), *dumps)
    frame = redis_frame(found, Prices(10.0, 2.0))
    assert list(frame.index) == [(100, reads, ratio) for reads in (100, 0) for ratio in PATTERNS]
    row = frame.loc[(100, 0, "0:1")]
    assert row["throughput [requests/s]"] == pytest.approx(30_000)
    assert row["throughput of DRAM"] == pytest.approx(0.3) and row["throughput low"] < 0.3
    assert (row["price_of_all_dram"], row["misplaced_share"], row["misplaced_before"]) == (0.2, 0.1, 0.1)
    assert "price_of_all_dram" not in redis_frame(found)
    table = dumps_frame(found)
    assert list(table["fork [ms]"]) == [4.0] * 3
    assert {"server_in_place [pages]", "child_misplaced [pages]", "copied [MB]"} <= set(table.columns)
    for figure in (
        redis_beside_dram(found), redis_latency(found), redis_dumps(found), redis_metric(found, "p99", 100)
    ):  # fmt: skip
        assert any(axes.has_data() for axes in figure.axes)
    for draw in (redis_beside_dram, redis_latency, redis_dumps):
        assert draw(study()).axes


@pytest.mark.parametrize("text", ["10", "10,x", "10,0", "-1,2", ""])
def test_prices_are_two_numbers(text: str) -> None:
    with pytest.raises(ParameterError, match="price"):
        read_prices(text)
    assert read_prices("none") is None and read_prices("10, 2.5") == Prices(10.0, 2.5)
