"""The noise of a machine: what counters say of a CPU, which causes are named, and a watch of this one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hmexp.machine.doctor import Finding, Severity, Subject
from hmexp.machine.doctor.activity import Activity, Snapshot
from hmexp.machine.doctor.noise import (
    BandwidthSpread,
    CpuNoise,
    Interrupts,
    MachineNoise,
    join_gaps,
    judge_cpu,
    judge_variation,
)
from hmexp.machine.doctor.quiet import judge_noise
from hmexp.machine.doctor.screen import Screen, describe_gaps
from hmexp.machine.doctor.watch import watch_noise
from hmexp.native import CpuGaps
from hmexp.system.cpus import allowed_cpus
from tests.cli.conftest import Run

SECOND = 1_000_000_000
#: Ten seconds of a quiet CPU: a timer of 250 Hz, 3 us each.
QUIET = CpuGaps(0, 10 * SECOND, 2500, 7_500_000, 9_000, 200, 0, 0, 0, 0, (0, 0, 2500, *[0] * 21))


NO_INTERRUPTS = Interrupts()


def noise_of(
    *cpus: CpuGaps, interrupts: Interrupts = NO_INTERRUPTS, variation: float = 0.002
) -> MachineNoise:
    spread = BandwidthSpread(0, 0, 1 << 28, 20, 10.1, 10.0, 9.9, variation, judge_variation(variation))
    judged = tuple(judge_cpu(one, interrupts) for one in cpus)
    return MachineNoise(10.0, 1000, judged, spread, Activity(0.5, 0.0, (("cc1", 77, 0.5),)), 0.5)


@pytest.fixture
def bare(tmp_path: Path) -> Subject:
    """A machine whose files say nothing of its CPUs."""
    return Subject(tmp_path)


def judged(noise: MachineNoise, subject: Subject) -> Mapping[str, Finding]:
    return {finding.about: finding for finding in judge_noise(noise, subject)}


@pytest.mark.parametrize(
    ("gaps", "severity"),
    [
        (QUIET, Severity.FINE),
        (replace(QUIET, lost_ns=SECOND // 10), Severity.KNOW),
        (replace(QUIET, windows_lost=1), Severity.KNOW),
        (replace(QUIET, lost_ns=SECOND), Severity.BLOCK),
        (replace(QUIET, windows_lost=40), Severity.BLOCK),
        # Stopped for all the time, so that not one window ended.
        (replace(QUIET, windows=0, lost_ns=9 * SECOND), Severity.BLOCK),
    ],
)
def test_how_a_cpu_stands(gaps: CpuGaps, severity: Severity) -> None:
    assert judge_cpu(gaps, Interrupts()).severity is severity


def test_a_quiet_machine_is_fit(bare: Subject) -> None:
    found = judged(noise_of(QUIET, replace(QUIET, cpu=1)), bare)
    assert {finding.severity for finding in found.values()} == {Severity.FINE}
    assert "0-1" in found["quiet CPUs"].seen


def test_few_noisy_cpus_can_be_avoided_and_many_cannot(bare: Subject) -> None:
    cpus = [replace(QUIET, cpu=cpu) for cpu in range(16)]
    one_bad = [*cpus[:15], replace(QUIET, cpu=15, lost_ns=SECOND)]
    found = judged(noise_of(*one_bad), bare)["noisy CPUs"]
    assert found.severity is Severity.KNOW
    assert found.remedy == "taskset -c 0-14 hmexp sweep"
    all_bad = [replace(one, lost_ns=SECOND) for one in cpus]
    found = judged(noise_of(*all_bad), bare)["noisy CPUs"]
    assert found.severity is Severity.BLOCK
    assert found.remedy is None


def test_causes_are_named(bare: Subject) -> None:
    before = Snapshot({}, {}, {0: {"nvme0q1": 100, "Local timer interrupts": 0}})
    after = Snapshot({}, {}, {0: {"nvme0q1": 50_100, "Local timer interrupts": 2500}})
    interrupts = Interrupts.between(before, after, 10.0)
    foreign = replace(QUIET, off_cpu_ns=SECOND, lost_ns=SECOND, preempted=100)
    assert "cc1 (77)" in judged(noise_of(foreign), bare)["other processes"].seen
    stolen = replace(QUIET, stolen_ns=SECOND // 10)
    assert "1.0%" in judged(noise_of(stolen), bare)["steal"].seen
    assert "nvme0q1 5,000/s" in judged(noise_of(QUIET, interrupts=interrupts), bare)["interrupts"].seen
    stopped = replace(QUIET, longest_ns=900_000)
    assert "900 us" in judged(noise_of(stopped), bare)["hidden gaps"].seen
    # A process that was there explains a long gap.
    assert "hidden gaps" not in judged(noise_of(replace(stopped, preempted=1)), bare)


@pytest.mark.parametrize(
    ("variation", "severity"), [(0.005, Severity.FINE), (0.02, Severity.KNOW), (0.2, Severity.BLOCK)]
)
def test_a_read_that_varies_is_said(bare: Subject, variation: float, severity: Severity) -> None:
    found = judged(noise_of(QUIET, variation=variation), bare)["bandwidth"]
    assert found.severity is severity
    assert "median 10.00 GB/s, worst 9.90, best 10.10" in found.seen


def test_pieces_of_a_watch_are_one() -> None:
    late = replace(QUIET, longest_ns=50_000, windows_lost=2, buckets=(0, 5, *[0] * 22))
    joined = join_gaps([QUIET, late])
    assert (joined.span_ns, joined.count, joined.longest_ns) == (20 * SECOND, 5000, 50_000)
    assert (joined.windows, joined.windows_lost) == (400, 2)
    assert joined.buckets[1:3] == (5, 2500)


def test_the_table_has_the_worst_first_and_fits_a_screen() -> None:
    many = noise_of(*(replace(QUIET, cpu=cpu, lost_ns=cpu * 1_000_000) for cpu in range(64)))
    lines = list(Screen(80).noise(many))
    assert max(map(len, lines)) <= 80
    assert len(lines) < 24
    assert lines[2].split()[0] == "63"
    assert "48 more" in lines[-1]
    longer = list(Screen(100, verbose=True).noise(many))
    assert sum(line.split()[0].isdigit() for line in longer) == 64
    assert describe_gaps((0, 0, 3, *[0] * 20, 1)) == "gaps up to 4 us: 3, longer: 1"
    assert describe_gaps(()) == "no gaps"


@pytest.fixture
def busy_cpu() -> Iterator[int]:
    """A CPU on which a process does nothing but work."""
    cpu = allowed_cpus()[-1]
    code = f"import os; os.sched_setaffinity(0, [{cpu}]); print('on', flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "on\n"
            yield cpu
        finally:
            child.kill()


def test_a_busy_cpu_is_not_fit(busy_cpu: int) -> None:
    """The other process gets its share of the CPU, whatever else runs here."""
    noise = watch_noise(1.0, [busy_cpu])
    [one] = noise.cpus
    assert isinstance(one, CpuNoise)
    assert one.severity is Severity.BLOCK
    assert one.foreign > 0.05 and one.lost > 0.05
    assert one.gaps.preempted > 0
    assert noise.activity is not None and noise.activity.busy_cpus > 0.05


def test_the_command_watches_every_cpu(run: Run) -> None:
    done = run("doctor", "--watch-noise", "600ms", "--json")
    record = json.loads(done.stdout)
    assert [one["cpu"] for one in record["noise"]["cpus"]] == list(allowed_cpus())
    assert done.status == (0 if record["ok"] else 1)
    assert record["noise"]["bandwidth"]["median_gbps"] > 0
    assert {one["about"] for one in record["findings"]} >= {"bandwidth"}
    assert len(done.stdout.splitlines()) == 1


def test_the_command_shows_a_table(run: Run) -> None:
    done = run("doctor", "--watch-noise", "500ms")
    assert "CPU     lost" in done.stdout
    assert "coefficient of variation" in " ".join(done.stdout.split())
    assert not done.stderr


@pytest.mark.parametrize("text", ["10", "soon", "0s", "99h", "-1s", "1e9s"])
def test_a_time_that_is_none_is_refused(run: Run, text: str) -> None:
    done = run("doctor", f"--watch-noise={text}")
    assert done.status == 2
    assert text in done.stderr
