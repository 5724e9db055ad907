"""`hmexp provision` killed with -9 within its steps; run inside the lab by test_provision.py.

Arguments: where, and what. Where: `between` any two things that it does; `within` ndctl and daxctl, hmexp
alone, so that the tool goes on and must keep the others out, or both; `through` ndctl, which is killed ever
later. What: `raw` regions, each an empty namespace; those with `labels`, without a namespace; or a `cxl`
device. Commands are run in forked children, so that Python need not load everything each time; each of them
is the whole command line. Prints what it saw.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from hmexp.cli.main import main
from hmexp.machine.provision import execution, goal  # noqa: F401 - once, for all children
from hmexp.machine.provision.journal import ProvisionJournal
from hmexp.machine.provision.tools import InstalledTools, ProvisionError
from hmexp.system.setting_files import write_text
from hmexp.system.topology import read_topology

WHERE, WHAT = sys.argv[1:]
KIND, NODES = ("cxl", 1) if WHAT == "cxl" else ("nvm", 2)
AUTO_ONLINE: Final = Path("/sys/devices/system/memory/auto_online_blocks")
HOLD: Final = Path("/run/hold")
OUTPUT: Final = Path("/run/output")
STARTED: Final = time.monotonic()
#: Before ndctl and daxctl in the path of hmexp. Waits, where it is asked to, around what changes something.
WRAPPER: Final = """#!/bin/sh
case "$1" in list | version) exec TOOL "$@" ;; esac
hold() {
	[ -e /run/hold/$1 ] || return
	: >/run/hold/at-$1
	while [ -e /run/hold/$1 ]; do sleep 0.05; done
	rm /run/hold/at-$1
}
hold before
[ -e /run/hold/during ] && : >/run/hold/at-during
TOOL "$@"
status=$?
hold after
exit $status
"""
Status = int


def say(text: str) -> None:
    print(f"{text}  [{time.monotonic() - STARTED:.0f} s]", flush=True)


def start(words: Sequence[str], die_at: int = 0) -> int:
    """A command in a child that leads a group of its own; with `die_at`, it is killed at that moment."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    fd = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    if die_at:
        _die_at(die_at)
    status = 70
    try:
        main(["provision", *words])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    sys.stdout.flush()
    os._exit(status)


def _die_at(moment: int) -> None:
    """Before and after each write of the journal, each tool that changes something, each write to /sys."""
    left = moment

    def mortal(function: Callable[..., Any], changes: Callable[..., bool]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            nonlocal left
            if not changes(*given):
                return function(*given)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*given)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    def changes_something(_: InstalledTools, words: Sequence[str]) -> bool:
        return words[0] != "ipmctl" and words[1] not in ("list", "version")

    ProvisionJournal.write = mortal(ProvisionJournal.write, lambda *_: True)  # type: ignore[method-assign]
    InstalledTools.run = mortal(InstalledTools.run, changes_something)  # type: ignore[method-assign]
    vars(execution)["write_text"] = mortal(write_text, lambda *_: True)


def ended(pid: int) -> Status:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def command(*words: str) -> tuple[Status, str]:
    status = ended(start(words))
    return status, OUTPUT.read_text()


def next_command_says_where_it_stood(undo: Sequence[str]) -> str | None:
    """A look at what is next, which changes nothing."""
    doing = ProvisionJournal().read().doing
    status, text = command(*undo, "--dry-run")
    assert status == 0, text
    if doing is None:
        assert "interrupted" not in text, text
    else:
        assert f"an earlier run was interrupted in: {doing}. " in text, (doing, text)
    return doing


def killed_between(words: Sequence[str]) -> None:
    """Killed ever later, each time by the command that goes on, until one reaches the end."""
    undo = [word for word in words if word == "--undo"]
    # The step that maps CXL memory does nine things, and begins anew each time.
    stride = 3 if KIND == "cxl" and not undo else 1
    seen, kills = set[str | None](), 0
    while (status := ended(start(words, kills * stride + 1))) == -signal.SIGKILL:
        kills += 1
        seen.add(next_command_says_where_it_stood(undo))
    assert status == 0, OUTPUT.read_text()
    assert len(seen) > 2, seen
    replaced = any("modprobe -r dax_pmem_compat" in doing for doing in seen if doing)
    assert replaced is (COMPAT and not undo), seen
    say(f"{words[0]} was killed between things {kills} times, in {len(seen)} steps, and completed")


def wait_for(done: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 300
    while not done():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.02)


