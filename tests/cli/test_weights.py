"""`hmexp weights` as a person runs it, on whatever machine this is: it reads, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hmexp.memory.placers import PLACERS
from hmexp.system.settings import HERE
from hmexp.system.sysfs import read_text
from tests.cli.conftest import Run

EXAMPLE = str(Path(__file__).resolve().parents[2] / "results" / "example")
PROFILE = ("weights", "--profile", "cxl-expander", "--nodes", "0,62")


def values() -> dict[str, str | None]:
    nodes, modes = HERE.weight_files()
    return {path.name: read_text(path) for path in (*nodes.values(), *modes)}


def test_weights_of_a_profile(run: Run) -> None:
    before = values()
    done = run(*PROFILE)
    assert done.status == 0, done.stderr
    assert "node 0 = 9, node 62 = 1" in done.stdout
    assert "echo 9 > /sys/kernel/mm/mempolicy/weighted_interleave/node0" in done.stdout
    assert "numactl --weighted-interleave=0,62" in done.stdout
    found = json.loads(run(*PROFILE, "--reads", "50%", "--tolerance", "0", "--json").stdout)
    assert found["reads"] == 0.5 and found["worst_loss"] < 1e-4
    assert values() == before


def test_weights_of_a_sweep_that_has_points_on_one_node(run: Run) -> None:
    done = run("weights", EXAMPLE)
    assert done.status == 0, done.stderr
    assert "EMULATED: its numbers say nothing about this machine" in done.stdout
    found = json.loads(run("weights", EXAMPLE, "--json").stdout)
    [row] = found["by_initiator"]
    # The fastest of the points on each node, and the best ratio that was measured.
    assert set(row["gbps"]) == {"0", "2"} and row["gbps"]["0"] > row["gbps"]["2"]
    assert row["best_measured"]["weights"] == {"0": 3, "2": 1}
    assert row["best_measured"]["gbps"] < row["best_gbps"]
    writes = json.loads(run("weights", EXAMPLE, "--reads", "0", "--json").stdout)
    assert writes["weights"] != found["weights"]


def test_bandwidths_that_are_poorly_known_are_noted(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("weights", EXAMPLE, "--json").stdout)["notes"] == []
    folder = tmp_path / "noisy"
    folder.mkdir()
    (folder / "run.json").write_bytes((Path(EXAMPLE) / "run.json").read_bytes())
    lines = []
    for line in (Path(EXAMPLE) / "points.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["parameters"]["operation"] == "write" and record["parameters"]["pattern"] == "2":
            record["result"]["ci_high"] = 3 * record["result"]["median"]
        lines.append(json.dumps(record))
    (folder / "points.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    [note] = json.loads(run("weights", str(folder), "--json").stdout)["notes"]
    assert "bandwidths are poorly known: write on node 2 from the CPUs of node 0" in note


def test_without_a_matrix_it_says_what_to_do(run: Run) -> None:
    done = run("weights")
    assert done.status == 2
    assert "latest-matrix: this machine was not measured yet" in done.stderr and "hmexp matrix" in done.stderr
    done = run("weights", "nowhere")
    assert done.status == 2 and "nowhere" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--reads", "75"), "write a percentage with its sign"),
        (("--reads", "x"), "is not a number"),
        (("--nodes", "0"), "does not name two nodes"),
        (("--nodes", "0,x"), "is not a range of ids"),
        (("--nodes", "0,0"), "does not name two nodes"),
        (("--initiator", "5"), "initiator 5 was not measured"),
        (("--profile", "none"), "profile 'none' is unknown"),
        (("--draw", "-1"), "not a finite number of GB/s above 0"),
        (("--no-verify",), "--no-verify needs --apply"),
        (("--apply", "--undo"), "not allowed with"),
        (("a-run",), "two sources of bandwidths"),
    ],
)
def test_bad_input_is_refused(run: Run, words: tuple[str, ...], says: str) -> None:
    before = values()
    done = run(*PROFILE, *words)
    assert done.status == 2
    assert says in done.stderr and "Traceback" not in done.stderr
    assert values() == before


def test_apply_where_it_cannot_be_is_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    """Node 62 does not exist; and perhaps the kernel has no weights, or this is not root."""
    before = values()
    done = run(*PROFILE, "--apply", "--results", str(tmp_path))
    assert done.status == 2
    obstacle = PLACERS["weighted"].unavailable()
    assert (obstacle.reason if obstacle is not None else "node 62") in done.stderr
    assert "  -> " in done.stderr and "Traceback" not in done.stderr
    assert values() == before and not list(tmp_path.iterdir())


def test_undo_twice_is_harmless(run: Run) -> None:
    before = values()
    for _ in range(2):
        done = run("weights", "--undo", "--json")
        assert (done.status, json.loads(done.stdout)) == (0, {"undone": []}) or "run as root" in done.stderr
    assert values() == before


def test_a_verification_can_be_reported(run: Run, tmp_path: Path) -> None:
    """Its run is a study without tables of its own."""
    folder = tmp_path / "weights-1"
    folder.mkdir()
    for name in ("points.jsonl", "run.json"):
        text = (Path(EXAMPLE) / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(record | {"study": "weights"}), encoding="utf-8")
    done = run("report", str(folder))
    assert done.status == 0, done.stderr
    assert done.stdout == f"Written: {folder / 'points.csv'}\n"
