"""Whatever a person hands over: never success where there is none, never a traceback, always what to do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hmexp
from hmexp.cli.status import ExitStatus
from hmexp.errors import HmexpError, ParameterError, PatternError, StoreError
from hmexp.measure.point import near_dram, read_pattern
from hmexp.measure.threads import place_threads
from hmexp.memory.profile import Profile
from hmexp.pattern import Pattern
from hmexp.store.files import write_atomically
from hmexp.system.topology import read_topology
from hmexp.units import explain_size
from tests.cli.conftest import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"
MACHINE = read_topology()
NODE = near_dram(MACHINE)
QUICK = ("--size", "1MiB", "--samples", "3", "--sample-seconds", "0.001", "--no-baseline")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A run with a good report."""
    folder = tmp_path / "stored"
    folder.mkdir()
    for name in ("points.jsonl", "run.json"):
        shutil.copy(EXAMPLE / name, folder / name)
    (folder / "report.html").write_text("a good report")
    return folder


def remove_points(folder: Path) -> None:
    (folder / "points.jsonl").unlink()


def empty_points(folder: Path) -> None:
    (folder / "points.jsonl").write_text("")


def loop_points(folder: Path) -> None:
    remove_points(folder)
    (folder / "points.jsonl").symlink_to("points.jsonl")


def fold_points(folder: Path) -> None:
    remove_points(folder)
    (folder / "points.jsonl").mkdir()


def nest_run(folder: Path) -> None:
    (folder / "run.json").write_text("[" * 100_000 + "]" * 100_000)


def nest_in_run(folder: Path) -> None:
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    (folder / "run.json").write_text(f'{{"schema":3,"plan":"x","name":"x","parameters":{deep}}}')


