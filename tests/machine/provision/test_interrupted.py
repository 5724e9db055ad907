"""What an interruption leaves half made: it is found, is hmexp's own, and the plan goes on from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hmexp.machine.provision.journal import ProvisionLog
from hmexp.machine.provision.plan import make_provision_plan, make_undo_plan
from hmexp.machine.provision.reading import read_provision_state
from hmexp.machine.provision.state import CxlState, HalfRegion, ProvisionState, ProvisionWish
from hmexp.machine.provision.tools import ToolOutput

GIB = 1 << 30
MAKING = ProvisionLog(doing="ndctl create-namespace", making=0, known=("u-0",))
MAPPING = ProvisionLog(doing="echo region0 > ...", mapping="region0", endpoint="decoder2.0")


class Listing:
    """An ndctl that lists one namespace, and a daxctl that lists nothing."""

    def __init__(self, space: dict[str, object]) -> None:
        region = {"dev": "region0", "size": GIB, "available_size": 0, "type": "pmem", "namespaces": [space]}
        self.said = {"ndctl": json.dumps({"regions": [region]}), "daxctl": ""}

    def has(self, program: str) -> bool:
        return program in self.said

    def run(self, words: Sequence[str]) -> ToolOutput:
        return ToolOutput(0, self.said[words[0]])


@pytest.mark.parametrize(
    ("log", "changes", "ours"),
    [
        (MAKING, {}, True),
        (replace(MAKING, making=None, remaking="namespace0.0"), {}, True),
        (replace(MAKING, making=None, remaking="namespace0.0"), {"uuid": None}, True),
        # As ndctl lists what it had nearly done, without a size; seen on Linux 7.3.
        (MAKING, {"mode": "devdax", "size": None, "map": "dev"}, True),
        (MAKING, {"mode": "devdax"}, True),
        # Somebody may have used it since, or had it before.
        (MAKING, {"state": "enabled"}, False),
        (MAKING, {"uuid": "u-0"}, False),
        (MAKING, {"uuid": None}, False),
        (replace(MAKING, making=1), {}, False),
        (replace(MAKING, doing=None, remaking="namespace0.0"), {}, False),
        (replace(MAKING, making=None, remaking="namespace0.1"), {}, False),
    ],
)
def test_a_namespace_half_made(
    tmp_path: Path, log: ProvisionLog, changes: dict[str, object], ours: bool
) -> None:
    space = {"dev": "namespace0.0", "mode": "raw", "size": GIB, "uuid": "u-1", "state": "disabled"} | changes
    (tmp_path / "bus/nd/devices/namespace0.0").mkdir(parents=True)
    (tmp_path / "bus/nd/devices/namespace0.0/size").write_text(f"{GIB}\n")
    state = read_provision_state(Listing(space), log, tmp_path, tmp_path, tmp_path)
    plan = make_provision_plan(state, ProvisionWish())
    first = [str(step.actions[0]) for step in plan.steps[:1]]
    assert first == (["ndctl create-namespace --mode=devdax --force --reconfig=namespace0.0"] if ours else [])
    assert bool(plan.refused) is not ours


def test_drivers_that_were_being_replaced(tmp_path: Path) -> None:
    """Without either driver no device is seen that would ask for it."""
    log = ProvisionLog(doing="modprobe -r dax_pmem_compat; modprobe -r dax_pmem; modprobe -i dax_pmem")
    state = read_provision_state(Listing({}), log, tmp_path, tmp_path, tmp_path)
    for plan in (make_provision_plan(state, ProvisionWish()), make_undo_plan(state, frozenset())):
        [step, *_] = plan.steps
        assert "; ".join(map(str, step.actions)) == log.doing
    # The next boot loads drivers anew, and its kernel may have none of these.
    later = read_provision_state(
        Listing({}), replace(log, boot_id="an earlier boot"), tmp_path, tmp_path, tmp_path
    )
    assert make_provision_plan(later, ProvisionWish()).steps == ()
    assert make_undo_plan(later, frozenset()).steps == ()


def test_devices_that_one_driver_had_and_the_other_was_getting(tmp_path: Path) -> None:
    (tmp_path / "bus/nd/drivers/dax_pmem_compat/dax1.0").mkdir(parents=True)
    (tmp_path / "bus/nd/drivers/dax_pmem_compat/bind").touch()
    assert read(tmp_path, ProvisionLog()).of_compat == ("dax1.0",)
    log = ProvisionLog(doing="modprobe -r dax_pmem_compat; echo dax0.1 > /sys/bus/nd/drivers/dax_pmem/bind")
    assert read(tmp_path, log).of_compat == ("dax0.1", "dax1.0")
    later = read(tmp_path, replace(log, boot_id="an earlier boot"))
    assert later.of_compat == ("dax1.0",) and later.has_left_compat


@pytest.mark.parametrize(("log", "ours"), [(MAKING, True), (ProvisionLog(), False)])
def test_a_region_that_ndctl_left_disabled(tmp_path: Path, log: ProvisionLog, ours: bool) -> None:
    tools = Listing({})
    region = {"dev": "region0", "size": GIB, "available_size": GIB, "type": "pmem", "state": "disabled"}
    tools.said["ndctl"] = json.dumps([region])
    plan = make_provision_plan(
        read_provision_state(tools, log, tmp_path, tmp_path, tmp_path), ProvisionWish()
    )
    found = [str(action) for step in plan.steps for action in step.actions]
    assert found[:1] == (["ndctl enable-region region0"] if ours else [])
    # Of another's, nobody knows what it holds.
    assert bool(plan.refused) is not ours
    elsewhere = make_provision_plan(
        read_provision_state(tools, log, tmp_path, tmp_path, tmp_path), ProvisionWish(regions=(1,))
    )
    assert elsewhere.steps == elsewhere.refused == ()


def cxl_machine(root: Path, *, region: bool = True, bound: bool = False, held: int = GIB) -> Path:
    """A device `mem0` whose decoder has memory for a region, in the shape of Linux 6.12."""
    platform, bus = root / "devices", root / "bus/cxl/devices"
    host, port = platform / "root0/decoder0.0", platform / "root0/port1/endpoint2"
    for each in (bus, host, port / "decoder2.0", platform / "mem0/ram"):
        each.mkdir(parents=True)
    (host / "create_ram_region").write_text("region1\n")
    (port / "uport").symlink_to(platform / "mem0")
    (port / "decoder2.0/dpa_size").write_text(f"{held:#x}\n")
    (port / "decoder2.0/region").write_text("\n")
    (platform / "mem0/ram/size").write_text(f"{GIB:#x}\n")
    if region:
        (host / "region0").mkdir()
        (bus / "region0").symlink_to(host / "region0")
    if bound:
        (host / "region0/driver").symlink_to(root)
    for name, real in (
        ("decoder0.0", host),
        ("decoder2.0", port / "decoder2.0"),
        ("mem0", platform / "mem0"),
    ):
        (bus / name).symlink_to(real)
    return root


def read(root: Path, log: ProvisionLog) -> ProvisionState:
    return read_provision_state(Listing({}), log, root, root, root)


DROPPED = [
    "echo region0 > /sys/bus/cxl/devices/decoder0.0/delete_region",
    "echo 0 > /sys/bus/cxl/devices/decoder2.0/dpa_size",
]


@pytest.mark.parametrize(
    ("region", "held", "dropped"),
    [(True, GIB, DROPPED), (True, 0, DROPPED[:1]), (False, GIB, DROPPED[1:]), (False, 0, [])],
)
def test_a_cxl_region_half_made(tmp_path: Path, region: bool, held: int, dropped: list[str]) -> None:
    state = read(cxl_machine(tmp_path, region=region, held=held), MAPPING)
    assert state.cxl == (CxlState("mem0", GIB, "decoder2.0", "decoder0.0", "region1"),)
    plan = make_provision_plan(state, ProvisionWish())
    steps = [list(map(str, step.actions)) for step in plan.steps]
    assert (steps[0] if dropped else []) == dropped
    assert "echo region1 > /sys/bus/cxl/devices/decoder0.0/create_ram_region" in {
        action for step in steps for action in step
    }
    # The way back is that step alone.
    assert [list(map(str, step.actions)) for step in make_undo_plan(state, frozenset()).steps] == (
        [dropped] if dropped else []
    )


def test_a_cxl_region_that_is_whole_or_not_ours_stays(tmp_path: Path) -> None:
    root = cxl_machine(tmp_path / "a", bound=True)
    assert read(root, MAPPING).half_region is None and read(root, MAPPING).cxl == ()
    # hmexp was not at it.
    root = cxl_machine(tmp_path / "b")
    assert read(root, ProvisionLog()).half_region is None
    # Another region has the decoder by now.
    (root / "devices/root0/port1/endpoint2/decoder2.0/region").write_text("region3\n")
    assert read(root, MAPPING).half_region == HalfRegion("region0", "decoder0.0", "decoder2.0", holds=False)
