"""A launch of a program goes through its steps, and each way of failing is an error for a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hmexp.errors import HmexpError, MeasurementError, PlacementError
from hmexp.experiment.task import Task
from hmexp.pattern import Pattern
from hmexp.program.look.keeping import Keeping
from hmexp.program.point import compare, join, measure_program
from hmexp.program.workload.files import parse_workload
from hmexp.program.workload.session import require_idle
from hmexp.store.program_points import ClientRecord, ProgramPoint, ProgramResult
from hmexp.store.program_records import PlacementSample
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

NODE = str(near_dram(read_topology()))
#: How long what is to be ended sleeps: its own for each process that runs tests [s].
LONG = str(1_000_000 + os.getpid())
PAGES = (8 << 20) // os.sysconf("SC_PAGESIZE")
#: It fills its memory, and answers lines.
SERVER = """
import sys
memory = bytearray(b"x") * (8 << 20)
print("starting")
print("ready", flush=True)
for line in sys.stdin:
    print("latency 5")
    print("latency 7")
    print("answered", line.strip(), flush=True)
"""
#: The same without memory: it starts in no time.
SHELL = f"""
echo starting
setsid sleep {LONG} &
echo ready
while read line; do
  [ "$line" = die ] && exit 3
  echo latency 5; echo latency 7; echo answered $line
done
sleep {LONG}
"""
ELAPSED = """
[[metrics]]
name = "elapsed"
unit = "s"
better = "lower"
source = "elapsed"
"""
TALKING = f"""
title = "a program that answers"
[files]
"server" = '''{SHELL}'''
[program]
command = "sh server"
[ready]
line = "^ready$"
[measure]
say = "go"
answer = "^answered go$"
timeout_seconds = 20
[[metrics]]
name = "latency"
unit = "ms"
better = "lower"
source = "program"
regex = 'latency (\\d+)'
take = "largest"
{ELAPSED}
"""


def measure(text: str, way: str = "default") -> ProgramResult:
    pattern = None if way == "default" else NODE
    point = ProgramPoint(
        workload="mine", pattern=pattern, granule_bytes=4096, way=way, settle_seconds=5.0,
        definition=parse_workload(text, "mine.toml"),
    )  # fmt: skip
    taken = measure_program(Task(point_id="p", parameters=point))
    assert isinstance(taken.result, ProgramResult)
    return taken.result


def batch(command: str, more: str = "") -> str:
    return f"title = 'a program'\n[program]\ncommand = {json.dumps(command)}\n{more}\n{ELAPSED}"


def prepared(command: str, more: str = "") -> str:
    return batch("true", f"[[prepare]]\ncommand = {json.dumps(command)}\n{more}")


def ready(condition: str) -> str:
    return TALKING.replace('line = "^ready$"', f"{condition}\ntimeout_seconds = 0.3")


def client(command: str, more: str = "") -> str:
    return TALKING.replace(
        'say = "go"\nanswer = "^answered go$"', f"command = {json.dumps(command)}\nshell = true\n{more}"
    )


def running() -> list[str]:
    """Commands of any launch that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if LONG.encode() in words:
            found.append(entry.name)
    return found


def test_a_program_that_answers_is_looked_at_before_and_after() -> None:
    found = measure(TALKING.replace(SHELL, SERVER).replace('"sh server"', '"{python} server"'), "node")
    launch = found.launches[0]
    assert found.metrics[0].samples == (7.0,)
    assert 0 < found.metrics[1].samples[0] < 20
    assert list(launch.phases) == ["prepare", "start", "ready", "load", "settle", "measure", "stop"]
    for seen in (launch.before, launch.after):
        assert seen is not None and seen.misplaced == 0 and seen.in_place >= PAGES
    assert launch.run.way == "node" and launch.run.promise == "exact" and launch.run.signal == "SIGTERM"


def test_a_program_that_ends_is_looked_at_in_its_exit() -> None:
    launch = measure(
        batch("{python} -c \"x = bytearray(b'x') * (8 << 20); import os; os._exit(0)\""), "node"
    ).launches[0]
    assert launch.before is None and launch.unread is None and launch.client is None
    # All of its memory, though it has ended within a blink.
    assert launch.after is not None and launch.after.misplaced == 0 and launch.after.in_place >= PAGES
    assert launch.run.status == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("{python} -c \"x = bytearray(b'x') * (60 << 20)\"", "that one of its processes had at its peak"),
        ("sh -c \"{python} -c 'x = bytearray(60 << 20)'; true\"", "of processes that it had started"),
    ],
)
def test_memory_that_is_gone_in_the_exit_is_no_proof(command: str, words: str) -> None:
    assert words in str(measure(batch(command), "node").launches[0].unread)


def test_a_client_measures_and_the_program_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    # One thread works, and eight are claimed: on no machine is it the limit.
    text = client("awk 'BEGIN {{ while (i < 1e5) i++ }}'; echo '{{\"p99\": 2.5}}'", "threads = 8").replace(
        'source = "program"', 'source = "client"'
    )
    text = text.replace("regex = 'latency (\\d+)'", "json = 'p99'").replace('take = "largest"', "scale = 2.0")
    found = measure(text.replace("[measure]", f"[[load]]\ncommand = 'touch {tmp_path}/loaded'\n[measure]"))
    assert found.metrics[0].samples == (5.0,)
    used = found.launches[0].client
    assert used is not None and used.threads == 8
    assert 0 < used.cpu_seconds <= used.elapsed_seconds + 1
    assert used.busy == pytest.approx(used.cpu_seconds / (8 * used.elapsed_seconds))
    assert (tmp_path / "loaded").exists()
    assert running() == []


