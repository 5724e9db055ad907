"""One boot of a guest: started, watched, ended, and what became of it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hmexp.lab.emulator import Emulator, Follower
from hmexp.lab.errors import LabCrashError, LabError, LabTimeoutError
from hmexp.lab.machine import quoted
from hmexp.lab.tools import Tools

_SPLAT = re.compile(
    r"\bBUG: |\bWARNING: |\bOops|\bKASAN: |\bUBSAN: |\bINFO: task .* blocked|\bINFO: rcu|Kernel panic"
    r"|general protection fault|possible .*locking|possible recursive|inconsistent lock state"
    r"|suspicious RCU usage|kmemleak: \d+ new"
)
_MARK = re.compile(r"HMEXP-LAB(-FAILURE)? (.*)")


@dataclass(frozen=True)
class Sinks:
    """Where the guest's output is copied as it comes."""

    stdout: BinaryIO | None
    stderr: BinaryIO | None
    console: BinaryIO | None


@dataclass(frozen=True)
class Ending:
    """How a guest ended: its console, QEMU's own messages, and times [s]."""

    console: str
    messages: str
    in_time: bool
    boot_seconds: float | None
    elapsed_seconds: float


def boot(
    work: Path, tools: Tools, arguments: Sequence[str], timeout_seconds: float | None, sinks: Sinks
) -> Ending:
    """Start the guest whose files are in `work`, and wait until it ends or its time is up."""
    out, serial = work / "out", work / "console"
    followers = [
        Follower(out / "stdout", sinks.stdout),
        Follower(out / "stderr", sinks.stderr),
        Follower(serial, sinks.console),
    ]
    ready: list[float] = []

    def tick() -> bool:
        if not ready and (out / "started").exists():
            ready.append(time.monotonic() - emulator.started)
        for follower in followers:
            follower.pump()
        return False

    with Emulator(tools, [*arguments, "-serial", f"file:{quoted(serial)}"], work) as emulator:
        in_time = emulator.watch(tick, timeout_seconds)
        emulator.stop()
        elapsed_seconds = emulator.elapsed_seconds
        messages = emulator.messages
    tick()
    console = read_if_there(serial).decode("utf-8", "replace").replace("\r\n", "\n")
    return Ending(console, messages, in_time, ready[0] if ready else None, elapsed_seconds)


def splats(console: str) -> tuple[str, ...]:
    """Find the lines in which the kernel complains."""
    return tuple(line.strip() for line in console.splitlines() if _SPLAT.search(line))


def read_if_there(path: Path) -> bytes:
    """Read a file; nothing if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def failure(ending: Ending, timeout_seconds: float | None) -> LabError:
    """Explain why a guest left no exit status."""
    console = ending.console
    started = ending.boot_seconds is not None
    marks = [match for match in map(_MARK.search, console.splitlines()) if match]
    failed = next((match[2] for match in marks if match[1]), None)
    if failed is not None:
        return LabCrashError(f"the guest could not be set up: {failed}", "see the guest's console", console)
    if not ending.in_time:
        where = "while the command was running" if started else "before the command started"
        return LabTimeoutError(
            f"the guest reached its time limit of {timeout_seconds:g} s and was stopped {where}",
            "if it was still working, allow more time with --timeout",
            console,
        )
    found = splats(console)
    if found:
        return LabCrashError(f"the guest's kernel crashed: {found[0]}", None, console)
    if ending.messages:
        return LabCrashError(f"QEMU failed: {ending.messages.splitlines()[-1]}", None, console)
    where = "while the command was running" if started else "before the command started"
    return LabCrashError(f"the guest stopped {where} and left no exit status", None, console)
