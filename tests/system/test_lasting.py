"""Weights that stay: killed at every step, undone twice, changed by somebody else meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hmexp.errors import SettingsError
from hmexp.system.lasting import lasting_weights, undo_weights
from hmexp.system.lasting_record import path_of, read_weights
from hmexp.system.settings import Machine, interleave_weights, repair

#: Does something in a child that is killed before, or after, its k-th call of the system, for every k; then
#: the next command. Prints the values and the records that it finds after each.
KILLED = """
import fcntl, json, os, signal, sys
from pathlib import Path
from hmexp.system.lasting import lasting_weights, undo_weights
from hmexp.system.settings import Machine, interleave_weights, repair

root, what = Path(sys.argv[1]), sys.argv[2]
machine = Machine(root / "sys", root / "proc", root / "run")
WATCHED = {"posix", "fcntl"}

def apply(weights):
    with lasting_weights(weights, machine):
        # What verifying does: a placer has weights of its own for a while.
        with interleave_weights({0: 3, 2: 1}, machine):
            pass

def work():
    if what == "undo":
        undo_weights(machine)
    elif what == "again":
        apply({0: 8, 2: 9})
    else:
        apply({0: 7, 2: 5})

def values():
    return {path.name: path.read_text().strip() for path in sorted(machine.weights_directory.iterdir())}

def reset():
    for name, text in json.loads(sys.argv[3]).items():
        (machine.weights_directory / name).write_text(text)
    for path in machine.directory.glob("*"):
        path.unlink()
    if what != "apply":
        apply({0: 7, 2: 5})

step, finished = 0, False
while not finished:
    step += 1
    reset()
    pid = os.fork()
    if pid == 0:
        left = step
        def watch(_frame, event, function):
            global left
            if event in ("c_call", "c_return") and getattr(function, "__module__", "") in WATCHED:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(watch)
        work()
        os._exit(0)
    finished = os.waitpid(pid, 0)[1] == 0
    left_behind = values()
    said = repair(machine)
    rest = sorted(path.name for path in machine.directory.glob("*") if path.suffix != ".lock")
    print(json.dumps([left_behind, values(), rest, said, repair(machine)]), flush=True)
