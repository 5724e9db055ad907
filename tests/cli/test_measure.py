"""``hmexp measure`` and ``hmexp latency``, as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hmexp.measure.point import measure_point
from hmexp.measure.sampling import Sampling
from hmexp.report.page.terminal import draw_curve
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology
from tests.cli.conftest import Run

NODE = str(near_dram(read_topology()))
QUICK = ("--size", "8MiB", "--samples", "2", "--sample-seconds", "0.001")
TOO_MANY = str(len(allowed_cpus()) + 1)
# A slow node of its own id, whatever nodes this machine has.
SLOW = ("--pattern", f"{NODE},901,901", "--emulate", "901=optane-dcpmm")


pytestmark = pytest.mark.usefixtures("host_once")


def hmexp(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hmexp", *arguments], cwd=cwd, env=os.environ, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


def test_measure_says_pattern_dram_model_and_proof(tmp_path: Path) -> None:
    done = hmexp("measure", *SLOW, "--op", "copy", "--window", "2MiB", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("EMULATED: node 901", "on the bus", "all DRAM:", "model:", "windows of thread 0", "proof:"):
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_measure_prints_a_record(run: Run) -> None:
    done = run("measure", "--pattern", NODE, "--op", "3:1", "--json", *QUICK)
    record = json.loads(done.stdout)
    assert record["operation"] == "mix_3_1" and record["baseline"] is None and not record["emulated"]
    assert record["proof"]["after"]["ok"]


def test_latency_tells_which_latency_is_which(run: Run) -> None:
    done = run("latency", *SLOW, "--window", "1MiB", *QUICK)
    assert done.status == 0, done.stderr
    for words in ("random over all", "random in windows of 1MiB", "ordered", "p99.9", "node 901", "mixture"):
        assert words in done.stdout


@pytest.mark.parametrize("kind", ["nt", "flush"])
def test_latency_of_stores(run: Run, kind: str) -> None:
    done = run("latency", *SLOW, "--stores", kind, *QUICK)
    assert done.status == 0, done.stderr
    assert f"stores ({kind}): store_{kind}" in done.stdout


@pytest.mark.skipif(len(allowed_cpus()) < 2, reason="a chase and a load take two CPUs")
def test_loaded_latency_is_drawn(run: Run) -> None:
    done = run("latency", *SLOW, "--loaded", "--load-pattern", NODE, *QUICK)
    assert done.status == 0, done.stderr
    for words in (f"read on {NODE} by", "EMULATED optane-dcpmm", "idle", "latency, ns", "load, GB/s"):
        assert words in done.stdout
    assert "knee at" in done.stdout.lower() or "not saturated" in done.stdout.lower()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["measure", "--pattern", NODE, "--op", "sort"], "use one of: read, write"),
        (["measure", "--pattern", NODE, "--threads", TOO_MANY], "use at most"),
        (["measure", "--pattern", NODE, "--threads", "2", "--size", "4KiB"], "too small"),
        (["measure", "--pattern", NODE, "--vector-bits", "1024"], "use one of: 64"),
        (["measure", "--pattern", NODE, "--cpus", "a"], "not a list of CPUs"),
        (["measure", "--pattern", f"{NODE},901", "--emulate", "none"], "901"),
        (["measure", "--pattern", f"{NODE},901,902"], "one node can be emulated"),
        (["measure", *SLOW[:3], "901=optane-dcpmm@absolute", "--size", "8MiB"], "cannot carry"),
        (["latency", "--pattern", NODE, "--load-pattern", NODE], "add --loaded"),
        (["latency", "--pattern", NODE, "--window", "1TiB", "--size", "1KiB", "--chains", "99"], "chases"),
        (["latency", "--pattern", NODE, "--loaded", "--threads", TOO_MANY], "use at most"),
    ],
)
def test_bad_input_is_refused_with_what_would_work(run: Run, arguments: list[str], says: str) -> None:
    if len(allowed_cpus()) < 2 and "2" in arguments:
        # With one CPU the number of threads is refused first; CI has two.
        pytest.skip("two threads need two CPUs to be refused for another reason")
    done = run(*arguments)
    assert done.status == 2, done.stdout + done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr


def test_a_curve_is_drawn_within_its_field() -> None:
    text = draw_curve([0, 5, 10], [100, 110, 400], "GB/s", "ns", marked=1)
    lines = text.splitlines()
    assert text.count("*") == 2 and text.count("K") == 1
    assert max(map(len, lines)) <= 11 + 64
    assert "400" in lines[1] and lines[-1].endswith("10")
    assert draw_curve([0.0], [0.0], "x", "y").count("*") == 1


def shape(value: object) -> object:
    """A record without its timing values: its fields, and what is not a float or depends on time."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name not in TIMED}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return float if isinstance(value, float) else value


#: What differs from run to run: rates, counts of passes that fill a time, and what disturbed a sample.
TIMED = ("passes", "payload_bytes", "bus_bytes", "noise", "of_dram", "stragglers")


@pytest.mark.slow
@pytest.mark.parametrize("launches", [1, 2])
def test_the_command_and_the_python_call_make_the_same_record(tmp_path: Path, launches: int) -> None:
    done = hmexp(
        "measure", *SLOW, "--op", "read", "--threads", "1", "--launches", str(launches), "--json", *QUICK,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    called = measure_point(
        f"{NODE},901,901", "read", 1, emulate="901=optane-dcpmm", size="8MiB", launches=launches,
        sampling=Sampling(2, 0.001),
    ).to_record()  # fmt: skip
    called = json.loads(msgspec.json.encode(called))
    assert set(output) == set(called) and set(output["result"]) == set(called["result"])
    # Options that the command always states have the values that the call takes by default.
    assert called["parameters"].items() <= output["parameters"].items()
    assert set(output["result"]["noise"]) == set(called["result"]["noise"])
    output.pop("parameters"), called.pop("parameters")
    assert shape(output) == shape(called)
    # Which frames a region gets is chance.
    for look in (*output["proof"].values(), *called["proof"].values()):
        look.pop("frame_run_pages", None)
    assert output["proof"] == called["proof"]
    assert len(output["launches"]) == launches
    assert output["result"]["interval_over"] == ("launches" if launches > 1 else "samples")


def test_a_launch_that_cannot_be_is_the_error_that_it_would_be_here(run: Run) -> None:
    done = run(
        "measure",
        "--pattern",
        NODE,
        "--op",
        "read",
        "--launches",
        "2",
        "--threads",
        TOO_MANY,
        *QUICK,
    )
    assert done.status == 2 and "Traceback" not in done.stderr
    assert TOO_MANY in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("measure", "--launches", "0"), "launches 0"),
        (("measure", "--precision", "2"), "precision 2"),
        (("measure", "--precision", "0.1", "--most-samples", "1"), "most_samples 1"),
        (("measure", "--pages", "1GiB"), "2MiB"),
        (("latency", "--pages", "3MiB"), "2MiB"),
        (("measure", "--emulate", "901=optane-dcpmm", "--pages", "2MiB"), "granules of 2MiB or more"),
        (("latency", "--emulate", "901=optane-dcpmm", "--pages", "2MiB"), "granules of 2MiB or more"),
    ],
)
def test_what_a_launch_and_a_page_cannot_be(run: Run, arguments: tuple[str, ...], says: str) -> None:
    command, *rest = arguments
    done = run(command, "--pattern", f"{NODE},901", *QUICK, *rest)
    assert done.status == 2 and "Traceback" not in done.stderr
    assert says in done.stderr
