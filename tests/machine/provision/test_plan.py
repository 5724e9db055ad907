"""Plans on models of machines: they reach the wished end, once, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp.machine.provision.plan import make_provision_plan, make_undo_plan
from hmexp.machine.provision.state import (
    CxlState,
    DaxState,
    PmemArea,
    PmemSpace,
    ProvisionState,
    ProvisionWish,
)

GIB = 1 << 30
RAW = ProvisionState(
    areas=(PmemArea(0, GIB, 0, 1), PmemArea(1, GIB, GIB, 2)),
    spaces=(PmemSpace("namespace0.0", 0, "raw", GIB, is_empty=True),),
    auto_online="online",
)


def commands(state: ProvisionState, wish: ProvisionWish | None = None) -> list[str]:
    plan = make_provision_plan(state, wish or ProvisionWish())
    return [str(action) for step in plan.steps for action in step.actions]


def test_from_raw() -> None:
    assert commands(RAW) == [
        "ndctl create-namespace --mode=devdax --force --reconfig=namespace0.0",
        "ndctl create-namespace --mode=devdax --region=region1",
        "echo offline > /sys/devices/system/memory/auto_online_blocks",
        "daxctl reconfigure-device --mode=system-ram dax0.0",
        "daxctl reconfigure-device --mode=system-ram dax1.0",
        "echo online > /sys/devices/system/memory/auto_online_blocks",
    ]


def test_the_sequence_of_old_kernels() -> None:
    old = replace(RAW, is_compat=True, has_kmem=False, auto_online="offline")
    found = commands(old, ProvisionWish(regions=(1,), movable=False))
    assert found == [
        "ndctl create-namespace --mode=devdax --region=region1",
        "modprobe -r dax_pmem_compat",
        "modprobe -r dax_pmem",
        "modprobe -i dax_pmem",
        "modprobe kmem",
        "daxctl reconfigure-device --mode=system-ram --no-movable dax1.0",
    ]


def test_devices_that_are_memory_keep_their_driver() -> None:
    """The alias loads dax_pmem_compat for a second namespace, while the first is memory by dax_pmem."""
    memory = DaxState("dax1.0", "nvm", "system-ram", GIB, 2, online_blocks=8, total_blocks=8)
    device = DaxState("dax0.0", "nvm", "devdax", GIB, 1)
    state = ProvisionState(dax=(device, memory), is_compat=True, of_compat=("dax0.1",))
    assert commands(state) == [
        "modprobe -r dax_pmem_compat",
        # The bus `nd` has a number of its own.
        "echo dax0.1 > /sys/bus/nd/drivers/dax_pmem/bind",
        "daxctl reconfigure-device --mode=system-ram dax0.0",
    ]


@pytest.mark.parametrize("mode", ["raw", "fsdax", "sector", "devdax"])
def test_data_is_left_alone_unless_it_is_named(mode: str) -> None:
    space = PmemSpace("namespace0.0", 0, mode, GIB, "u")
    dax = (DaxState("dax0.0", "nvm", "devdax", GIB, 1),) if mode == "devdax" else ()
    state = ProvisionState((PmemArea(0, GIB, 0, 1),), (space,), dax)
    plan = make_provision_plan(state, ProvisionWish())
    assert plan.steps == ()
    assert "--destroy namespace0.0" in plan.refused[0] and f"{mode} mode" in plan.refused[0]
    named = make_provision_plan(state, ProvisionWish(destroy=("namespace0.0",)))
    assert named.refused == () and named.end.dax[0].is_node
    destroyed = any("DESTROYED" in step.changes for step in named.steps)
    assert destroyed is (mode != "devdax")


def test_cxl_by_sysfs_or_by_the_program() -> None:
    state = ProvisionState(cxl=(CxlState("mem0", GIB, "decoder2.0", "decoder0.0", "region0"),))
    found = commands(state)
    assert found[0] == "echo region0 > /sys/bus/cxl/devices/decoder0.0/create_ram_region"
    assert f"echo {GIB} > /sys/bus/cxl/devices/decoder2.0/dpa_size" in found
    assert found[-1] == "daxctl online-memory dax0.0"
    newer = commands(replace(state, cxl_creates=True))
    assert newer[0].startswith("cxl create-region --type=ram --decoder=decoder0.0")


SPACES = st.builds(
    PmemSpace,
    name=st.just(""),
    region=st.just(0),
    mode=st.sampled_from(["raw", "fsdax", "sector", "devdax"]),
    size_bytes=st.just(GIB),
    uuid=st.just("u"),
    is_empty=st.booleans(),
    is_ours=st.booleans(),
)


@st.composite
def states(draw: st.DrawFn) -> ProvisionState:
    areas, spaces, dax = [], [], []
    for number in range(draw(st.integers(0, 3))):
        areas.append(PmemArea(number, 2 * GIB, draw(st.sampled_from([0, 1 << 20, GIB])), number + 1))
        if draw(st.booleans()):
            space = replace(draw(SPACES), name=f"namespace{number}.0", region=number)
            spaces.append(space)
            if space.mode == "devdax":
                mode = draw(st.sampled_from(["devdax", "system-ram", "unbound"]))
                total = 8 if mode == "system-ram" else 0
                online = draw(st.integers(0, total))
                dax.append(DaxState(f"dax{number}.0", "nvm", mode, GIB, number + 1, online, total))  # type: ignore[arg-type]
    cxl: tuple[CxlState, ...] = ()
    if draw(st.booleans()):
        cxl = (CxlState("mem0", GIB, "decoder2.0", "decoder0.0", "region7"),)
    return ProvisionState(
        tuple(areas), tuple(spaces), tuple(dax), cxl,
        auto_online=draw(st.sampled_from([None, "offline", "online", "online_movable"])),
        is_compat=draw(st.booleans()), has_kmem=draw(st.booleans()), cxl_creates=draw(st.booleans()),
    )  # fmt: skip


@settings(deadline=None)
@given(states(), st.booleans())
def test_a_plan_reaches_its_end_once_and_can_be_undone(state: ProvisionState, movable: bool) -> None:
    wish = ProvisionWish(movable=movable)
    plan = make_provision_plan(state, wish)
    end = plan.end
    # Nothing precious is touched, everything else is a node.
    precious = {space.name.removeprefix("namespace") for space in state.spaces if space.is_precious}
    for device in end.dax:
        was = next((each for each in state.dax if each.name == device.name), None)
        if device.name.removeprefix("dax") in precious and was is not None and was.mode != "system-ram":
            assert device == was
        else:
            assert device.is_node
    assert {space for space in state.spaces if space.is_precious} <= set(end.spaces)
    assert end.cxl == () and end.auto_online == state.auto_online and end.auto_before is None
    assert make_provision_plan(end, wish).steps == ()
    made = frozenset(step.device for step in plan.steps if step.device is not None)
    back = make_undo_plan(end, made)
    assert all(device.mode == "devdax" for device in back.end.dax if device.name in made)
    assert [device for device in back.end.dax if device.name not in made] == [
        device for device in end.dax if device.name not in made
    ]
    assert make_undo_plan(back.end, made).steps == ()
    again = make_provision_plan(back.end, wish).end
    # What was memory of somebody else's namespace is left alone once it is a device again.
    lent = any(each.mode == "system-ram" and each.name.removeprefix("dax") in precious for each in state.dax)
    assert lent or again.dax == end.dax