"""

BEFORE = {"auto": "true", "node0": "2", "node1": "9", "node2": "1"}
SET = {"auto": "false", "node0": "7", "node1": "9", "node2": "5"}
AGAIN = {"auto": "false", "node0": "8", "node1": "9", "node2": "9"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose settings are plain files, in the automatic mode."""
    machine = Machine(tmp_path / "sys", tmp_path / "proc", tmp_path / "run")
    machine.weights_directory.mkdir(parents=True)
    for name, text in BEFORE.items():
        (machine.weights_directory / name).write_text(f"{text}\n")
    for path, text in (
        (machine.proc_root / "sys/kernel/random/boot_id", "this boot\n"),
        (machine.proc_root / "self/stat", "1 (a) S " + " ".join(map(str, range(30))) + "\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return machine


def values(machine: Machine) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in sorted(machine.weights_directory.iterdir())}


def set_for_good(machine: Machine, weights: dict[int, int]) -> None:
    with lasting_weights(weights, machine):
        pass


@pytest.mark.parametrize(
    ("what", "former", "wanted", "rest"),
    [
        ("apply", BEFORE, SET, ([], ["weights.applied"])),
        ("again", SET, AGAIN, (["weights.applied"], ["weights.applied"])),
        ("undo", SET, BEFORE, (["weights.applied"], [])),
    ],
)
def test_killed_at_every_step_and_the_next_command_restores(
    machine: Machine,
    what: str,
    former: dict[str, str],
    wanted: dict[str, str],
    rest: tuple[list[str], list[str]],
) -> None:
    """Never a mixture: the former weights, or, once that is decided, the new ones."""
    root = str(machine.directory.parent)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, root, what, json.dumps(BEFORE)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    outcomes = []
    for left_behind, after, files, said, said_again in seen:
        outcomes.append(after)
        assert (after, files) in ((former, rest[0]), (wanted, rest[1])), (left_behind, after, files, said)
        # What changes is said, and once.
        assert bool(said) is (left_behind != after), (left_behind, said)
        assert said_again == []
    # It turns once, from the former to the wanted, and some had to be repaired.
    turn = outcomes.index(wanted)
    assert outcomes == [former] * turn + [wanted] * (len(seen) - turn)
    assert 0 < turn < len(seen)
    assert len({tuple(left_behind.values()) for left_behind, *_ in seen}) > 2
    assert len(seen) > 60


def test_set_for_good_and_undone_twice(machine: Machine) -> None:
    set_for_good(machine, {0: 7, 2: 5})
    assert values(machine) == SET
    # Nobody takes it for what a killed command left.
    assert repair(machine) == []
    assert values(machine) == SET
    found = read_weights(machine)
    assert found is not None and found.pid == os.getpid()
    said = undo_weights(machine)
    assert values(machine) == BEFORE
    assert [line.rpartition("/")[2] for line in said] == [
        "node0 is 2 again", "node2 is 1 again", "auto is true again",
    ]  # fmt: skip
    assert undo_weights(machine) == []
    assert values(machine) == BEFORE


def test_undo_brings_back_what_was_there_before_the_first(machine: Machine) -> None:
    set_for_good(machine, {0: 7, 2: 5})
    set_for_good(machine, {1: 4})
    assert values(machine) == SET | {"node1": "4"}
    undo_weights(machine)
    assert values(machine) == BEFORE


def test_a_placer_leaves_them_as_they_are(machine: Machine) -> None:
    with lasting_weights({0: 7, 2: 5}, machine):
        with interleave_weights({0: 1, 2: 1}, machine):
            assert values(machine)["node0"] == "1"
        assert values(machine) == SET
    assert values(machine) == SET


@pytest.mark.parametrize("error", [KeyboardInterrupt, SettingsError("no"), SystemExit(143)])
def test_what_ends_badly_is_put_back_at_once(machine: Machine, error: BaseException) -> None:
    seen = {}

    def fail() -> None:
        with lasting_weights({0: 7}, machine):
            seen.update(values(machine))
            raise error

    with pytest.raises((KeyboardInterrupt, SettingsError, SystemExit)):
        fail()
    assert seen["node0"] == "7"
    assert values(machine) == BEFORE
    assert not path_of(machine, "pending").exists()


def test_one_at_a_time(machine: Machine) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lasting_weights({0: 7, 2: 5}, machine):
            entered.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert entered.wait(60)
        assert repair(machine) == []
        with pytest.raises(SettingsError, match="another process"):
            set_for_good(machine, {0: 9})
        with pytest.raises(SettingsError, match="another process"):
            undo_weights(machine)
        assert values(machine) == SET
    finally:
        leave.set()
        holder.join()
    undo_weights(machine)
    assert values(machine) == BEFORE


def test_what_somebody_else_has_set_since_is_left_so(machine: Machine) -> None:
    set_for_good(machine, {0: 7, 2: 5})
    (machine.weights_directory / "node2").write_text("6")
    said = undo_weights(machine)
    assert any("node2 is 6, which hmexp has not set" in line for line in said)
    assert values(machine) == BEFORE | {"node2": "6"}


def test_the_automatic_mode_that_somebody_has_switched_on_is_left_so(machine: Machine) -> None:
    (machine.weights_directory / "auto").write_text("false")
    set_for_good(machine, {0: 7, 2: 5})
    (machine.weights_directory / "auto").write_text("true")
    assert "switched" in undo_weights(machine)[0]
    assert values(machine) == SET | {"auto": "true"}
    assert undo_weights(machine) == []


def test_a_mode_by_another_name_is_found(machine: Machine) -> None:
    (machine.weights_directory / "auto").rename(machine.weights_directory / "__auto_type")
    set_for_good(machine, {0: 7, 2: 5})
    assert values(machine)["__auto_type"] == "false"
    undo_weights(machine)
    assert values(machine)["__auto_type"] == "true"


def test_without_a_mode(machine: Machine) -> None:
    """As on Linux 6.9 to 6.15."""
    (machine.weights_directory / "auto").unlink()
    set_for_good(machine, {0: 7, 2: 5})
    undo_weights(machine)
    assert values(machine) == {"node0": "2", "node1": "9", "node2": "1"}


@pytest.mark.parametrize("state", ["pending", "undoing", "applied"])
@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"changes": 3}', '{"boot_id": "x", "pid": 1, "changes": []}']
)
def test_a_damaged_or_old_record_means_nothing(machine: Machine, state: str, text: str) -> None:
    machine.directory.mkdir()
    path = machine.directory / f"weights.{state}"
    path.write_text(text)
    assert repair(machine) == []
    assert undo_weights(machine) == []
    assert not path.exists()
    assert values(machine) == BEFORE


def test_a_record_can_name_no_other_file(machine: Machine, tmp_path: Path) -> None:
    machine.directory.mkdir()
    other = tmp_path / "other"
    other.write_text("7")
    change = {"path": str(other), "before": "1", "former": "1", "used": "7"}
    record = {"boot_id": "this boot", "pid": 1, "changes": [change]}
    (machine.directory / "weights.pending").write_text(json.dumps(record))
    repair(machine)
    (machine.directory / "weights.applied").write_text(json.dumps(record))
    undo_weights(machine)
    assert other.read_text() == "7"


def test_what_cannot_be_set_is_refused(machine: Machine) -> None:
    with pytest.raises(SettingsError, match="no weight of node 5"):
        set_for_good(machine, {5: 2})
    for path in machine.weights_directory.iterdir():
        path.unlink()
    with pytest.raises(SettingsError, match=r"no weight of node 0[^\n]*\n.*Linux 6.9"):
        set_for_good(machine, {0: 2})
    assert not path_of(machine, "pending").exists()
