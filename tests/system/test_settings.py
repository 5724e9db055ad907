"""Settings are put back on every way out: real files, real locks, real processes, real signals."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from hmexp.errors import SettingsError
from hmexp.store.parts import SettingRecord
from hmexp.system.settings import (
    DEMOTION,
    NUMA_BALANCING,
    WEIGHTS,
    Machine,
    Setting,
    interleave_weights,
    memory_tiering,
    repair,
    without_numa_balancing,
)

#: A process that holds settings of the machine in argv[1], says so, and waits for what comes.
HOLDER = """
import signal, sys, time
from pathlib import Path
from hmexp.system.settings import Machine, interleave_weights, without_numa_balancing
# A shell that starts us in the background has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
root = Path(sys.argv[1])
machine = Machine(root / "sys", root / "proc", root / "run")
with without_numa_balancing(machine), interleave_weights({0: 7, 2: 5}, machine):
    print("held", flush=True)
    if sys.argv[2] == "raise":
        raise ValueError("a bug")
    time.sleep(0 if sys.argv[2] == "leave" else 60)
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose settings are plain files. Unlike the kernel's, its automatic mode does not change."""
    machine = Machine(tmp_path / "sys", tmp_path / "proc", tmp_path / "run")
    for path, text in (
        (machine.numa_balancing, "1\n"),
        (machine.weights_directory / "node0", "3\n"),
        (machine.weights_directory / "node2", "1\n"),
        (machine.weights_directory / "auto", "true\n"),
        (machine.proc_root / "sys/kernel/random/boot_id", "this boot\n"),
        (machine.proc_root / "self/stat", "1 (a ) b) S " + " ".join(map(str, range(30))) + "\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return machine


def values(machine: Machine) -> dict[str, str]:
    """Each setting as it is now."""
    files = (machine.numa_balancing, *sorted(machine.weights_directory.iterdir()))
    return {path.name: path.read_text().strip() for path in files}


BEFORE = {"numa_balancing": "1", "auto": "true", "node0": "3", "node2": "1"}
HELD = {"numa_balancing": "0", "auto": "true", "node0": "7", "node2": "5"}


def start_holder(machine: Machine, how: str) -> subprocess.Popen[str]:
    root = str(machine.directory.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, root, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> int:
    status = process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()
    return status


def test_set_and_put_back_and_told(machine: Machine) -> None:
    with without_numa_balancing(machine) as balancing, interleave_weights({0: 7, 2: 5}, machine) as weights:
        assert values(machine) == HELD
        assert balancing[NUMA_BALANCING].to_record() == SettingRecord(before="1", used="0", note=None)
        assert weights[f"{WEIGHTS}.node0"].before == "3" and weights[f"{WEIGHTS}.node0"].used == "7"
        assert len(list(machine.directory.glob("*.journal"))) == 2
    assert values(machine) == BEFORE
    assert list(machine.directory.glob("*.journal")) == []


@pytest.mark.parametrize(
    ("how", "number", "status"),
    [
        ("leave", None, 0),
        ("raise", None, 1),
        ("wait", signal.SIGINT, -signal.SIGINT),
        ("wait", signal.SIGTERM, 128 + signal.SIGTERM),
        ("wait", signal.SIGHUP, 128 + signal.SIGHUP),
    ],
)
def test_every_orderly_way_out(machine: Machine, how: str, number: int | None, status: int) -> None:
    process = start_holder(machine, how)
    if number is not None:
        assert values(machine) == HELD
        process.send_signal(number)
    assert end(process) == status
    assert values(machine) == BEFORE
    assert repair(machine) == []


def test_killed_and_the_next_run_repairs(machine: Machine) -> None:
    process = start_holder(machine, "wait")
    process.kill()
    end(process)
    assert values(machine) == HELD
    lines = repair(machine)
    assert values(machine) == BEFORE
    assert len(lines) == 3
    assert all("was killed" in sentence for sentence in lines)
    assert repair(machine) == []


def test_who_lives_is_not_repaired(machine: Machine) -> None:
    process = start_holder(machine, "wait")
    try:
        assert repair(machine) == []
        assert values(machine) == HELD
        with without_numa_balancing(machine) as settings:
            # Its value is the other's; what was before is what was before both.
            assert settings[NUMA_BALANCING].before == "1"
        assert values(machine) == HELD
    finally:
        process.terminate()
        end(process)
    assert values(machine) == BEFORE


def test_the_last_of_several_puts_back_also_after_a_kill(machine: Machine) -> None:
    process = start_holder(machine, "wait")
    with without_numa_balancing(machine):
        process.kill()
        end(process)
        repair(machine)
        assert values(machine) == BEFORE | {"numa_balancing": "0"}
    assert values(machine) == BEFORE


def test_threads_take_turns_at_weights(machine: Machine) -> None:
    seen = []

    def hold(first: int, second: int) -> None:
        with interleave_weights({0: first, 2: second}, machine):
            time.sleep(0.05)
            seen.append((first, second) == tuple(int(values(machine)[name]) for name in ("node0", "node2")))

    threads = [threading.Thread(target=hold, args=(n, n + 1)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4
    assert values(machine) == BEFORE


def test_the_same_weights_are_shared_and_others_refused(machine: Machine) -> None:
    """Of two programs that run at once: the last one puts back, and nobody waits for a third's weights."""
    with ExitStack() as first, ExitStack() as second:
        for stack in (first, second):
            stack.enter_context(interleave_weights({0: 1, 2: 2}, machine, 0.05, shared=True))
        other = interleave_weights({0: 1, 2: 3}, machine, 0.05, shared=True)
        with (
            pytest.raises(SettingsError, match=rf"process {os.getpid()} .*node2 at 2, and 3 is wanted"),
            other,
        ):
            pass
        with pytest.raises(SettingsError, match="another process"), interleave_weights({0: 1}, machine, 0.05):
            pass
        first.close()
        assert values(machine) == BEFORE | {"node0": "1", "node2": "2"}
    assert values(machine) == BEFORE
    with interleave_weights({2: 3}, machine, 0.05, shared=True):
        assert values(machine) == BEFORE | {"node2": "3"}


def test_tiering_is_set_and_put_back_also_after_a_kill(machine: Machine) -> None:
    with pytest.raises(SettingsError, match="demotion_enabled"), memory_tiering(machine):
        pass
    machine.demotion.parent.mkdir(parents=True)
    machine.demotion.write_text("false\n")
    with memory_tiering(machine) as settings:
        assert settings[NUMA_BALANCING] == Setting("1", "2") and settings[DEMOTION].before == "false"
        assert (values(machine)["numa_balancing"], machine.demotion.read_text().strip()) == ("2", "true")
        # A worker that wants balancing off leaves it to the program that needs it on.
        with without_numa_balancing(machine) as other:
            assert other[NUMA_BALANCING].used == "2" and "at 2, and 0 is wanted" in str(other[NUMA_BALANCING])
    pid = os.fork()
    if pid == 0:
        with memory_tiering(machine):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert values(machine)["numa_balancing"] == "2"
    assert len(repair(machine)) == 2
    assert (values(machine), machine.demotion.read_text().strip()) == (BEFORE, "false")


def test_weights_that_another_keeps_too_long_are_refused(machine: Machine) -> None:
    with (
        interleave_weights({0: 7}, machine),
        pytest.raises(SettingsError, match="another process has held"),
        interleave_weights({0: 9}, machine, wait_seconds=0.05),
    ):
        pass
    assert values(machine) == BEFORE


def test_what_an_administrator_set_meanwhile_is_left_alone(machine: Machine) -> None:
    with without_numa_balancing(machine):
        machine.numa_balancing.write_text("2\n")
    assert values(machine)["numa_balancing"] == "2"


@pytest.mark.parametrize("text", ["", "{", '{"boot_id": "this boot"}', "[]", '{"changes": 3}'])
def test_a_journal_that_is_cut_off_had_changed_nothing(machine: Machine, text: str) -> None:
    machine.directory.mkdir()
    journal = machine.directory / "1-0-0.journal"
    journal.write_text(text)
    assert repair(machine) == []
    assert not journal.exists()
    assert values(machine) == BEFORE


@pytest.mark.parametrize(("boot", "restored"), [("this boot", True), ("another boot", False)])
def test_a_journal_of_another_boot_means_nothing(machine: Machine, boot: str, restored: bool) -> None:
    machine.directory.mkdir()
    machine.numa_balancing.write_text("0\n")
    change = {"path": str(machine.numa_balancing), "before": "1", "used": "0"}
    journal = {"boot_id": boot, "pid": 1, "start_time": 2, "changes": [change]}
    (machine.directory / "1-0-0.journal").write_text(json.dumps(journal))
    assert bool(repair(machine)) is restored
    assert values(machine)["numa_balancing"] == ("1" if restored else "0")


def test_a_journal_can_name_no_other_file(machine: Machine, tmp_path: Path) -> None:
    machine.directory.mkdir()
    other = tmp_path / "other"
    other.write_text("0")
    change = {"path": str(other), "before": "1", "used": "0"}
    journal = {"boot_id": "this boot", "pid": 1, "start_time": 2, "changes": [change]}
    (machine.directory / "1-0-0.journal").write_text(json.dumps(journal))
    assert repair(machine) == []
    assert other.read_text() == "0"


def test_a_setting_that_is_not_there_or_cannot_be_written_is_noted(machine: Machine) -> None:
    machine.directory.write_text("a file where the directory of journals should be")
    with without_numa_balancing(machine) as settings:
        assert settings[NUMA_BALANCING].used == "1"
        assert "no journal of changed settings can be written" in (settings[NUMA_BALANCING].note or "")
    assert values(machine) == BEFORE
    with pytest.raises(SettingsError, match="no journal"), interleave_weights({0: 2}, machine):
        pass
    with pytest.raises(SettingsError, match="no weight of node 1"), interleave_weights({1: 2}, machine):
        pass
    machine.numa_balancing.unlink()
    with without_numa_balancing(machine) as settings:
        assert settings[NUMA_BALANCING].before is None
        assert settings[NUMA_BALANCING].note == "the kernel has no automatic NUMA balancing"


def test_an_automatic_mode_that_would_not_come_back_is_left_alone(machine: Machine) -> None:
    """Linux 7.3 is in it without knowing bandwidths, and then cannot be put into it again (ENODEV)."""
    fd = os.memfd_create("auto", os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, b"true\n")
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        auto = machine.weights_directory / "auto"
        auto.unlink()
        auto.symlink_to(f"/proc/{os.getpid()}/fd/{fd}")
        refused = pytest.raises(SettingsError, match="auto is true and could not be restored")
        with refused as caught, interleave_weights({0: 7}, machine):
            raise AssertionError("it was set")
        assert caught.value.remedy == f"if this mode is not needed, run as root: echo false > {auto}"
        assert values(machine) == BEFORE
        assert not list(machine.directory.glob("*.journal"))
        # What the remedy says, done: nothing is in the way.
        auto.unlink()
        auto.write_text("false\n")
        with interleave_weights({0: 7}, machine):
            assert values(machine)["node0"] == "7"
        assert values(machine) == BEFORE | {"auto": "false"}
    finally:
        os.close(fd)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_setting_that_may_not_be_written_is_noted(machine: Machine) -> None:
    machine.numa_balancing.chmod(0o444)
    with without_numa_balancing(machine) as settings:
        assert "read-only" in (settings[NUMA_BALANCING].note or "")
    assert values(machine) == BEFORE
