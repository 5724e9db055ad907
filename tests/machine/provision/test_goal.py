"""Optane before it is a region: the goal, the reboot and the way back, by a false ipmctl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.cli.main import main
from hmexp.errors import ParameterError
from hmexp.machine.provision import execution, goal, tools
from hmexp.machine.provision.goal import carry_out_goal, plan_goal, plan_goal_undo, read_situation
from hmexp.machine.provision.journal import ProvisionJournal, ProvisionLog
from hmexp.machine.provision.kernel import describe_kernel
from hmexp.machine.provision.optane import (
    NEVER_TRIED,
    OptaneGoal,
    OptaneState,
    parse_goals,
    parse_resources,
    parse_rows,
    parse_size,
)
from hmexp.machine.provision.state import PmemSpace, ProvisionState, ProvisionWish
from hmexp.machine.provision.tools import ProvisionError

GIB = 1 << 30
#: The forms are those of ipmctl 1, 2 and 3; the numbers are made up.
LINES = """Capacity=252.4 GiB
MemoryCapacity=250.0 GiB
AppDirectCapacity=0.0 GiB
UnconfiguredCapacity={idle} GiB
InaccessibleCapacity=2.4 GiB
ReservedCapacity=0.0 GiB
"""
TABLE = """ MemoryType   | DDR        | {column} | Total
==========================================================
 Volatile     | 0.000 GiB  | {memory} GiB | 250.000 GiB
 AppDirect    | -          | {direct} GiB | 0.000 GiB
 Cache        | 64.000 GiB | -           | 64.000 GiB
 Inaccessible | 0.000 GiB  | {lost} GiB   | 2.400 GiB
 Physical     | 64.000 GiB | 252.400 GiB | 316.400 GiB
"""
GOALS = """
 SocketID | DimmID | MemorySize | AppDirect1Size | AppDirect2Size
==================================================================
 0x0000   | 0x0001 | 0.000 GiB  | 126.000 GiB    | 0.000 GiB
 0x0001   | 0x1001 | 2.000 GiB  | 100.000 GiB    | 24.000 GiB
A reboot is required to process new memory allocation goals.
"""
SCRIPT = """#!/bin/sh
# A false ipmctl: $here/mode is what the modules are, $here/goal what they are to become.
here={here}
echo "$*" >> $here/asked
mode=$(cat $here/mode)
case "$*" in
"create -force -goal "*) [ -e $here/fails ] && {{ echo "Error 115 - no"; exit 1; }}; echo "$4" > $here/goal;;
"delete -goal") rm $here/goal;;
*nvmxml*-memoryresources)
  case $mode in
    memory) set -- 250 0 2;; appdirect) set -- 0 250 2;; idle) set -- 0 0 252;;
  esac
  echo '<?xml version="1.0"?><MemoryResourcesList>'
  for pair in Volatile:$1 AppDirect:$2 Inaccessible:$3 Physical:252; do
    echo "<MemoryResources><MemoryType>${{pair%%:*}}</MemoryType><DDR>0 B</DDR>"
    echo "<PMemModule>$((${{pair##*:}} * 1073741824)) B</PMemModule></MemoryResources>"
  done
  echo '</MemoryResourcesList>';;
*nvmxml*-goal)
  [ -e $here/goal ] || {{ echo "There are no goal configs defined in the system."; exit 0; }}
  echo '<ConfigGoalList><ConfigGoal><SocketID>0x0000</SocketID><DimmID>0x0001</DimmID>'
  echo '<MemorySize>0 B</MemorySize><AppDirect1Size>135291469824 B</AppDirect1Size>'
  echo '<AppDirect2Size>0 B</AppDirect2Size><Status>New</Status></ConfigGoal></ConfigGoalList>';;
*nvmxml*-dimm) echo '<DimmList><Dimm><DimmID>0x0001</DimmID><Capacity>1 GiB</Capacity></Dimm></DimmList>';;
esac
"""


class Machine:
    """A machine whose Optane modules are a script, and that can be booted."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        for name in ("sys", "proc/sys/kernel/random", "dev", "bin"):
            (folder / name).mkdir(parents=True)
        script = folder / "bin/ipmctl"
        script.write_text(SCRIPT.format(here=folder))
        script.chmod(0o755)
        (folder / "mode").write_text(mode)
        self.boots = 0
        self.reboot()
        self.workshop = execution.Workshop(
            journal=ProvisionJournal(folder / "journal"),
            sys_root=folder / "sys",
            proc_root=folder / "proc",
            dev_root=folder / "dev",
        )

    def reboot(self, *, takes: bool = True) -> None:
        self.boots += 1
        (self.folder / "proc/sys/kernel/random/boot_id").write_text(f"boot-{self.boots}\n")
        waits = self.folder / "goal"
        if takes and waits.exists():
            (self.folder / "mode").write_text("memory" if "MemoryMode" in waits.read_text() else "appdirect")
            waits.unlink()

    @property
    def changes(self) -> list[str]:
        lines = (self.folder / "asked").read_text().splitlines()
        return [line for line in lines if not line.startswith("show")]


