"""Weights set for good on a real kernel, and killed; run inside the lab by test_weights.py.

Arguments: a directory for results, and how many times verifying is killed; with 0 nothing is verified, and
setting them is killed at many calls of the system instead. One line is printed for each thing
that was seen. Commands are run in forked children, so that Python need not load everything each time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import hmexp.machine.weights.verification  # noqa: F401 - once, for all children
from hmexp.cli.main import main
from hmexp.machine.weights.automatic import reduce_as_kernel
from hmexp.system import lasting
from hmexp.system.lasting_record import path_of
from hmexp.system.settings import HERE
from hmexp.system.sysfs import read_text
from hmexp.system.topology import read_topology

RESULTS, KILLS = Path(sys.argv[1]), int(sys.argv[2])
NEAR, FAR = (node.id for node in read_topology().memory_nodes[:2])
PROFILE = RESULTS / "pretended.toml"
PROFILE.write_text(
    'title = "a test"\nkind = "nvm"\nsource = "none"\n'
    "[dram]\nread_gbps = 60.0\nwrite_gbps = 60.0\nlatency_ns = 80\n"
    "[slow]\nread_gbps = 20.0\nwrite_gbps = 20.0\nlatency_ns = 300\n"
)
APPLY = ["weights", "--profile", str(PROFILE), "--nodes", f"{NEAR},{FAR}", "--apply"]
#: Five launches: the weights and their four neighbours.
VERIFY = ["--size", "2MiB", "--launches", "1", "--samples", "2", "--json"]
#: Has pages by the weights that are set, and counts them.
PROGRAM = """
import sys
from pathlib import Path
from hmexp import native
from hmexp.native import PAGE_BYTES, PageMapping, Spreading
from hmexp.pattern import Pattern
near, far = map(int, sys.argv[1:])
mapping = PageMapping(4096 * PAGE_BYTES)
native.spread(mapping, Pattern((near, far), PAGE_BYTES), Spreading.WEIGHTED)
native.populate(mapping)
line = next(line for line in Path("/proc/self/numa_maps").read_text().splitlines() if "weighted" in line)
counts = dict(word[1:].split("=") for word in line.split() if word[0] == "N" and "=" in word)
print(counts[str(near)], counts[str(far)])
"""
WATCHED = {"posix", "fcntl"}
STARTED = time.monotonic()


def say(text: str) -> None:
    line = f"{text}  [{time.monotonic() - STARTED:.0f} s]"
    print(line, flush=True)
    with (RESULTS / "log").open("a") as log:
        print(line, file=log)  # seen outside while the guest runs


def values() -> dict[str, str | None]:
    nodes, modes = HERE.weight_files()
    return {path.name: read_text(path) for path in (*nodes.values(), *modes)}


def start(words: list[str], output: Path, die_at: int = 0) -> int:
    """A command in a child; with `die_at`, it is killed before or after that call of the system."""
    pid = os.fork()
    if pid:
        return pid
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    left = die_at

    def watch(_frame: object, event: str, function: object) -> None:
        nonlocal left
        if event in ("c_call", "c_return") and getattr(function, "__module__", "") in WATCHED:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if die_at:
        set_for_good = lasting.lasting_weights

        def watched(weights: dict[int, int]) -> AbstractContextManager[None]:
            # From here on: what comes before only reads.
            sys.setprofile(watch)
            return set_for_good(weights)

        lasting.lasting_weights = watched
    status = 70
    try:
        main(words)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    os._exit(status)


def command(words: list[str]) -> tuple[int, str]:
    """A command to its end: its status, and what it printed."""
    output = RESULTS / "output"
    pid = start(words, output)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, output.read_text()


def next_command_restores(wanted: list[dict[str, str | None]]) -> str:
    status, text = command(["lab", "topologies"])
    assert status == 0, text
    assert values() in wanted, (values(), wanted, text)
    return text


def killed_at_calls() -> None:
    """Of the part that sets them, at every few calls of the system."""
    restored, completed, repaired, seen = 0, 0, 0, set()
    for step in (*range(1, 140, 7), 10**9):
        pid = start([*APPLY, "--no-verify"], RESULTS / "killed", step)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL), (RESULTS / "killed").read_text()
        left = values()
        seen.add(tuple(left.values()))
        text = next_command_restores([BEFORE, SET])
        if values() == SET:
            assert path_of(HERE, "applied").exists()
            completed += 1
            status, text = command(["weights", "--undo"])
            assert status == 0 and values() == BEFORE, (values(), text)
        else:
            restored += 1
            repaired += left != BEFORE
        assert not list(HERE.directory.glob("weights.*[!k]")), list(HERE.directory.iterdir())
    # Some had been set when they were killed. Without an automatic mode one node alone changes: two states.
    assert repaired > 0 and completed > 0 and len(seen) > 1, (restored, completed, seen)
    say(
        f"killed at calls: {restored} as before ({repaired} repaired), {completed} completed, "
        f"{len(seen)} states left behind"
    )


def begin_to_verify(results: Path, launches: int) -> int:
    """Start it in a folder of its own, where it resumes nothing; returns after that many launches.

    Their number is the moment, for the time that they take changes with what else the host does.
    """
    output = RESULTS / "begun"
    pid = start([*APPLY, *VERIFY, "--results", str(results)], output)
    end = time.monotonic() + 900
    # A worker sets those that it measures for the time in which it places pages.
    while not path_of(HERE, "pending").exists() or values() != SET or _launches(results) < launches:
        # Not reaped: whoever called ends it.
        gone = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        assert gone is None, (gone, output.read_text())
        assert time.monotonic() < end, (launches, output.read_text())
        time.sleep(0.02)
    return pid


def _launches(results: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in results.glob("weights-*/launches.jsonl"))


def killed_while_verifying(seconds: float) -> None:
    """At moments of a verification that took so long as a whole, far from its end."""
    chance = random.Random(8)
    for launches in chance.sample(range(4), KILLS):
        pid = begin_to_verify(RESULTS / f"killed-{launches}", launches)
        time.sleep(chance.uniform(0, seconds / 20))
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        left, pending = values(), path_of(HERE, "pending").exists()
        assert pending, left
        next_command_restores([BEFORE])
        say(f"killed after {launches} of 5 launches: {left} is {BEFORE} again")


def applied_and_undone() -> float:
    started = time.monotonic()
    status, text = command([*APPLY, *VERIFY, "--results", str(RESULTS / "whole")])
    seconds = time.monotonic() - started
    # A neighbour may be better: the lab's nodes are equally fast, so plain interleave may be the best.
    assert status in (0, 1), text
    found = json.loads(text.splitlines()[-1])
    assert found["weights"] == {str(NEAR): 3, str(FAR): 1} and found["applied"], found
    readings = found["verification"]["readings"]
    measured = {(each["weights"][str(NEAR)], each["weights"][str(FAR)]) for each in readings}
    assert measured == {(3, 1), (4, 1), (2, 1), (3, 2), (1, 1)}, measured
    assert values() == SET, values()
    say(f"applied and verified: {values()}, better: {found['verification']['better']}")
    # A program that asks for them has its pages so.
    placed = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(NEAR), str(FAR)], capture_output=True, text=True, check=True
    )
    say(f"a program under weighted interleave: {placed.stdout.strip()}")
    assert "3072 1024" in placed.stdout
    next_command_restores([SET])
    # Applied again: the first values are kept.
    status, text = command([*APPLY, "--no-verify", "--tolerance", "0"])
    assert status == 0 and values() == SET, text
    status, text = command(["weights", "--undo"])
    assert status == 0 and values() == BEFORE, (values(), text)
    say("undone: " + " / ".join(text.splitlines()))
    status, text = command(["weights", "--undo"])
    assert status == 0 and values() == BEFORE and "Nothing to undo" in text, text
    say("undone twice: nothing happens")
    return seconds


def ended_in_order() -> None:
    pid = begin_to_verify(RESULTS / "ended", 1)
    os.kill(pid, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 143 and values() == BEFORE, (status, values(), (RESULTS / "begun").read_text())
    say("ended by SIGTERM while verifying: the former weights are back at once")


os.environ["PYTHONWARNINGS"] = "ignore"
BEFORE = values()
SET = BEFORE | {f"node{NEAR}": "3", f"node{FAR}": "1"} | {
    name: "false" for name, text in BEFORE.items() if text in ("true", "false")
}  # fmt: skip
say(f"before: {BEFORE}")
if "true" in BEFORE.values():
    # The lab's topology: 102400 and 81920, 30720 and 10240 MiB/s.
    assert reduce_as_kernel({NEAR: 81920, FAR: 10240}) == {
        node: int(BEFORE[f"node{node}"] or 0) for node in (NEAR, FAR)
    }
    say("the kernel's automatic weights are those of its arithmetic as hmexp has it")
if KILLS:
    elapsed = applied_and_undone()
    ended_in_order()
    killed_while_verifying(elapsed)
else:
    killed_at_calls()
say("all seen")