def strip_parameters(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "points.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("parameters")
    (folder / "points.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove_points, "its measurements are missing"),
        (empty_points, "no point has been measured yet"),
        (loop_points, "cannot read"),
        (fold_points, "is not a file"),
        (nest_run, "run.json is damaged"),
        (nest_in_run, "run.json is damaged"),
        (strip_parameters, "line 1 of"),
    ],
)
@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_spoilt_run_is_refused_and_its_report_is_left(
    run: Run, stored: Path, command: str, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(stored)
    done = run(command, str(stored), *([str(EXAMPLE)] if command == "compare" else []))
    assert done.status == 2 and done.stdout == ""
    assert says in done.stderr and "Traceback" not in done.stderr and "results folder" not in done.stderr
    assert (stored / "report.html").read_text() == "a good report"


def test_a_file_where_the_figures_go(run: Run, stored: Path) -> None:
    (stored / "figures").write_text("mine")
    done = run("report", str(stored))
    assert done.status == 2 and "figures" in done.stderr and "-> " in done.stderr
    assert (stored / "figures").read_text() == "mine"
    assert (stored / "report.html").read_text() == "a good report"


def test_a_file_where_the_figures_of_a_study_go(run: Run, stored: Path) -> None:
    for name in ("points.jsonl", "run.json"):
        shutil.copy(EXAMPLE.with_name("example-placers") / name, stored / name)
    (stored / "figures").write_text("mine")
    done = run("report", str(stored))
    assert done.status == 2 and "Traceback" not in done.stderr
    assert f"{stored / 'figures'} is not a folder" in done.stderr and "-> move it away" in done.stderr
    assert (stored / "figures").read_text() == "mine"


def test_a_report_names_the_place_of_its_run(run: Run, stored: Path, undrawn: None) -> None:
    assert run("report", str(stored / "run.json")).status == 0
    assert f"hmexp report {stored}" in (stored / "report.html").read_text()


def test_a_page_of_a_comparison_goes_into_a_folder_that_is_there(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "nowhere" / "x.html"
    done = run("compare", str(EXAMPLE), str(EXAMPLE), "--html", str(page))
    assert done.status == 2 and f"mkdir -p {page.parent}" in done.stderr
    assert not page.parent.exists()


def test_default_sweeps_of_one_host_are_led_to_their_model(run: Run, stored: Path) -> None:
    lines = [json.loads(line) for line in (stored / "points.jsonl").read_text().splitlines()]
    for line in lines:
        if isinstance(line.get("model"), dict):
            line["model"]["value"] *= 1.01
        elif line.get("model") is not None:
            line["model"] *= 1.01
    (stored / "points.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert "--of-model" in run("compare", str(EXAMPLE), str(stored)).stdout
    assert "--of-model" not in run("compare", str(EXAMPLE), str(stored), "--of-model").stdout


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_median_that_is_lost_is_said_so(run: Run, stored: Path, value: float | None) -> None:
    lines = [json.loads(line) for line in (stored / "points.jsonl").read_text().splitlines()]
    lines[0]["result"]["median"] = value
    (stored / "points.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = run("compare", str(EXAMPLE), str(stored))
    assert "no number: ok" not in done.stdout + done.stderr
    assert "B has no median, although the point is ok" in done.stdout or done.status == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sweep --patterns -1:2", "'-1:2'"),
        ("sweep --patterns 1:2 --emulate none", "ratio '1:2' needs 2 nodes"),
        ("sweep --size -5MiB", "'-5MiB'"),
        ("sweep --threads -1", "use 1 or more, or auto"),
        ("sweep --granules 100", "use 4KiB"),
        ("sweep --granules 2GiB", "use 1GiB"),
        ("sweep --operations read,write", "--operations read write"),
        ("sweep --budget 0s", "leaves no time"),
        ("sweep --run latest --explain", "hmexp keeps that name"),
        ("sweep --run ../x --explain", "cannot be the name of a run"),
        ("find --need read>=90 --run ../x --explain", "cannot be the name of a run"),
        ("sweep --results loop --explain", "is not a folder"),
        ("find --need read>=90 --results loop --explain", "is not a folder"),
        ("matrix --results loop --explain", "is not a folder"),
        ("curves --from loop", "-> name a run of `hmexp curves`"),
        ("sweep --run läufe --explain", "'ä' is not an ASCII letter"),
        (f"sweep --run {'x' * 300} --explain", "it has 300 characters"),
        ("sweep --patterns 0,2,2 --size 900GiB", "pattern 0,2,2, with node 2 emulated on node"),
        ("study granularity --granules 1", "use 4KiB"),
        ("study granularity --granules 12KiB", "use 8KiB"),
        ("measure --pattern 1:2 --emulate none", "needs 2 nodes"),
        ("measure --pattern 0 --threads -1", "use 1 or more, or auto"),
        ("measure --pattern 0 --launches 0", "launches 0 is not a whole number from 1"),
        ("measure --pattern 0 --window 100 --size 1MiB", "use a multiple of 4KiB from 4KiB to 1MiB"),
        ("latency --pattern 0 --window 100", "use 4KiB or more"),
        ("latency --pattern 0 --stores nt --loaded", "exclude each other"),
        ("latency --pattern 0 --load-pattern 0", "add --loaded"),
        ("lab run --timeout -1 -- true", "not a number of seconds"),
        ("campaign loop", "loop"),
        ("sweep --results loop", "loop"),
        ("report loop", "loop"),
    ],
)
def test_a_value_that_cannot_be(run: Run, tmp_path: Path, words: str, says: str) -> None:
    if MACHINE.slow_nodes and "needs 2 nodes" in says:
        # The value is refused only where there is one node; the lab has machines with several.
        pytest.skip("this machine has the second node")
    (tmp_path / "loop").symlink_to("loop")
    done = run(*words.split())
    assert done.status == 2
    assert says in done.stderr and "Traceback" not in done.stderr
    assert "-> " in done.stderr
    assert not list(tmp_path.glob("results/*"))


def test_a_ratio_can_be_measured(run: Run, host_once: None) -> None:
    done = run("measure", "--pattern", "1:2", *QUICK, "--json")
    assert done.status == 0, done.stderr
    nodes = json.loads(done.stdout)["parameters"]["pattern"].split(",")
    assert len(nodes) == 3 and nodes.count(str(NODE)) == 1
    assert str(read_pattern("1:2", 4096, "auto", MACHINE)) == ",".join(nodes)
    assert read_pattern("3:1", 4096, "77=cxl-expander", MACHINE).ratio() == {NODE: 3, 77: 1}


def test_a_single_sample_has_no_interval(run: Run) -> None:
    done = run("measure", "--pattern", str(NODE), *QUICK[:2], "--samples", "1", *QUICK[4:])
    assert "a single sample, no interval" in done.stdout and ".." not in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("256MiB", None),
        ("256 MB", "is 256MiB: units are binary"),
        ("1gb", "is 1GiB"),
        ("5000", "is rounded up to 8KiB"),
        ("8192", None),
    ],
)
def test_what_a_size_is_taken_for(text: str, says: str | None) -> None:
    note = explain_size(text, 4096)
    assert note is None if says is None else says in str(note)


