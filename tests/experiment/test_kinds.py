"""A kind that is made up, counting words, gets everything from the engine for a module and a few lines.

It is added to a copy of hmexp, just as `hmexp/experiment/kinds.py` says, and measured there by workers of its
own: nothing of it is known to the engine, the store or the studies beforehand.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hmexp

#: What a new kind adds to files that are there already: before which line, what.
LINES = {
    "store/parameters.py": (
        "#: A new kind adds its struct here",
        """class WordsPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="words"):
    file: str
    size_bytes: int


""",
    ),
    "store/results.py": (
        "#: What a launch measured, by the kind of its point",
        """class Words(Tagged, frozen=True, kw_only=True, gc=False, tag="words"):
    count: int
    seconds: Measured


""",
    ),
    "experiment/kinds.py": (
        '    "cost": Kind(',
        '    "words": Kind("hmexp.words:measure", None, "hmexp.words:join", "hmexp.words:compare"),\n',
    ),
}
UNIONS = {"store/parameters.py": ("PointParameters", "WordsPoint"), "store/results.py": ("Result", "Words")}

MODULE = '''
"""Counting words: how it is measured, and a study of it."""

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from hmexp.errors import MeasurementError
from hmexp.experiment.engine import run_experiment
from hmexp.experiment.kinds import Taken
from hmexp.experiment.pace import Span
from hmexp.experiment.protocol import Options
from hmexp.measure.launches import join_results
from hmexp.store.parameters import WordsPoint
from hmexp.store.results import Measured, Words
from hmexp.study.experiment import Study, StudyParameters, StudyPoint
from hmexp.system.topology import read_topology


def measure(task):
    text = Path(task.parameters.file).read_text()
    if Path(f"{task.parameters.file}.open").exists():
        raise MeasurementError(f"{task.parameters.file} is being written", "wait until it is closed")
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        count = len(text.split())
        took.append(time.perf_counter() - begun)
    samples = Measured(
        unit="s", samples=tuple(took), n=3, median=statistics.median(took),
        ci_low=min(took), ci_high=max(took),
    )
    return Taken(Words(count=count, seconds=samples))


def join(results):
    return Words(count=results[0].count, seconds=join_results([result.seconds for result in results]))


def compare(result):
    return result.seconds


class Shown:
    def __init__(self, stop):
        self.stop, self.seen = stop, []

    def show(self, progress):
        self.seen.append([progress.done, progress.total, progress.failed])
        if progress.done == self.stop:
            raise KeyboardInterrupt


class WordsStudy(Study):
    @property
    def options(self):
        return replace(super().options, **json.loads(sys.argv[2]))

    def estimate(self):
        return lambda point: Span(0.1, 0.5)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    points = [
        StudyPoint(WordsPoint(file=str(file), size_bytes=file.stat().st_size), launches=3)
        for file in sorted(folder.glob("*.txt"))
    ]
    study = WordsStudy(
        name="words",
        parameters=StudyParameters(results=str(folder / "results"), seed=5),
        points=tuple(points),
        topology=read_topology(),
        headline="Words are counted.",
        baselines={point.id: points[0].id for point in points[1:]},
    )
    shown, said = Shown(int(sys.argv[3])), []
    try:
        outcome = run_experiment(study, shown, said.append)
        counts = outcome.counts
    except KeyboardInterrupt:
        counts = None
    print(json.dumps({"counts": counts, "seen": shown.seen, "said": said, "ids": [p.id for p in points]}))
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of hmexp with one kind more."""
    root = tmp_path_factory.mktemp("copy")
    package = root / "hmexp"
    shutil.copytree(Path(hmexp.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "words.py").write_text(MODULE)
    for name, (line, added) in LINES.items():
        file = package / name
        text = file.read_text()
        assert text.count(line) == 1
        text = text.replace(line, added + line)
        if name in UNIONS:
            union, struct = UNIONS[name]
            assert text.count(f"\n{union} = ") == 1
            text = text.replace(f"\n{union} = ", f"\n{union} = {struct} | ")
        file.write_text(text)
    return root


class Words:
    """Texts of three lengths, and what is counted of them."""

    def __init__(self, copy: Path, folder: Path) -> None:
        self.copy, self.folder = copy, folder
        for number in (1, 2, 3):
            (folder / f"{number}.txt").write_text("some words " * 20000 * number)

    def count(self, *, stop: int = -1, **options: Any) -> dict[str, Any]:
        command = [
            sys.executable,
            "-P",
            "-m",
            "hmexp.words",
            str(self.folder),
            json.dumps(options),
            str(stop),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=self.folder,
            env={"PYTHONPATH": str(self.copy), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @property
    def run(self) -> Path:
        return (self.folder / "results" / "latest-words").resolve()

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run / name).read_text().splitlines()]


@pytest.fixture
def words(copy: Path, tmp_path: Path) -> Words:
    return Words(copy, tmp_path)


def test_it_has_rounds_progress_and_records(words: Words) -> None:
    messages = words.count()
    assert messages["counts"] == {"ok": 3}
    assert [seen[:2] for seen in messages["seen"]] == [[done, 9] for done in range(10)]
    launches = words.lines("launches.jsonl")
    assert [one["launch"] for one in launches] == [0] * 3 + [1] * 3 + [2] * 3
    rounds = [tuple(one["point_id"] for one in launches[begin : begin + 3]) for begin in (0, 3, 6)]
    assert all(set(one) == set(messages["ids"]) for one in rounds) and len(set(rounds)) > 1
    points = {record["point_id"]: record for record in words.lines("points.jsonl")}
    for number, name in enumerate(messages["ids"], start=1):
        record = points[name]
        assert record["parameters"]["kind"] == record["result"]["kind"] == "words"
        assert record["result"]["count"] == 40000 * number
        assert record["result"]["seconds"]["n"] == 9 and len(record["launches"]) == 3
    run = json.loads((words.run / "run.json").read_text())
    assert run["study"] == "words" and run["finished"] and run["provenance"]


def test_its_points_are_compared_with_another(words: Words) -> None:
    first, *others = words.count()["ids"]
    points = {record["point_id"]: record for record in words.lines("points.jsonl")}
    assert points[first]["of_dram"] is None
    for name in others:
        of_first = points[name]["result"]["seconds"]["median"] / points[first]["result"]["seconds"]["median"]
        assert points[name]["of_dram"]["median"] == pytest.approx(of_first)


def test_interrupted_it_is_resumed_where_it_was(words: Words) -> None:
    assert words.count(stop=4)["counts"] is None
    kept = (words.run / "launches.jsonl").read_bytes()
    assert len(kept.splitlines()) == 4
    assert words.count()["counts"] == {"ok": 3}
    assert (words.run / "launches.jsonl").read_bytes().startswith(kept)
    assert len(words.lines("launches.jsonl")) == 9


@pytest.mark.slow
def test_a_time_is_used_and_what_is_left_is_named(words: Words) -> None:
    messages = words.count(budget_seconds=0.01, budget="0.01s")
    assert messages["counts"] == {} and any(
        "Not measured within 0.01s: 3 points" in one for one in messages["said"]
    )
    assert words.count(stop=8)["counts"] is None
    # One of nine launches is left to be made; the rest of the time is for those that are known the least.
    words.count(budget_seconds=8.0, budget="8s", precision=1e-9)
    purposes = [launch["purpose"] for launch in words.lines("launches.jsonl")]
    assert purposes[:9] == ["planned"] * 9 and set(purposes[9:]) == {"budget"}


def test_what_is_wide_is_retried(words: Words) -> None:
    messages = words.count(precision=1e-9, retry_unstable=1)
    assert any("Still unstable after 1 retries: 3 points" in one for one in messages["said"])
    for record in {one["point_id"]: one for one in words.lines("points.jsonl")}.values():
        assert [one["purpose"] for one in record["launches"]] == ["planned"] * 3 + ["unstable"]


def test_its_failures_are_records_with_its_own_words_and_are_tried_again(words: Words) -> None:
    still_open = words.folder / "2.txt.open"
    still_open.touch()
    messages = words.count()
    assert messages["counts"] == {"ok": 2, "failed": 1}
    failed = next(record for record in words.lines("points.jsonl") if record["status"] == "failed")
    assert failed["error"] == "MeasurementError" and "2.txt is being written" in failed["reason"]
    still_open.unlink()
    run = words.run
    assert words.count()["counts"] == {"ok": 3} and words.run == run
    assert len(words.lines("launches.jsonl")) == 3 + 3 + 1 + 3