def test_a_client_that_is_the_limit_makes_the_launch_invalid() -> None:
    used = ClientRecord(elapsed_seconds=10.0, cpu_seconds=18.0, threads=2, busy=0.9)
    require_idle(used)
    with pytest.raises(MeasurementError, match=r"the client was the limit.*2 threads used a CPU for 96% of"):
        require_idle(msgspec.structs.replace(used, cpu_seconds=19.2, busy=0.96))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (batch("false"), "the program ended with status 1"),
        (batch("sh -c 'echo no room >&2; exit 4'"), "its output ended with: no room"),
        (batch(f"sleep {LONG}", "timeout_seconds = 0.3"), "took longer than 0.3 s and was stopped"),
        (batch("sh -c 'kill -SEGV $$'"), "was killed by SIGSEGV"),
        (batch("no-such-program"), "no-such-program"),
        (prepared("sh -c 'echo lost; exit 2'"), "prepare[1]: the command ended with status 2"),
        (prepared("no-such-program"), "could not be started: No such file"),
        (prepared(f"sleep {LONG}", "timeout_seconds = 0.2"), "took longer than 0.2 s and was stopped"),
        (ready('line = "^steady$"'), "there was no line that matches '^steady$'"),
        (ready('port = "{port}"'), "there was no connection to port"),
        (ready('command = "false"'), "there was no success of false"),
        (TALKING.replace("echo ready", "exit 5"), "the program ended before it was ready"),
        (TALKING.replace('say = "go"', 'say = "die"'), "the program ended with status 3 before it answered"),
        (TALKING.replace("= 20", "= 0.3").replace("answered go", "done"), "did not answer 'go' within 0.3 s"),
        (TALKING.replace("'latency", "'speed"), "the metric latency was not found in the output of the prog"),
        (TALKING.replace('"largest"', '"only"'), "2 numbers match"),
    ],
)  # fmt: skip
def test_each_failure_is_an_error_that_says_what_happened(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(HmexpError) as caught:
        measure(text)
    assert words in str(caught.value)
    assert running() == []
    assert list(tmp_path.iterdir()) == []


def sample(**given: Any) -> PlacementSample:
    return PlacementSample(seconds=1.0, **given)


def test_pages_elsewhere_are_refused_by_what_the_way_promises() -> None:
    pattern = Pattern.parse("0,2,2")
    exact = Keeping("follow", pattern, 1.0, promise="exact")
    assert exact.holds(sample(in_place=9960, misplaced=40))
    with pytest.raises(PlacementError, match=r"60 of 10000 pages are elsewhere, 9 of them cannot be moved"):
        exact.require(sample(in_place=9940, misplaced=60, unmovable=9), "after the window", None)
    ratio = Keeping("policy", pattern, 1.0, promise="ratio")
    # The order may be any, the shares may not.
    assert ratio.holds(sample(in_place=1, misplaced=2999, anonymous_by_node={0: 1050, 2: 1950}))
    with pytest.raises(PlacementError, match=r"the share of a node is 3\.3% off"):
        ratio.require(sample(in_place=3000, anonymous_by_node={0: 1100, 2: 1900}), "before the window", None)
    with pytest.raises(PlacementError, match="is unknown: it may not be read"):
        exact.require(None, "after the window", "it may not be read")
    assert Keeping("default", None, 1.0).holds(None)


def test_launches_join_to_a_median_with_an_interval() -> None:
    one = measure(batch("true"))
    results = [
        ProgramResult(
            metrics=(msgspec.structs.replace(one.metrics[0], samples=(value,)),), launches=one.launches
        )
        for value in (2.0, 3.0, 2.5)
    ]
    joined = join(results)
    assert joined.metrics[0].samples == (2.0, 3.0, 2.5) and joined.metrics[0].median == 2.5
    low, high = joined.metrics[0].ci_low, joined.metrics[0].ci_high
    assert low is not None and high is not None and low < 2.0 and high > 3.0
    assert len(joined.launches) == 3
    compared = compare(joined)
    assert compared is not None and compared.unit == "s" and len(compared.launches) == 3
    assert join([one]).metrics[0].ci_low is None


def test_a_launch_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "launch"
    folder.mkdir()
    script = f"""
import os, signal, subprocess, sys
from pathlib import Path
from hmexp.program.launch.warden import Warden
from hmexp.program.launch.remains import MARK
warden = Warden(Path({str(folder)!r}))
# One that is known, with a child that has left the session, and one that only has the mark.
known = subprocess.Popen(["sh", "-c", "setsid sleep {LONG} & sleep {LONG}"])
warden.watch(known.pid)
subprocess.Popen(
    ["sleep", "{LONG}"], env={{**os.environ, MARK: warden.mark}}, start_new_session=True, stdout=sys.stderr
)
print("started", flush=True)
sys.stdin.read()
"""
    launch = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert launch.stdout is not None and launch.stdout.readline() == b"started\n"
    # A program that has just begun has no words yet for a moment.
    deadline = time.monotonic() + 20
    while not running() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running() and folder.exists()
    launch.kill()
    launch.communicate()
    deadline = time.monotonic() + 20
    while (running() or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running() == [] and not folder.exists()