@pytest.fixture(params=["memory", "idle"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path, request.param)
    monkeypatch.setattr(tools, "_PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return found


WISH = ProvisionWish()


@pytest.mark.parametrize(("idle", "expected"), [("0.0", 0), ("126.0", 126 * GIB)])
def test_lines_of_version_1(idle: str, expected: int) -> None:
    assert parse_resources(LINES.format(idle=idle)) == OptaneState(250 * GIB, 0, expected)


@pytest.mark.parametrize("column", ["DCPMM", "PMemModule"])
@pytest.mark.parametrize(("memory", "direct", "lost", "expected"), [
    ("250.000", "0.000", "2.400", OptaneState(250 * GIB)),
    ("0.000", "250.000", "2.400", OptaneState(0, 250 * GIB)),
    ("0.000", "0.000", "252.000", OptaneState(0, 0, 252 * GIB)),
])  # fmt: skip
def test_table_of_version_2(column: str, memory: str, direct: str, lost: str, expected: OptaneState) -> None:
    text = TABLE.format(column=column, memory=memory, direct=direct, lost=lost)
    assert parse_resources(text) == expected


def test_goals_of_a_table() -> None:
    assert parse_goals(GOALS) == (
        OptaneGoal("0x0001", 0, 126 * GIB),
        OptaneGoal("0x1001", 2 * GIB, 124 * GIB),
    )
    assert parse_goals("There are no goal configs defined in the system.") == ()


@pytest.mark.parametrize(("text", "size_bytes"), [
    ("94489280512 B", 94489280512), ("126.5 GiB", 253 * GIB // 2), ("1 TB", 10**12), ("5 XiB", 0), ("-", 0),
])  # fmt: skip
def test_units(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


PIECES = st.sampled_from([
    "<", "</", ">", "Dimm", "DimmID", "MemoryType", "Volatile", "=", "====", "|", "\n", "9" * 30,
    "MemorySize", "1 GiB", "1.5", " ", "MemoryCapacity", "Physical", "\0",
])  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_no_text_is_too_strange(text: str) -> None:
    assert all(isinstance(value, str) for row in parse_rows(text) for value in row.values())
    found = parse_resources(text)
    assert min(found.memory_bytes, found.app_direct_bytes, found.unconfigured_bytes) >= 0
    assert all(each.module for each in parse_goals(text))


def test_only_on_demand(machine: Machine) -> None:
    plan = plan_goal(read_situation(machine.workshop), WISH, app_direct=False)
    assert plan.steps == () and not plan.waits
    assert "--app-direct" in plan.notes[0] and NEVER_TRIED in plan.notes[0]


def test_there_and_back(machine: Machine) -> None:
    shop = machine.workshop
    plan = plan_goal(read_situation(shop), WISH, app_direct=True)
    assert str(plan.steps[0].actions[-1]) == "ipmctl create -force -goal PersistentMemoryType=AppDirect"
    assert NEVER_TRIED in plan.steps[0].changes and "DESTROYED" in plan.steps[0].changes
    taken = "250 GiB of the system's memory" in plan.steps[0].changes.replace("GiB", " GiB").replace(
        "  ", " "
    )
    assert taken is ((machine.folder / "mode").read_text() == "memory")
    carry_out_goal(shop, plan)
    assert (shop.journal.read().goal, shop.journal.read().doing) == (goal.APP_DIRECT, None)
    # The same again does nothing until the machine was booted.
    waiting = plan_goal(read_situation(shop), WISH, app_direct=True)
    assert waiting.steps == () and waiting.waits and "not rebooted yet" in waiting.notes[0]
    machine.reboot()
    after = plan_goal(read_situation(shop), WISH, app_direct=True)
    assert after.steps == () and not after.waits and "has taken the goal" in after.notes[0]
    # Back to Memory Mode only on demand.
    said = plan_goal_undo(read_situation(shop), WISH, memory_mode=False)
    assert said.steps == () and "ipmctl create -force -goal MemoryMode=100" in said.notes[0]
    carry_out_goal(shop, plan_goal_undo(read_situation(shop), WISH, memory_mode=True))
    assert machine.changes[-1] == "create -force -goal MemoryMode=100"
    # That goal can be deleted too, and asked for again.
    carry_out_goal(shop, plan_goal_undo(read_situation(shop), WISH, memory_mode=False))
    assert machine.changes[-1] == "delete -goal"
    carry_out_goal(shop, plan_goal_undo(read_situation(shop), WISH, memory_mode=True))
    machine.reboot()
    assert (machine.folder / "mode").read_text() == "memory"
    assert plan_goal_undo(read_situation(shop), WISH, memory_mode=True).steps == ()


def test_a_goal_that_waits_is_deleted(machine: Machine) -> None:
    shop = machine.workshop
    carry_out_goal(shop, plan_goal(read_situation(shop), WISH, app_direct=True))
    machine.reboot(takes=False)
    stuck = plan_goal(read_situation(shop), WISH, app_direct=True)
    assert stuck.waits and "firmware has not taken it" in stuck.notes[0] and "status New" in stuck.notes[0]
    carry_out_goal(shop, plan_goal_undo(read_situation(shop), WISH, memory_mode=False))
    assert machine.changes[-1] == "delete -goal" and shop.journal.read().goal is None


def test_a_goal_of_somebody_else_is_left_alone(machine: Machine) -> None:
    (machine.folder / "goal").write_text("theirs")
    here = read_situation(machine.workshop)
    assert plan_goal(here, WISH, app_direct=True).steps == ()
    undo = plan_goal_undo(here, WISH, memory_mode=True)
    assert undo.steps == () and "did not make" in undo.notes[0]


def test_a_failure_is_said_and_not_remembered(machine: Machine) -> None:
    (machine.folder / "fails").touch()
    plan = plan_goal(read_situation(machine.workshop), WISH, app_direct=True)
    with pytest.raises(ProvisionError, match="Error 115"):
        carry_out_goal(machine.workshop, plan)
    assert machine.workshop.journal.read() == ProvisionLog()


def test_data_is_kept_unless_it_is_named(machine: Machine) -> None:
    spaces = (PmemSpace("namespace0.0", 0, "fsdax", GIB, "u"),)
    here = read_situation(machine.workshop).after(ProvisionState(spaces=spaces))
    plan = plan_goal(here, WISH, app_direct=True)
    assert plan.steps == () and "--destroy namespace0.0" in plan.refused[0]
    with pytest.raises(ProvisionError, match="nothing was changed"):
        carry_out_goal(machine.workshop, plan)
    named = plan_goal(here, ProvisionWish(destroy=("namespace0.0",)), app_direct=True)
    assert str(named.steps[0].actions[0]) == "ndctl destroy-namespace --force namespace0.0"


def test_without_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Machine(tmp_path, "idle")
    monkeypatch.setattr(tools, "_PATH", "/nowhere")
    here = read_situation(found.workshop)
    assert here.optane is None and plan_goal(here, WISH, app_direct=False).notes == ()
    with pytest.raises(ParameterError, match="no Optane module"):
        plan_goal(here, WISH, app_direct=True)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["provision", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_by_the_command(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(execution, "Workshop", lambda **_: machine.workshop)
    assert run("--app-direct", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["steps"][0]["commands"] == ["ipmctl create -force -goal PersistentMemoryType=AppDirect"]
    assert machine.workshop.journal.read() == ProvisionLog()
    # There is no node before the reboot: a script must not go on.
    assert run("--app-direct", "--apply") == 1
    assert "done 1: ipmctl create" in capsys.readouterr().out
    assert run("--apply") == 1
    assert "not rebooted yet" in capsys.readouterr().out
    assert run("--undo") == 0
    assert "done 1: ipmctl delete -goal" in capsys.readouterr().out
    assert run("--memory-mode") == 2


@pytest.mark.parametrize(("release", "options", "expected"), [
    ("6.1.0-9", "CONFIG_MEMORY_HOTPLUG=y\nCONFIG_DEV_DAX_KMEM=m\n", "has CONFIG_MEMORY_HOTPLUG"),
    ("5.10.0", "CONFIG_MEMORY_HOTPLUG=y\nCONFIG_DEV_DAX_KMEM=m\n", "lacks CONFIG_MEMCG_KMEM"),
    ("6.1.0-9", "CONFIG_MEMORY_HOTPLUG=y\n", "lacks CONFIG_DEV_DAX_KMEM"),
    ("strange", "", "is unknown"),
])  # fmt: skip
def test_options_of_the_kernel(tmp_path: Path, release: str, options: str, expected: str) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/config-{release}").write_text(options)
    assert expected in describe_kernel(release, tmp_path)