def killed_through(words: Sequence[str]) -> None:
    """Killed as it starts ndctl, and ndctl at its work: until it leaves something behind, or has ended.

    Afterwards hmexp completes what is there, one region after the other.
    """
    undo = [word for word in words if word == "--undo"]
    if undo:
        killed_within(words)
        return
    for number in (1, 0):
        (HOLD / "before").touch()
        pid = start([*words, "--region", str(number)])
        wait_for((HOLD / "at-before").exists, "ndctl")
        os.killpg(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
        for mark in HOLD.iterdir():
            mark.unlink()
        doing = ProvisionJournal().read().doing
        assert doing is not None and doing.startswith("ndctl create-namespace"), doing
        _kill_ndctl(shlex.split(doing), to_the_end=number == 0)
        assert next_command_says_where_it_stood(()) == doing
        status, text = command(*words, "--region", str(number))
        assert status == 0 and " is nvm, " in text, text
        say(f"  hmexp completes region{number}")


def _kill_ndctl(tool: Sequence[str], *, to_the_end: bool) -> None:
    """Killed after more and more time."""
    began, first = time.monotonic(), run("ndctl list --regions --namespaces --idle")
    # It begins as this one does, and then changes things.
    stretch = (time.monotonic() - began) / 8
    left = first
    for number in itertools.count():
        process = subprocess.Popen([f"/usr/bin/{tool[0]}", *tool[1:]], stdout=subprocess.DEVNULL)
        time.sleep(number * stretch)
        status = process.poll()
        process.kill()
        process.wait()
        found = run("ndctl list --regions --namespaces --idle")
        if found != left:
            say(f"  ndctl killed after {number * stretch:.2f} s leaves {' '.join(found.split())}")
            left = found
        if status is not None or (left != first and not to_the_end):
            say(f"  its status after {number * stretch:.2f} s: {status}")
            return


def killed_within(words: Sequence[str]) -> None:
    """Killed while a tool is at work: at the next tool that changes something, in each way in turn."""
    undo = [word for word in words if word == "--undo"]
    counts = dict.fromkeys(("before", "after", "during", "both"), 0)
    for way in itertools.cycle(("before", "after", "during", "both")):
        if not _kill_within(words, way):
            break
        counts[way] += 1
        doing = next_command_says_where_it_stood(undo)
        assert doing is not None
        say(f"  {way}: {doing}")
    assert min(counts.values()) > 0, counts
    say(f"{words[0]} was killed within tools {counts}, and completed")


def _kill_within(words: Sequence[str], way: str) -> bool:
    """Whether the command was killed; False if it reached its end."""
    mark = "during" if way == "both" else way
    (HOLD / mark).touch()
    pid = start(words)
    status: list[Status] = []

    def arrived() -> bool:
        found, code = os.waitpid(pid, os.WNOHANG)
        if found:
            status.append(os.waitstatus_to_exitcode(code))
        return bool(found) or (HOLD / f"at-{mark}").exists()

    wait_for(arrived, f"{words} at {mark}")
    if status:
        (HOLD / mark).unlink()
        assert status == [0], (status, OUTPUT.read_text())
        return False
    if mark == "during":
        time.sleep(0.05)
        (HOLD / mark).unlink()
        (HOLD / "at-during").unlink(missing_ok=True)
    if way == "both":
        os.killpg(pid, signal.SIGKILL)
        assert ended(pid) == -signal.SIGKILL
        # What is in the kernel dies as it leaves it.
        wait_for(_is_free, "the lock")
        return True
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL
    if way != "during":
        code, text = command(*words)
        assert code == 2 and "another process holds" in text and "wait until it has ended" in text, text
        assert "an earlier run was interrupted in: " in text, text
        (HOLD / mark).unlink()
    wait_for(_is_free, "the lock")
    return True


def _is_free() -> bool:
    try:
        with ProvisionJournal().locked():
            return True
    except ProvisionError:
        return False


def check_nodes() -> None:
    status, text = command("--apply", "--json")
    assert status == 0, text
    found = json.loads(text.splitlines()[-1])
    assert found["done"] == [] and not found["refused"], text
    nodes = [node for node in read_topology().nodes if node.kind == KIND]
    assert len(nodes) == len(found["nodes"]) == NODES, (nodes, found)
    assert all(node.has_memory and node.evidence for node in nodes)
    assert AUTO_ONLINE.read_text() == BEFORE
    say("all nodes are there, nothing is left to do, and the setting is as before")


def check_devices() -> None:
    status, text = command("--undo", "--json")
    assert status == 0 and json.loads(text.splitlines()[-1])["done"] == [], text
    listed = run("daxctl list")
    assert [each["mode"] for each in json.loads(listed)] == ["devdax"] * NODES, listed
    assert not any(node.kind == KIND for node in read_topology().memory_nodes)
    assert AUTO_ONLINE.read_text() == BEFORE
    say("all are devices again, and the setting is as before")


def install_wrappers() -> None:
    HOLD.mkdir()
    for name in ("ndctl", "daxctl"):
        wrapper = Path("/usr/local/sbin", name)
        wrapper.write_text(WRAPPER.replace("TOOL", f"/usr/bin/{name}"))
        wrapper.chmod(0o755)


def run(words: str) -> str:
    done = subprocess.run(words.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


# As in provision_in_guest.py: up to 5.17 the devices are first those of the older model.
COMPAT = KIND == "nvm" and subprocess.run(["modprobe", "-q", "dax_pmem_compat"], check=False).returncode == 0
if KIND == "nvm":
    run(f"modprobe -a nfit nd_pmem {'' if COMPAT else 'dax_pmem'} device_dax")
if COMPAT:
    say("by the other model of devices")
if WHAT == "labels":
    for each in ("disable-region all", "init-labels --force all", "enable-region all"):
        run(f"ndctl {each}")
BEFORE = AUTO_ONLINE.read_text()
killed = {"between": killed_between, "within": killed_within, "through": killed_through}[WHERE]
if killed is not killed_between:
    install_wrappers()
killed(["--apply"])
check_nodes()
killed(["--undo"])
check_devices()
say("all seen")
