"""The end of a program that is followed is an ordinary end, and what was seen of its pages stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import hmexp
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.program.launch.request import StartOptions
from hmexp.program.launch.summary import summarize
from hmexp.program.launch.ways import start
from hmexp.program.move.following_text import describe
from hmexp.program.pages.held import HeldProcess
from hmexp.store.programs import read_program

NODE = hmexp.read_topology().memory_nodes[0].id
HERE = Pattern((NODE,))
#: As of a program that was started for it: it may end before anybody looks.
OFTEN = hmexp.FollowOptions(interval_seconds=0.005, slow_seconds=0.01, from_birth=True)
PAGES = (4 << 20) // PAGE_BYTES
#: Touches 4 MiB that it keeps, says so, and waits for a line; its argument is what it does then.
CHILD = """
import mmap, os, sys
block = mmap.mmap(-1, 4 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(block), 4096):
    block[at] = 1
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[1] == "exec":
    os.execvp("sleep", ["sleep", "0.3"])
os._exit(0)
"""


def begin(then: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", CHILD, then], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def follow_to_the_end(process: subprocess.Popen[bytes], wait_seconds: float) -> hmexp.Following:
    """Follow it, let it go on after a time, and return what is said of it."""
    found: list[hmexp.Following] = []
    thread = threading.Thread(target=lambda: found.append(hmexp.follow(process.pid, HERE, OFTEN)))
    thread.start()
    with HeldProcess(process.pid) as target:
        while not target.is_locked:
            time.sleep(0.001)
    time.sleep(wait_seconds)
    process.communicate(b"go on\n")
    thread.join(timeout=60)
    return found[0]


def test_it_ends_at_any_moment() -> None:
    """While its memory goes, it has none and has not ended: that is no refusal, and no other program."""
    for wait_seconds in (0.0, 0.003, 0.006, 0.01, 0.015, 1.0):
        found = follow_to_the_end(begin("end"), wait_seconds)
        assert found.why == "ended" and found.reason == "the program has ended", found
        # It may have ended before it was held.
        for process in found.processes:
            assert process.ended and process.replaced == 0 and process.name.startswith("python")
        if found.outcomes.pages or wait_seconds >= 1:
            (process,) = found.processes
            assert found.outcomes == process.outcomes and found.outcomes.already >= PAGES
            assert process.unseen_seconds is not None and found.complete
            assert "when they were last looked at" in describe(found)


def test_what_it_executes_is_another_program() -> None:
    found = follow_to_the_end(begin("exec"), 0.5)
    assert found.why == "ended"
    for process in found.processes:
        # Its own pages are gone: what was seen last is those of `sleep`, if anybody has looked in time.
        assert process.ended
        assert not process.replaced or (process.name == "sleep" and found.outcomes.pages < PAGES)


def test_it_ends_before_anybody_looks(tmp_path: Path) -> None:
    record = start(["true"], "follow", HERE, StartOptions(record=tmp_path, sample_seconds=0)).wait()
    assert record.status == 0 and record.following is not None and record.following.why == "ended"
    assert read_program(tmp_path) == record


def test_what_was_seen_is_in_the_record(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", CHILD, "end"]
    options = StartOptions(record=tmp_path, sample_seconds=0)
    before = os.dup(0)
    reading, writing = os.pipe()
    os.dup2(reading, 0)
    try:
        with start(command, "follow", HERE, options) as started:
            while (seen := started.look()) is None or seen.in_place < PAGES:
                assert started.poll() is None
            time.sleep(0.5)
            os.write(writing, b"go on\n")
            started.wait()
    finally:
        os.dup2(before, 0)
        for fd in (before, reading, writing):
            os.close(fd)
    assert started.problems == [] and started.record.status == 0
    found = read_program(tmp_path).following
    assert found is not None and found.why == "ended" and found.outcomes.already >= PAGES
    assert not any("it stopped before" in line for line in summarize(started.record, None))


def count_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_children_that_have_ended_are_let_go() -> None:
    """A program may have any number of them; each would cost four open files and its list of pages."""
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.1; done; read line"
    open_files: list[int] = []
    ended = threading.Event()
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE) as process:

        def count() -> None:
            while not ended.wait(0.02):
                open_files.append(count_files())

        before = count_files()
        counter = threading.Thread(target=count)
        counter.start()
        options = hmexp.FollowOptions(
            interval_seconds=0.005, slow_seconds=0.01, children=True, limit_seconds=2.5
        )
        found = hmexp.follow(process.pid, HERE, options)
        ended.set()
        counter.join()
        process.communicate(b"\n")
    assert found.why == "time"
    children = [each for each in found.processes if each.pid != process.pid]
    assert len(children) >= 3 and all(each.unseen_seconds is not None for each in children)
    # Its own, and those of one child or two at a time.
    assert max(open_files) - before <= 16, (before, max(open_files))
    # What counts is what lives.
    living = [each for each in found.processes if not each.ended]
    assert found.outcomes.pages == sum(each.outcomes.pages for each in living)