def test_a_sweep_says_what_it_takes_sizes_for(run: Run) -> None:
    done = run("sweep", "--size", "5000", "--patterns", str(NODE), "--explain", "--launches", "1")
    assert done.status == 0, done.stderr
    assert "note: size 5000 is rounded up to" in done.stdout


def test_python_calls_are_answered_in_words() -> None:
    with pytest.raises(PatternError, match=r"weight 1\.5, which is not a whole number"):
        Pattern.from_ratio({0: 1.5, 1: 2})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match="5 is not the path of a run"):
        hmexp.load(5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="None is not the path"):
        hmexp.load([None])  # type: ignore[list-item]
    with pytest.raises(PatternError, match="is a ratio, and its nodes are not named"):
        Pattern.parse("1:2")
    assert Pattern.parse("1:2", ratio_nodes=(0, 2)).nodes == (0, 2, 2)


@pytest.mark.parametrize("ratio", [(1, 2), (2, 1), (3, 1), (1, 1), (5, 3), (7, 12), (1, 999)])
def test_the_quick_way_to_a_ratio_spreads_as_evenly(ratio: tuple[int, int]) -> None:
    nodes = np.array(Pattern.from_ratio({4: ratio[0], 9: ratio[1]}).nodes)
    assert nodes[0] == 4 and len(nodes) == sum(ratio)
    # Of every stretch of the cycle, repeated, the counts differ by one at most: it is balanced.
    twice = np.concatenate([[0], np.cumsum(np.tile(nodes == 4, 2))])
    for length in range(1, len(nodes)):
        counts = twice[length : length + len(nodes)] - twice[: len(nodes)]
        assert counts.max() - counts.min() <= 1


def test_a_profile_with_a_key_that_means_nothing(tmp_path: Path) -> None:
    shipped = Path(hmexp.__file__).parent / "memory" / "profiles" / "cxl-expander.toml"
    file = tmp_path / "mine.toml"
    file.write_text(f'speed = "high"\n{shipped.read_text()}')
    with pytest.raises(HmexpError, match="speed is unknown"):
        Profile.load(str(file))


def test_a_budget_that_is_too_short_is_not_called_complete(run: Run) -> None:
    done = run(
        "sweep", "--patterns", str(NODE), "--operations", "read", "write", "copy", "--size", "1MiB",
        "--samples", "2", "--sample-seconds", "0.001", "--launches", "50", "--emulate", "none",
        "--budget", "1s",
    )  # fmt: skip
    assert "Not measured within 1s" in done.stderr or "With fewer launches" in done.stderr
    made, planned = re.findall(r"^(\d+) of (\d+) launches$", done.stderr, re.MULTILINE)[-1]
    # A point that has some launches is measured: what it has not is no longer planned.
    assert int(made) < int(planned) <= 150
    # A busy machine may not even start a process within the second: that is no success.
    assert done.status == (ExitStatus.OK if int(made) else ExitStatus.FAILED), done.stderr


def test_a_count_of_cpus_that_does_not_fit_has_a_remedy() -> None:
    with pytest.raises(ParameterError, match=r"1 thread needs as many CPUs, not 2 \(0, 1\)") as raised:
        place_threads(1, (0, 1))
    assert raised.value.remedy == "name 1 of them, or use 2 threads"


def test_what_is_in_the_place_of_a_folder_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    asked = ("--patterns", str(NODE), "--operations", "read", "--emulate", "none", "--size", "256KiB")
    done = run("sweep", *asked, "--results", "taken")
    assert done.status == 2 and "taken: something that is not a folder has this name" in done.stderr
    with pytest.raises(StoreError, match="taken is not a folder") as raised:
        write_atomically(tmp_path / "taken" / "x.svg", "")
    assert raised.value.remedy == "move it away, and try again"
    assert (tmp_path / "taken").read_text() == "mine"
