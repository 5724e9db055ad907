"""Moving the pages of other processes on this machine, whose nodes may be one; tests/lab has several."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hmexp
from hmexp.errors import CapacityError, PatternError, ProgramError, StoreError
from hmexp.native import PAGE_BYTES
from hmexp.program.move.foresight import preview, require_room
from hmexp.program.move.moves import require_journal
from hmexp.program.pages.held import HeldProcess, TargetBusyError
from hmexp.program.pages.undo import JournalWriter, read_journal
from hmexp.program.pages.wish import PatternWish
from hmexp.store.following_records import MovePreview, PageOutcomes

ROOT = Path(__file__).resolve().parents[3]
NODE = hmexp.read_topology().memory_nodes[0].id
HERE = hmexp.Pattern((NODE,))
#: Touches 8 MiB, and then waits; on a line of input it touches as much again.
CHILD = """
import mmap, sys
kept = []
while True:
    block = mmap.mmap(-1, 8 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(block), 4096):
        block[at] = 1
    kept.append(block)
    print("ready", flush=True)
    if not sys.stdin.readline():
        break
"""
STILL = hmexp.FollowOptions(until_still=True, settle_seconds=0.05, interval_seconds=0.02)


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has touched its memory, and a folder for journals of its own."""
    monkeypatch.setattr("hmexp.program.pages.undo.DIRECTORY", tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_program_that_is_where_it_belongs(child: subprocess.Popen[bytes]) -> None:
    found = hmexp.move_program(child.pid, HERE, STILL)
    outcomes = found.outcomes
    assert found.complete and found.why == "still"
    # Every page of the block, and nothing was asked for that is there already.
    assert outcomes.already >= (8 << 20) / PAGE_BYTES and outcomes.moved == found.calls == 0
    assert outcomes.pages == outcomes.already + outcomes.zero + outcomes.shared
    assert found.by_node == {NODE: outcomes.already + outcomes.shared}
    assert found.scans >= 2, "a calm is believed only after another look"
    with HeldProcess(child.pid) as target:
        assert require_journal(target).moves[0].ended == "still"
    assert hmexp.undo_move(child.pid, STILL).complete
    with HeldProcess(child.pid) as target, pytest.raises(ProgramError, match="no journal of it"):
        require_journal(target)


def test_pages_that_appear_are_seen_and_a_program_that_ends(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None and child.stdout is not None
    found: list[hmexp.Following] = []
    thread = threading.Thread(
        target=lambda: found.append(hmexp.follow(child.pid, HERE, hmexp.FollowOptions(interval_seconds=0.02)))
    )
    thread.start()
    with HeldProcess(child.pid) as target:
        while not target.is_locked:
            time.sleep(0.001)
    child.stdin.write(b"more\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"ready\n"
    with pytest.raises(TargetBusyError, match="another hmexp is moving"):
        hmexp.follow(child.pid, HERE, STILL)
    child.kill()
    child.wait()
    thread.join(timeout=60)
    assert found[0].why == "ended" and found[0].processes[0].ended
    # What became of its pages is what was seen of them last.
    outcomes = found[0].outcomes
    assert found[0].complete and outcomes.already >= (8 << 20) / PAGE_BYTES and outcomes.absent == 0
    assert found[0].by_node[NODE] >= outcomes.already


def test_its_children_are_followed_too() -> None:
    script = "sleep 600 & echo $!; read line; exec sleep 600"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        sleeper = int(process.stdout.readline())
        try:
            alone = hmexp.follow(process.pid, HERE, STILL)
            foreseen = preview(process.pid, PatternWish(HERE), replace(STILL, children=True))
            both = hmexp.follow(process.pid, HERE, replace(STILL, children=True))
        finally:
            process.kill()
            os.kill(sleeper, signal.SIGKILL)
    assert [each.pid for each in alone.processes] == [process.pid]
    assert {each.pid for each in both.processes} == {process.pid, sleeper}
    assert foreseen.pages == foreseen.by_node[NODE] + foreseen.outcomes.zero > alone.outcomes.pages
    assert both.outcomes.pages == sum(each.outcomes.pages for each in both.processes) > alone.outcomes.pages


def test_stopped_from_another_thread(child: subprocess.Popen[bytes]) -> None:
    stop = threading.Event()
    stop.set()
    found = hmexp.follow(child.pid, HERE, stop=stop)
    assert found.why == "stopped" and found.outcomes.already >= (8 << 20) / PAGE_BYTES


def test_refused_before_anything(child: subprocess.Popen[bytes]) -> None:
    with pytest.raises(PatternError, match="node 999 of the pattern has no memory"):
        hmexp.follow(child.pid, hmexp.Pattern((NODE, 999)))
    with pytest.raises(ProgramError, match="cannot move its own pages"):
        hmexp.follow(os.getpid(), HERE)
    child.kill()
    child.wait()
    with pytest.raises(ProgramError, match=f"there is no process {child.pid}"):
        hmexp.follow(child.pid, HERE)


def test_a_zombie_is_no_program(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(ProgramError, match="there is no process"):
            hmexp.follow(pid, HERE)
    finally:
        os.waitpid(pid, 0)


def test_what_would_be_moved(child: subprocess.Popen[bytes]) -> None:
    found = preview(child.pid, PatternWish(HERE), STILL)
    assert found.moving == 0 and found.by_node[NODE] == found.pages - found.outcomes.zero
    require_room(found)
    big = MovePreview(
        pid=1, name="x", pattern="0", granule_bytes=4096, pages=9, arriving={0: 1 << 20},
        leaving={0: 1 << 10}, room_bytes={0: 1 << 30},
    )  # fmt: skip
    with pytest.raises(CapacityError, match=r"need 4\.0GiB more on node 0, which has room for 1GiB"):
        require_room(big)


def test_a_journal_outlives_its_writer(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pages = np.arange(1 << 20, dtype=np.uint64) * 3 // 2 + 77
    origins = (np.arange(1 << 20) % 3 % 2).astype(np.int16)
    with HeldProcess(child.pid) as target:
        writer = JournalWriter(target, "0,2,2", tmp_path)
        writer.note(pages, origins)
        # A second move of the same pages: where they were before the first counts.
        writer.note(pages, origins + 5)
        with writer.known.path.open("ab") as file:
            file.write(b'{"pages": "torn')
        found = read_journal(target, tmp_path)
        assert found is not None and found.interrupted is not None and found.interrupted.pattern == "0,2,2"
        assert np.array_equal(found.pages, pages) and np.array_equal(found.origins, origins)
        assert found.path.stat().st_size < 100_000, "a regular layout takes next to nothing"
        wanted = found.wish.nodes(np.array([76, 77, 78], dtype=np.uint64))
        assert wanted.tolist() == [-1, 0, 1]
        writer.close()
        # The next move ends the torn line, and knows what was before.
        again = JournalWriter(target, "2", tmp_path)
        again.end("still", 1)
        again.close()
        found = read_journal(target, tmp_path)
        assert found is not None and [move.ended for move in found.moves] == [None, "still"]
        assert len(found.pages) == len(pages)
        # Of a program that was replaced, or of another boot, nothing is known.
        text = found.path.read_text()
        found.path.write_text(text.replace('"image": "', '"image": "other'))
        assert read_journal(target, tmp_path) is None
    stale = tmp_path / "4194304-1.moves"
    stale.write_text("{}\n")
    with HeldProcess(child.pid) as target:
        JournalWriter(target, "2", tmp_path).close()
    assert not stale.exists()


def test_nothing_is_moved_without_a_journal(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hmexp.program.pages.undo.DIRECTORY", Path("/proc/nowhere"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc/nowhere")
    with pytest.raises(StoreError, match="the journal of moved pages cannot be written"):
        hmexp.move_program(child.pid, HERE, STILL)
    # The lock was let go.
    assert hmexp.follow(child.pid, HERE, STILL).complete


def hmexp_move(*words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *before, "-m", "hmexp", "move", *words], capture_output=True, text=True, timeout=120
    )


def test_the_command(child: subprocess.Popen[bytes]) -> None:
    pid = str(child.pid)
    done = hmexp_move("--pid", pid, "--pattern", str(NODE), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["complete"] and sum(found["outcomes"].values()) >= (8 << 20) / PAGE_BYTES
    with HeldProcess(child.pid) as target:
        target.lock()
        done = hmexp_move("--pid", pid, "--pattern", str(NODE))
    assert done.returncode == 2 and f"another hmexp is moving the pages of process {pid}" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--pid", "4194303", "--pattern", str(NODE)], "there is no process 4194303"),
        (["--pid", "2", "--pattern", str(NODE)], "process 2"),
        (["--pid", "1"], "there is no --pattern"),
        (["--pid", "1", "--pattern", "0", "--undo"], "--pattern and --undo are two things"),
        (["--pid", "1", "--undo", "--keep"], "neither --keep nor --children"),
        (["--pid", "1", "--pattern", "0", "--rate", "0"], "rate 0 pages/s is not above 0"),
        (["--pid", "1", "--pattern", "0", "--cpu-share", "0"], "CPU share 0 is not above 0"),
        (["--pid", "-5", "--pattern", str(NODE)], "there is no process -5"),
        (["--pid", "99999999999999999999", "--pattern", str(NODE)], "there is no process"),
    ],
)
def test_what_cannot_be_done(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    from hmexp.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(["move", *words])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_seccomp_filter_is_named(child: subprocess.Popen[bytes]) -> None:
    profile = ROOT / "tests" / "docker_profile.py"
    done = subprocess.run(
        [sys.executable, profile, "--", sys.executable, "-m", "hmexp", "move", "--pid", str(child.pid),
         "--pattern", str(NODE)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and "refused to hmexp by a seccomp filter" in done.stderr, done.stderr
    assert child.poll() is None


def test_ctrl_c_reports_and_leaves_the_program(child: subprocess.Popen[bytes]) -> None:
    command = [
        sys.executable,
        "-m",
        "hmexp",
        "move",
        "--pid",
        str(child.pid),
        "--pattern",
        str(NODE),
        "--keep",
    ]
    with subprocess.Popen(
        [*command, "--json", "-v"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        # It has looked at least once.
        next(line for line in process.stderr if f"process {child.pid}:".encode() in line)
        process.send_signal(signal.SIGINT)
        found = json.loads(process.stdout.read())
        process.stderr.read()
    assert process.returncode == 130 and found["why"] == "stopped" and child.poll() is None


def test_outcomes_add_up() -> None:
    found = PageOutcomes(moved=1, already=2, absent=4, zero=8, shared=16, pinned=32, waiting=64)
    assert found.in_place == 3 and found.misplaced == 112 and found.pages == 127
