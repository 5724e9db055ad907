"""`hmexp move` on programs that check their own memory; run inside the lab by test_move.py.

Arguments: a directory for results, the program, and the parts to run. One line is printed for each thing
that was seen. Commands are run in forked children, so that Python need not load everything each time.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hmexp.program.move.follower
import hmexp.program.move.following_text
import hmexp.program.move.moves  # noqa: F401 - once, for all children
from hmexp.cli.main import main
from hmexp.native import PAGE_BYTES
from hmexp.native.mover import move_foreign
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.ledger import Ledger
from hmexp.program.pages.view import HUGE_PAGES, Looker

RESULTS, PARTS = Path(sys.argv[1]), sys.argv[3:]
#: Where any user may execute it.
PROGRAM = shutil.copy(sys.argv[2], "/run/moved_program")
BALANCING = Path("/proc/sys/kernel/numa_balancing")
STARTED = time.monotonic()
NOBODY = 65534
THP = Path("/sys/kernel/mm/transparent_hugepage")
MIB = int(os.environ.get("MOVE_MIB", "24"))
MIB_PAGES = (1 << 20) // PAGE_BYTES
#: Ways in which the program makes it hard to move its pages.
HOSTILE = ("fork", "mremap", "dontneed", "threads", "mlock", "exec")


def say(text: str) -> None:
    line = f"{text}  [{time.monotonic() - STARTED:.0f} s]"
    print(line, flush=True)
    with (RESULTS / "log").open("a") as log:
        print(line, file=log)  # seen outside while the guest runs


class Program:
    """The program that checks itself."""

    def __init__(self, mode: str, mib: int = MIB, seconds: float = 600, user: int | None = None) -> None:
        self.process = subprocess.Popen(
            ["taskset", "1", PROGRAM, mode, str(mib), str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=user, group=user,
        )  # fmt: skip
        self.pid = self.process.pid
        assert self._line().startswith("ready")
        self.before = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def where(self, pattern: str) -> dict[str, Any]:
        self.tell(f"where {pattern}")
        found: dict[str, Any] = json.loads(self._line())
        return found

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """All of its memory was right, to the end."""
        out, _ = self.process.communicate("end\n", timeout=120)
        assert self.process.returncode == 0, (self.process.returncode, out)


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.2)


def start(*words: str, user: int | None = None, output: str = "output") -> int:
    """A command in a child."""
    pid = os.fork()
    if pid:
        return pid
    fd = os.open(RESULTS / output, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    if user is not None:
        os.setgid(user)
        os.setuid(user)
    status = 70
    try:
        main(words)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    os._exit(status)


def command(*words: str, user: int | None = None) -> tuple[int, str]:
    """A command to its end: its status, and what it printed."""
    pid = start(*words, "-v", user=user)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, (RESULTS / "output").read_text()


def record_of(text: str) -> dict[str, Any]:
    """The line of JSON among what was printed."""
    found: dict[str, Any] = json.loads(next(line for line in text.split("\n") if line.startswith("{")))
    return found


def move(program: Program, *words: str, user: int | None = None) -> tuple[int, dict[str, Any]]:
    status, text = command("move", "--pid", str(program.pid), *words, "--json", user=user)
    assert "\n{" in f"\n{text}", text
    found = record_of(text)
    assert "Traceback" not in text, text
    with (RESULTS / "details").open("a") as log:
        log.write(text)
    return status, found


def total(found: dict[str, Any]) -> int:
    return sum(found["outcomes"].values())


def short(found: dict[str, Any]) -> str:
    kept = {name: n for name, n in found["outcomes"].items() if n}
    call = (found["call_times"]["longest_seconds"] or 0) * 1e3
    return (
        f"{found['why']} {kept} moves {found['page_moves']} returned {found['returned']} untrue "
        f"{found['untrue']} split {found['split']} calls {found['calls']} longest {call:.1f} ms scans "
        f"{found['scans']} cpu {found['cpu_seconds']:.2f} (scan {found['scan_cpu_seconds']:.2f}) of "
        f"{found['elapsed_seconds']:.1f} s"
    )


def plain() -> None:
    """There, elsewhere, and back; each page by the program's own question to the kernel."""
    program = Program("plain")
    pages = program.before["present"]
    status, text = command("move", "--pid", str(program.pid), "--pattern", "0,2,2", "--dry-run")
    assert status == 0 and "Nothing was moved" in text, text
    assert program.where("0,2,2")["as_before"] == pages
    for pattern in ("0,2,2", "2,1,0"):
        status, found = move(program, "--pattern", pattern)
        there = program.where(pattern)
        assert status == 0 and found["complete"] and found["why"] == "still", found
        assert there["right"] == pages == there["present"], there
        assert found["outcomes"]["moved"] + found["outcomes"]["already"] + found["outcomes"]["zero"] == total(
            found
        )
        assert found["untrue"] == 0
        # `hmexp placement` looks on its own.
        status, text = command("placement", "--pid", str(program.pid), "--against", pattern, "--json")
        verdict = record_of(text)["verdict"]
        assert status == 0 and verdict["misplaced"] == 0 and verdict["in_place"] >= pages, verdict
        say(f"plain {pattern}: {short(found)} {there}")
    status, found = move(program, "--undo")
    there = program.where("0")
    assert status == 0 and there["as_before"] == pages, (found, there)
    status, text = command("move", "--pid", str(program.pid), "--undo")
    assert status == 2 and "no journal of it" in text, text
    program.end()
    say(f"plain back: {short(found)}")


