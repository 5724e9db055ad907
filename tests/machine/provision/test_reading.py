"""What is read of a machine: the programs' JSON, sysfs, the journal, and who uses a node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp.machine.provision.execution import Workshop, provision, require_unused, unprovision
from hmexp.machine.provision.journal import ProvisionJournal, ProvisionLog
from hmexp.machine.provision.reading import parse_objects, read_dax_states, read_provision_state
from hmexp.machine.provision.state import DaxState, ProvisionWish
from hmexp.machine.provision.tools import ProvisionError, ToolOutput
from hmexp.machine.provision.users import count_bytes, find_users

GIB = 1 << 30


def listing(mode: str) -> str:
    """The shape of `ndctl list -RNi` of version 76."""
    space = {"dev": "namespace0.0", "mode": mode, "size": GIB, "uuid": "u-1", "blockdev": "pmem0"}
    seed = {"dev": "namespace0.1", "mode": "raw", "size": 0, "state": "disabled"}
    region = {"dev": "region0", "size": GIB, "available_size": 0, "type": "pmem", "namespaces": [seed, space]}
    return json.dumps({"regions": [region]})


class FakeTools:
    """Programs that say what they are shown to; what they are asked is kept."""

    def __init__(self, said: dict[str, str], status: int = 0) -> None:
        self.said, self.status = said, status
        self.asked: list[str] = []

    def has(self, program: str) -> bool:
        return program in self.said

    def run(self, words: Sequence[str]) -> ToolOutput:
        self.asked.append(" ".join(words))
        asks = words[1] in ("list", "version")
        return ToolOutput(0, self.said[words[0]]) if asks else ToolOutput(self.status, "", "no such luck")


def machine(tmp_path: Path, first: bytes = b"\0") -> tuple[Path, Path, Path]:
    roots = tmp_path / "sys", tmp_path / "proc", tmp_path / "dev"
    for root in roots:
        root.mkdir()
    (roots[0] / "bus/nd/devices/region0").mkdir(parents=True)
    (roots[0] / "bus/nd/devices/region0/target_node").write_text("1\n")
    (roots[2] / "pmem0").write_bytes(first + bytes(4096))
    return roots


@pytest.mark.parametrize(("mode", "first", "precious"), [
    ("raw", b"\0", False), ("raw", b"\1", True), ("fsdax", b"\0", True), ("devdax", b"\0", True),
])  # fmt: skip
def test_a_namespace_is_empty_only_if_it_was_looked_at(
    tmp_path: Path, mode: str, first: bytes, precious: bool
) -> None:
    roots = machine(tmp_path, first)
    tools = FakeTools({"ndctl": listing(mode), "daxctl": ""})
    state = read_provision_state(tools, ProvisionLog(), *roots)
    assert [(each.number, each.node) for each in state.areas] == [(0, 1)]
    assert [(each.name, each.is_precious) for each in state.spaces] == [("namespace0.0", precious)]
    assert state.missing == ()
    (roots[2] / "pmem0").unlink()
    unseen = read_provision_state(tools, ProvisionLog(), *roots)
    assert unseen.spaces[0].is_precious


def test_missing_programs_are_named(tmp_path: Path) -> None:
    state = read_provision_state(FakeTools({}), ProvisionLog(), *machine(tmp_path))
    assert state.missing == ("ndctl",)


def test_ours_is_what_was_written_down(tmp_path: Path) -> None:
    tools = FakeTools({"ndctl": listing("devdax"), "daxctl": ""})
    roots = machine(tmp_path)
    for log, ours in (
        (ProvisionLog(uuids=("u-1",)), True),
        (ProvisionLog(making=0), True),
        (ProvisionLog(making=0, known=("u-1",)), False),
        (ProvisionLog(making=1), False),
    ):
        assert read_provision_state(tools, log, *roots).spaces[0].is_ours is ours


def test_dax_by_program_and_by_sysfs(tmp_path: Path) -> None:
    real = tmp_path / "devices/ndbus0/region0/dax0.0/dax0.0"
    drivers = tmp_path / "bus/dax/drivers/kmem"
    for each in (real, drivers, tmp_path / "bus/dax/devices"):
        each.mkdir(parents=True)
    (real / "target_node").write_text("2\n")
    (real / "size").write_text(f"{GIB}\n")
    (real / "driver").symlink_to(drivers)
    (tmp_path / "bus/dax/devices/dax0.0").symlink_to(real)
    assert list(read_dax_states((), tmp_path)) == [DaxState("dax0.0", "nvm", "system-ram", GIB, 2, 0, 1)]
    shown = parse_objects('[{"chardev":"dax0.0","target_node":2,"online_memblocks":3,"total_memblocks":8}]')
    assert [(each.online_blocks, each.total_blocks) for each in read_dax_states(shown, tmp_path)] == [(3, 8)]


NAMES = st.sampled_from(["dev", "chardev", "size", "mode", "uuid", "type", "target_node", "devices", "known"])
WORDS = st.sampled_from(["region0", "namespace0.0", "dax0.0", "raw"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner | WORDS),
)


@settings(deadline=None)
@given(JSON)
def test_any_json_is_read(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    folder = tmp_path_factory.mktemp("sys")
    text = json.dumps(data)
    tools = FakeTools({"ndctl": text, "daxctl": text, "cxl": text})
    read_provision_state(tools, ProvisionLog.parse(text), folder, folder, folder)


def test_who_uses_a_node(tmp_path: Path) -> None:
    text = (
        "7f00 default anon=3 dirty=3 N0=1 N1=2 kernelpagesize_kB=4\n"
        "7f10 default file=/usr/lib/libc.so mapped=9 N1=9 kernelpagesize_kB=4\n"
        "7f20 bind:1 file=/dev/hybridmem N1=1 kernelpagesize_kB=2048\n"
    )
    assert count_bytes(text, 1) == 8192 + (2 << 20)
    assert count_bytes(text, 2) == 0
    (tmp_path / "17").mkdir()
    (tmp_path / "17/numa_maps").write_text(text)
    (tmp_path / "17/comm").write_text("redis-server\n")
    assert [str(user) for user in find_users(1, tmp_path)] == ["redis-server (process 17, 2.0MiB)"]
    workshop = Workshop(FakeTools({}), ProvisionJournal(tmp_path), tmp_path, tmp_path, tmp_path)
    with pytest.raises(ProvisionError, match=r"redis-server.*nothing was changed") as caught:
        require_unused(workshop, DaxState("dax0.0", "nvm", "system-ram", GIB, 1, 8, 8))
    assert "migratepages 17 1 0" in str(caught.value)


def test_a_failed_step_is_written_down_and_the_setting_restored(tmp_path: Path) -> None:
    roots = machine(tmp_path)
    setting = roots[0] / "devices/system/memory/auto_online_blocks"
    setting.parent.mkdir(parents=True)
    setting.write_text("online\n")
    (roots[0] / "bus/dax/drivers/kmem").mkdir(parents=True)
    dax = json.dumps([{"chardev": "dax0.0", "size": GIB, "target_node": 1, "mode": "devdax"}])
    tools = FakeTools({"ndctl": listing("devdax"), "daxctl": dax}, status=1)
    journal = ProvisionJournal(tmp_path / "log")
    journal.write(ProvisionLog(uuids=("u-1",)))
    workshop = Workshop(tools, journal, *roots)
    with pytest.raises(ProvisionError, match="no such luck"):
        provision(workshop, ProvisionWish())
    assert tools.asked[-1] != "" and setting.read_text().strip().startswith("online")
    log = journal.read()
    assert log.doing is not None and log.doing.startswith("daxctl reconfigure-device")
    assert log.devices == ("dax0.0",) and log.auto_before is None
    # It never became memory, so that there is nothing to take back.
    assert unprovision(workshop) == []


def test_the_journal_survives_damage(tmp_path: Path) -> None:
    journal = ProvisionJournal(tmp_path)
    assert journal.read() == ProvisionLog()
    log = replace(ProvisionLog(), uuids=("a",), making=3, doing="x")
    journal.write(log)
    assert journal.read() == log
    for damaged in ("", "{", "[]", '{"uuids": 3, "making": true}'):
        journal.path.write_text(damaged)
        assert journal.read() == ProvisionLog()
    with journal.locked(), pytest.raises(ProvisionError, match="another process"), journal.locked():
        pass
