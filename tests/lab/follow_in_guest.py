"""`hmexp run --via follow` on programs that check their own memory; run inside the lab by test_move.py.

Arguments as those of move_in_guest.py, which has the programs.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import Any

from move_in_guest import (
    BALANCING,
    HOSTILE,
    NOBODY,
    PROGRAM,
    RESULTS,
    balancing_on,
    command,
    fill_node,
    move,
    run,
    say,
    wait_until,
)

import hmexp.program.launch.bystander
import hmexp.program.launch.child
import hmexp.program.launch.summary
import hmexp.program.launch.ways  # noqa: F401 - once, for all children
from hmexp.cli.main import main
from hmexp.store.program_records import ProgramRun
from hmexp.store.programs import read_program

#: Of what makes it hard, that which lets pages be.
CALM = ("mremap", "threads", "mlock")
#: A look at the pages, and what it leads to, takes no longer here [s].
LOOK_SECONDS = 4


class Followed:
    """The program that checks itself, started by a command of hmexp."""

    def __init__(
        self, mode: str, mib: int, *words: str, seconds: float = 600, user: int | None = None
    ) -> None:
        number = len(list(RESULTS.iterdir()))
        self.folder = RESULTS / f"record-{mode}-{number}"
        self.errors = RESULTS / f"errors-{mode}-{number}"
        given, self.given = os.pipe()
        out, out_w = os.pipe()
        self.hmexp = os.fork()
        if not self.hmexp:
            error_fd = os.open(self.errors, os.O_CREAT | os.O_WRONLY, 0o600)
            for fd, to in ((given, 0), (out_w, 1), (error_fd, 2)):
                os.dup2(fd, to)
            os.closerange(3, 64)
            record = ("--record", "none" if user is not None else str(self.folder))
            if user is not None:
                os.setgid(user)
                os.setuid(user)
            status = 99
            try:
                main(["run", *words, *record, "--", PROGRAM, mode, str(mib), str(seconds)])
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 1
            os._exit(status)
        os.close(given)
        os.close(out_w)
        self.lines = os.fdopen(out)
        first = self.lines.readline()
        assert first.startswith("ready"), self.errors.read_text()
        self.pid = int(first.split()[1])
        self.before = json.loads(self.lines.readline())

    def tell(self, word: str) -> None:
        os.write(self.given, f"{word}\n".encode())

    def where(self, pattern: str) -> dict[str, Any]:
        self.tell(f"where {pattern}")
        while (line := self.lines.readline()).startswith("ready"):
            self.lines.readline()  # it has executed itself once more
        found: dict[str, Any] = json.loads(line)
        return found

    def in_place(self, pattern: str) -> bool:
        found = self.where(pattern)
        return bool(found["right"] == found["present"] > 0)

    def end(self) -> ProgramRun:
        """All of its memory was right, to the end; what hmexp says of it."""
        with suppress(BrokenPipeError):
            self.tell("end")
        return self.ended()

    def ended(self) -> ProgramRun:
        status = os.waitstatus_to_exitcode(os.waitpid(self.hmexp, 0)[1])
        os.close(self.given)
        self.lines.close()
        text = self.errors.read_text()
        with (RESULTS / "details").open("a") as log:
            log.write(text)
        assert status == 0 and "Traceback" not in text and "follow has ended" not in text, (status, text)
        record = read_program(self.folder)
        assert record.status == 0 and record.following is not None and record.following.why == "ended", record
        return record


def short(record: ProgramRun) -> str:
    found = record.following
    assert found is not None
    kept = {name: n for name in found.outcomes.__struct_fields__ if (n := getattr(found.outcomes, name))}
    lag = found.lag_at_most
    return (
        f"{found.why} {kept} by node {found.by_node} moves {found.page_moves} returned {found.returned} "
        f"untrue {found.untrue} split {found.split} lag {lag.count}: {lag.median_seconds} to "
        f"{lag.longest_seconds} s, {len(found.processes)} processes, last look "
        f"{found.processes[0].unseen_seconds} s before the end"
    )


def beside() -> None:
    """Whatever the program does meanwhile, it loses nothing; where it lets pages be, they are in place."""
    for mode in HOSTILE:
        program = Followed(mode, 8, "--via", "follow", "--pattern", "0,2,2", "--look-every", "0")
        if mode in CALM:
            wait_until(lambda program=program: program.in_place("0,2,2"))  # type: ignore[misc]
        # Also for another look.
        time.sleep(LOOK_SECONDS if mode in CALM else 8)
        there = program.where("0,2,2")
        record = program.end()
        found = record.following
        say(f"followed {mode}: {short(record)} {there}")
        assert found is not None and found.outcomes.denied == 0 and found.outcomes.pages > 0, found
        if mode == "exec":
            assert found.processes[0].replaced > 1, found
        if mode in CALM:
            # Stacks of threads come and go.
            few = found.outcomes.waiting <= found.outcomes.pages // 50
            assert found.outcomes.in_place >= 2000 and (found.complete or (mode == "threads" and few)), found


def granules() -> None:
    """Whole huge pages by their granule, and split ones by pages."""
    for pattern, words in (("0,2,2", ("--granule", "2MiB")), ("0,2,2", ())):
        program = Followed("huge", 12, "--via", "follow", "--pattern", pattern, *words, "--look-every", "0")
        if words:
            wait_until(lambda program=program: program.where("0")["nodes"] == [1024, 0, 2048])  # type: ignore[misc]
        else:
            wait_until(lambda program=program: program.in_place("0,2,2"))  # type: ignore[misc]
        there = program.where("0,2,2")
        time.sleep(LOOK_SECONDS)
        record = program.end()
        found = record.following
        say(f"granules {words}: {short(record)} {there}")
        # Huge pages were switched off for the program where granules are smaller.
        assert found is not None and found.complete and found.split == 0 and not found.notes, found


def dying() -> None:
    """It ends by itself in the middle of all: an ordinary end, and what was seen of it last stays."""
    # Half of its pages take 27 s; a look at them takes up to 10 s where the emulator shares its CPU.
    program = Followed(
        "die", 64, "--via", "follow", "--pattern", "2", "--rate", "300", "--look-every", "0", seconds=30
    )
    record = program.ended()
    found = record.following
    say(f"died: {short(record)}")
    assert found is not None and found.outcomes.moved > 500 and found.outcomes.waiting > 500, found
    assert found.outcomes.absent == 0 and not found.complete and found.processes[0].ended, found


def killed() -> None:
    """Another hmexp is kept off; kill -9 of hmexp leaves the program, and then another may move it."""
    program = Followed("plain", 12, "--via", "follow", "--pattern", "0,2,2", "--look-every", "0")
    wait_until(lambda: program.in_place("0,2,2"))
    status, text = command("move", "--pid", str(program.pid), "--pattern", "0")
    assert status == 2 and "another hmexp is moving" in text, text
    os.kill(program.hmexp, signal.SIGKILL)
    os.waitpid(program.hmexp, 0)
    status, found = move(program, "--pattern", "2,1,0")  # type: ignore[arg-type]
    assert status == 0 and found["complete"] and program.in_place("2,1,0"), found
    program.tell("end")
    # It is not ours to wait for: its output ends with it.
    assert program.lines.readline() == "", "it had something to say"
    say("killed: followed, left, moved by another")


def own_policy() -> None:
    """A program that is followed from its start has a policy, which keeps NUMA balancing off its pages."""
    before = balancing_on()
    program = Followed("plain", 12, "--via", "follow", "--pattern", "0,2,2", "--look-every", "0")
    wait_until(lambda: program.in_place("0,2,2"))
    time.sleep(10)
    there = program.where("0,2,2")
    record = program.end()
    BALANCING.write_text(before)
    say(f"balancing: {short(record)} {there} {record.following and record.following.counters}")
    assert there["right"] == there["present"] and record.following is not None, there
    assert record.following.returned == 0 and record.following.settings["kernel.numa_balancing"] == "1"


def exact_first() -> None:
    """An order that no policy has is followed, not given to a policy by its ratio; and that is said."""
    program = Followed("plain", 8, "--pattern", "2,0,2", "--look-every", "0")
    wait_until(lambda: program.in_place("2,0,2"))
    record = program.end()
    refused = {each.way: each.reason for each in record.refused}
    say(f"auto: {record.way}, {record.promise}; refused {refused}")
    assert (record.asked, record.way, record.promise) == ("auto", "follow", "exact"), record
    assert "policy" in refused and "preload" in refused, refused


def filled() -> None:
    """On a full node the kernel takes others without a word; what is said of the pages is where they are."""
    hog = fill_node(110)
    for way in ("policy", "follow"):
        program = Followed("plain", 160, "--via", way, "--pattern", "1", "--look-every", "0.5")
        wait_until(lambda program=program: program.where("1")["right"] > 5000)  # type: ignore[misc]
        # By then it has all its pages, and was looked at since.
        wait_until(lambda program=program: program.where("1")["present"] >= 40_960)  # type: ignore[misc]
        time.sleep(8)
        there = program.where("1")
        if way == "policy":
            program.tell("end")
            os.waitpid(program.hmexp, 0)
            record, text = read_program(program.folder), program.errors.read_text()
            seen = record.shown_placement
            assert seen is not None and record.fallen_back is not None, record
            placed = f"{seen.in_place} in place, {seen.misplaced} misplaced"
            say(f"filled policy: {there} {placed}: {record.fallen_back.text}")
            assert 0 < there["right"] < there["present"], there
            assert seen.misplaced >= there["present"] - there["right"] - 64 > 1000, (seen, there)
            assert record.fallen_back.text and "the kernel took other nodes" in text, text
            continue
        record = program.end()
        found = record.following
        say(f"filled follow: {there} {short(record)}")
        assert found is not None and not found.complete, found
        # No room, or busy: whatever the kernel claimed, it is as many as the program counts itself.
        elsewhere = found.outcomes.misplaced
        assert there["present"] - there["right"] - 64 <= elsewhere and found.outcomes.no_room > 1000, found
    hog.kill()
    hog.wait()


def an_ordinary_user() -> None:
    """Without any capability a user's own program is followed: huge pages are off, none needs splitting."""
    program = Followed("plain", 8, "-q", "--via", "follow", "--pattern", "0,2,2", user=NOBODY)
    wait_until(lambda: program.in_place("0,2,2"))
    program.tell("end")
    assert os.waitstatus_to_exitcode(os.waitpid(program.hmexp, 0)[1]) == 0, program.errors.read_text()
    say("an ordinary user: followed")


if __name__ == "__main__":
    # This imports whatever a command does: another user may not read where Python is.
    with suppress(SystemExit):
        main(["-q", "run", "--via", "follow", "--pattern", "0,2", "--record", "none", "--", "sleep", "1"])
    run([beside, granules, dying, killed, own_policy, exact_first, filled, an_ordinary_user])