def killed() -> None:
    """kill -9 of hmexp in mid-move; a lock while it is at it; what the next command says; the way back."""
    program = Program("plain", 64)
    pages = program.before["present"]
    pid = start("move", "--pid", str(program.pid), "--pattern", "2,2,1", "--rate", "300", output="killed")
    while program.where("2,2,1")["right"] < 100:
        time.sleep(0.2)
    status, text = command("move", "--pid", str(program.pid), "--pattern", "0")
    assert status == 2 and "another hmexp is moving" in text, text
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    there = program.where("2,2,1")
    assert 0 < there["right"] < pages, there
    status, text = command("move", "--pid", str(program.pid), "--undo", "--dry-run")
    assert status == 0 and "was killed after" in text, text
    status, found = move(program, "--undo", "--cpu-share", "1")
    assert status == 0 and program.where("0")["as_before"] == pages, found
    # SIGTERM (Ctrl-C may be ignored here): a report, and a program as it is by then.
    pid = start(
        "move", "--pid", str(program.pid), "--pattern", "2,2,1", "--rate", "300", "--json", output="stopped"
    )
    while program.where("2,2,1")["right"] < 100:
        time.sleep(0.2)
    os.kill(pid, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = record_of((RESULTS / "stopped").read_text())
    assert status == 143 and found["why"] == "stopped" and not found["complete"], (status, found)
    assert found["outcomes"]["waiting"] > 0, found
    program.end()
    say(f"killed at {there['right']} of {pages}, put back; stopped: {short(found)}")


def growing() -> None:
    """Pages that appear meanwhile are moved, too; the lag from first touch is bounded from both sides."""
    program = Program("grow", 12)
    words = ("--pattern", "2", "--keep", "--cpu-share", "1", "--json")
    pid = start("move", "--pid", str(program.pid), *words, output="growing")
    wait_until(lambda: program.where("2")["right"] == program.before["present"])
    program.tell("grow")
    wait_until(lambda: program.where("2")["right"] == MIB_PAGES * 12)
    os.kill(pid, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = record_of((RESULTS / "growing").read_text())
    there = program.where("2")
    program.end()
    most, least = found["lag_at_most"], found["lag_at_least"]
    say(f"growing: {status} {short(found)} {there} lag at most {most} at least {least}")
    assert status == 143 and found["why"] == "stopped" and most["count"] == least["count"] >= 1000, found
    assert most["median_seconds"] >= least["median_seconds"] > 0
    assert found["outcomes"]["moved"] >= there["right"] > program.before["present"], (found, there)


def hostile() -> None:
    """Whatever the program does meanwhile, it loses nothing, and the report adds up."""
    for mode in HOSTILE:
        program = Program(mode, 8)
        # Each locked page takes milliseconds here, and with them are stacks and libraries.
        words = ("--limit", "90" if mode == "mlock" else "15", "--children", "--cpu-share", "1")
        status, found = move(program, "--pattern", "0,2,2", *words)
        say(f"hostile {mode}: {status} {short(found)}")
        assert found["why"] in ("still", "time", "churning"), found
        assert total(found) > 0 and found["outcomes"]["denied"] == 0, found
        assert status == (0 if found["complete"] else 1), (status, found)
        if mode == "exec":
            assert found["processes"][0]["replaced"] > 0, found
            program.process.kill()
        else:
            there = program.where("0,2,2")
            program.end()
            say(f"  the program itself: {there}")
        if mode == "mlock":
            assert found["complete"], found
        if mode == "threads":
            # Stacks come and go.
            assert found["outcomes"]["waiting"] <= total(found) // 50, found


def ending() -> None:
    """A program that ends in mid-move, and one whose first thread has ended before."""
    program = Program("die", 32, seconds=40)
    status, found = move(program, "--pattern", "2", "--rate", "150")
    assert program.process.wait() == 0
    say(f"died: {short(found)}")
    assert status == 1 and found["why"] == "ended" and found["processes"][0]["ended"], (status, found)
    # Where its pages were when they were last looked at: some moved, others not reached.
    assert found["outcomes"]["moved"] > 500 and found["outcomes"]["waiting"] > 500, found
    assert not found["complete"] and found["outcomes"]["absent"] == 0, found
    program = Program("leader", 12, seconds=90)
    status, found = move(program, "--pattern", "0,2,2")
    assert status == 0 and found["complete"], (status, found)
    assert program.process.wait() == 0
    say(f"leader: {short(found)}")


def huge() -> None:
    """Huge pages: split knowingly, left, or moved as they are; never reported as what they are not."""
    program = Program("huge", 12)
    status, text = command("move", "--pid", str(program.pid), "--pattern", "0,2,2", "--dry-run", "--json")
    assert status == 0 and record_of(text)["splitting"] >= 6, text
    status, found = move(program, "--pattern", "0,2,2", "--huge", "leave")
    there = program.where("0,2,2")
    assert status == 1 and found["outcomes"]["huge"] >= 3 * HUGE_PAGES and found["split"] == 0, found
    assert there["as_before"] == there["present"], there
    say(f"huge left: {short(found)}")
    status, found = move(program, "--pattern", "0,2,2", "--granule", "2MiB")
    counts = program.where("0")["nodes"]
    assert status == 0 and found["split"] == 0 and sorted(n // HUGE_PAGES for n in counts) == [0, 2, 4], (
        found,
        counts,
    )
    say(f"huge granules: {short(found)}")
    claims(program.pid)
    status, found = move(program, "--pattern", "0,2,2")
    there = program.where("0,2,2")
    assert status == 0 and found["split"] >= 6 and there["right"] == there["present"], (found, there)
    program.end()
    say(f"huge split: {short(found)}")


def claims(pid: int) -> None:
    """The kernel reports success for two nodes of one huge page: the ledger does not believe it."""
    with HeldProcess(pid) as target:
        looker = Looker(target)
        view = looker.look()
        first = np.flatnonzero(view.huge & (view.pages % HUGE_PAGES == 0))[0]
        pages, nodes = view.pages[first : first + 2], np.array([1, 2], dtype=np.int32)
        ledger = Ledger()
        ledger.enter(pages, view.node[first : first + 2], np.full(2, -1), 1)
        call = move_foreign(pid, pages, nodes)
        ledger.answered(pages, call.status, 2)
        view = looker.look()
        looker.close()
        wanted = np.full(len(view.pages), -1, dtype=np.int32)
        wanted[np.searchsorted(view.pages, pages)] = nodes
        ledger.compare(view, wanted)
        say(f"claimed {call.status.tolist()} for one huge page, found untrue: {ledger.untrue}")
        assert call.status.tolist() != [1, 2] or ledger.untrue == 1


def rejoined() -> None:
    """khugepaged joins again what was split: not chased for ever, and what is left is counted as huge."""
    (THP / "khugepaged/pages_to_scan").write_text("100000")
    (THP / "khugepaged/scan_sleep_millisecs").write_text("10")
    program = Program("huge", 12)
    status, found = move(program, "--pattern", "0,2,2", "--limit", "90")
    say(f"rejoined: {status} {short(found)} {found['reason'][:120]} {found['counters']}")
    assert found["why"] in ("oscillating", "still"), found
    assert found["complete"] == (status == 0) and (status == 0) == (found["outcomes"]["huge"] == 0), found
    program.end()
    (THP / "khugepaged/pages_to_scan").write_text("1")
    (THP / "khugepaged/scan_sleep_millisecs").write_text("600000")


def pinned() -> None:
    """One pinned page: that page alone is not moved, and is called what it is."""
    program = Program("pin", 12)
    status, found = move(program, "--pattern", "2")
    there = program.where("2")
    assert status == 1 and found["why"] == "still" and found["outcomes"]["pinned"] == 1, found
    assert there["present"] - there["right"] == 1, there
    assert any("pinned" in note for note in found["notes"]), found
    program.end()
    say(f"pinned: {status} {short(found)}")


def fill_node(leave_mib: int) -> subprocess.Popen[bytes]:
    """A program that has all of node 1 but for so much [MiB]; it sleeps."""
    free = int(next(
        line.split()[3] for line in Path("/sys/devices/system/node/node1/meminfo").read_text().split("\n")
        if "MemFree" in line
    ))  # fmt: skip
    hog_mib = free // 1024 - leave_mib
    set_mempolicy, bind, default, mask = 238, 2, 0, ctypes.c_ulong(1 << 1)
    libc = ctypes.CDLL(None)
    # It is inherited.
    assert libc.syscall(set_mempolicy, bind, ctypes.byref(mask), 64) == 0
    hog = subprocess.Popen(
        [PROGRAM, "plain", str(hog_mib), "900"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert libc.syscall(set_mempolicy, default, None, 0) == 0
    assert hog.stdout is not None and hog.stdout.readline().startswith(b"ready"), hog_mib
    hog.send_signal(signal.SIGSTOP)
    return hog


def full() -> None:
    """A node without room: refused beforehand; with --partial, what fits; the program lives."""
    hog = fill_node(110)
    program = Program("plain", 160)
    status, text = command("move", "--pid", str(program.pid), "--pattern", "1")
    assert status == 2 and "more on node 1, which has room for" in text and "nothing was moved" in text, text
    assert program.where("1")["as_before"] == program.before["present"]
    status, found = move(program, "--pattern", "1", "--partial")
    there = program.where("1")
    assert status == 1 and found["why"] == "no_room" and found["outcomes"]["no_room"] > 1000, found
    assert 0 < there["right"] < there["present"], there
    program.end()
    hog.kill()
    hog.wait()
    say(f"full: {short(found)} {there}")


def balancing_on() -> str:
    """Switch NUMA balancing on, and have it look ten times a second; returns what it was."""
    before = BALANCING.read_text()
    BALANCING.write_text("1")
    debug = Path("/sys/kernel/debug/sched/numa_balancing")
    subprocess.run(
        ["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], check=False, stderr=subprocess.DEVNULL
    )
    for name, value in (
        ("scan_period_min_ms", "100"),
        ("scan_delay_ms", "100"),
        ("scan_period_max_ms", "200"),
    ):
        if (debug / name).exists():
            (debug / name).write_text(value)
    return before


def balanced() -> None:
    """NUMA balancing undoes it: noticed, named, given up."""
    before = balancing_on()
    program = Program("plain", 12)
    status, found = move(program, "--pattern", "2", "--keep", "--limit", "60")
    say(f"balanced: {status} {short(found)} {found['reason'][:150]}")
    assert status == 1 and found["why"] == "oscillating" and "NUMA balancing" in found["reason"], found
    assert found["settings"]["kernel.numa_balancing"] == "1" and found["counters"]["numa_pages_migrated"] > 0
    program.end()
    BALANCING.write_text(before)


def refused() -> None:
    """Another user's program, an undumpable one, a cpuset; an own program without capabilities."""
    program = Program("plain", 8)
    status, text = command("move", "--pid", str(program.pid), "--pattern", "2", user=NOBODY)
    assert status == 2 and "belongs to user root" in text and "needed is the same user" in text, text
    assert program.where("0")["as_before"] == program.before["present"]
    status, text = command("move", "--pid", str(program.pid), "--pattern", "0,7")
    assert status == 2 and "node 7" in text, text
    cpuset(program)
    program.end()
    hidden = Program("undumpable", 8, user=NOBODY)
    status, text = command("move", "--pid", str(hidden.pid), "--pattern", "2", user=NOBODY)
    assert status == 2 and "undumpable" in text, text
    hidden.end()
    own = Program("plain", 8, user=NOBODY)
    status, found = move(own, "--pattern", "0,2,2", user=NOBODY)
    there = own.where("0,2,2")
    assert there["right"] == there["present"], (found, there)
    assert status == 0 and found["complete"], found
    status, found = move(own, "--undo", user=NOBODY)
    assert status == 0 and own.where("0")["as_before"] == there["present"], found
    own.end()
    say(f"refused: others; own without rights: {short(found)}")


def cpuset(program: Program) -> None:
    group = RESULTS / "nowhere"
    for root in (Path("/sys/fs/cgroup"),):
        if not (root / "cgroup.controllers").exists():
            subprocess.run(["mount", "-t", "cgroup2", "none", str(root)], check=False)
        if "cpuset" in (root / "cgroup.controllers").read_text():
            (root / "cgroup.subtree_control").write_text("+cpuset")
            group = root / "moved"
            group.mkdir()
            (group / "cpuset.mems").write_text("0-1")
            (group / "cgroup.procs").write_text(str(program.pid))
    if not group.exists():
        say("refused: no cpuset controller here")
        return
    status, text = command("move", "--pid", str(program.pid), "--pattern", "0,2")
    assert status == 2 and "may not have memory of node 2" in text and "Mems_allowed_list" in text, text
    status, found = move(program, "--pattern", "0,1")
    assert status == 0, found
    # It loses a node in mid-move: that is said, and what was moved is counted.
    words = ("--pattern", "1", "--keep", "--rate", "100", "--json")
    pid = start("move", "--pid", str(program.pid), *words, output="lost")
    wait_until(lambda: program.where("1")["right"] > program.before["present"] // 2 + 64)
    (group / "cpuset.mems").write_text("0")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = record_of((RESULTS / "lost").read_text())
    say(f"cpuset: {status} {short(found)} {found['reason']}")
    assert status == 1 and found["why"] == "refused" and "(its cpuset)" in found["reason"], found
    (group.parent / "cgroup.procs").write_text(str(program.pid))


def prepare() -> None:
    """Import whatever a command does, for another user may not read where Python is; settle the machine."""
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        main(["move", "--pid", str(sleeper.pid), "--pattern", "0,2"])
    except SystemExit as error:
        say(f"a program that sleeps: {error.code}")
    sleeper.kill()
    BALANCING.write_text("0")
    sortable = np.random.default_rng(1).permutation(60)
    say(f"argsort works in this emulator: {bool((sortable[np.argsort(sortable)] == np.arange(60)).all())}")
    (THP / "enabled").write_text("madvise")
    (THP / "khugepaged/pages_to_scan").write_text("1")
    (THP / "khugepaged/scan_sleep_millisecs").write_text("600000")


def run(parts: Sequence[Callable[[], None]]) -> None:
    """Run those that were asked for; a failure of one leaves the others something to show."""
    prepare()
    failed = []
    for part in parts:
        name = part.__name__
        if PARTS and name not in PARTS:
            continue
        try:
            part()
        except Exception as error:  # noqa: BLE001
            failed.append(name)
            where = traceback.extract_tb(error.__traceback__)[-1]
            say(f"FAILED {name}, line {where.lineno}: {type(error).__name__} {str(error)[:3000]}")
    say("all seen" if not failed else f"failed: {failed}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    run([plain, killed, growing, hostile, ending, huge, rejoined, pinned, full, balanced, refused])
