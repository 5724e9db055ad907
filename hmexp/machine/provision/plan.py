"""From what a machine is to what is wished: the steps that are missing. Nothing here touches a machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError
from hmexp.machine.provision import steps
from hmexp.machine.provision.compat import leave_compat
from hmexp.machine.provision.state import (
    OFFLINE,
    DaxState,
    PmemSpace,
    ProvisionState,
    ProvisionWish,
)
from hmexp.machine.provision.steps import ProvisionStep
from hmexp.units import format_size

#: No machine needs as many; it only keeps a mistake from running for ever.
_MOST_STEPS: Final = 1000
#: The kernel makes no namespace of less.
_LEAST_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class ProvisionPlan:
    """The steps to the wished end.

    Parameters
    ----------
    steps : tuple of ProvisionStep
        In order; empty if nothing is to be done.
    refused : tuple of str
        What is left alone, because it may hold data, with how to name it.
    end : ProvisionState
        What the machine should be after all steps.
    """

    steps: tuple[ProvisionStep, ...]
    refused: tuple[str, ...]
    end: ProvisionState


def make_provision_plan(state: ProvisionState, wish: ProvisionWish) -> ProvisionPlan:
    """Plan the way from raw memory to nodes."""
    return _plan(state, lambda now: next_step(now, wish), find_refused(state, wish))


def make_undo_plan(state: ProvisionState, devices: frozenset[str]) -> ProvisionPlan:
    """Plan the way back: the memory of these devices becomes devices again."""
    return _plan(state, lambda now: next_undo(now, devices), ())


def next_step(state: ProvisionState, wish: ProvisionWish) -> ProvisionStep | None:
    """The next step towards nodes; None if there is none."""
    found = _clear_up(state) or _next_space(state, wish)
    if found is not None:
        return found
    # New memory must not come online before it is said where to.
    wakes = state.auto_online not in (None, OFFLINE)
    for memory in state.cxl:
        if wish.selects(region=None, node=None, names=(memory.name,)):
            if not state.has_kmem:
                return steps.load_kmem(state)
            if wakes:
                return steps.set_auto_online(state)
            return steps.make_cxl_region(state, memory, wish)
    for device in _chosen(state, wish):
        if device.is_node:
            continue
        if device.mode == "system-ram":
            return steps.bring_online(state, device, wish)
        return _prepare(state, device, wakes=wakes) or steps.make_memory(state, device, wish)
    return _restore(state)


def _clear_up(state: ProvisionState) -> ProvisionStep | None:
    """What an interruption makes necessary before all else."""
    if state.half_region is not None:
        return steps.drop_half_region(state, state.half_region)
    return None if state.has_left_compat else leave_compat(state)


def next_undo(state: ProvisionState, devices: frozenset[str]) -> ProvisionStep | None:
    """The next step back to devices; None if there is none."""
    found = _clear_up(state)
    if found is not None:
        return found
    for device in state.dax:
        if device.name in devices and device.mode == "system-ram":
            if device.online_blocks:
                return steps.take_offline(state, device)
            return steps.make_device(state, device)
    return _restore(state)


def find_refused(state: ProvisionState, wish: ProvisionWish) -> tuple[str, ...]:
    """What is left alone because it may hold data, in sentences."""
    said = [
        f"region{area.number} ({format_size(area.size_bytes)}) is left alone: it is disabled, so what it "
        f"holds is unknown. To look: ndctl enable-region region{area.number}"
        for area in state.areas
        if not (area.is_enabled or area.is_interrupted)
        and wish.selects(region=area.number, node=area.node, names=(f"region{area.number}",))
    ]
    for space in state.spaces:
        if not _is_meant(state, space, wish) or not space.is_precious or space.name in wish.destroy:
            continue
        device = _device_of(state, space)
        if device is not None and device.mode == "system-ram":
            continue
        why = f"it is in {space.mode} mode and hmexp did not make it, so it may hold data"
        said.append(
            f"{space.name} ({format_size(space.size_bytes)}) is left alone: {why}. To give it up "
            f"with all that it holds: hmexp provision --destroy {space.name}"
        )
    return tuple(said)


def require_known(state: ProvisionState, wish: ProvisionWish) -> None:
    """Refuse a wish that names what is not there.

    Raises
    ------
    ParameterError
        With the name, and those that there are.
    """
    spaces = [space.name for space in state.spaces]
    names = [*spaces, *(each.name for each in state.dax), *(each.name for each in state.cxl)]
    regions = sorted({each.number for each in state.areas} | {device.region for device in state.dax})
    for option, given, known in (
        ("--device", wish.devices, [*names, *(f"region{number}" for number in regions)]),
        ("--destroy", wish.destroy, spaces),
        ("--region", tuple(map(str, wish.regions)), list(map(str, regions))),
    ):
        for each in given:
            if each not in known:
                there = ", ".join(known) or "nothing of that kind"
                raise ParameterError(f"{option} {each}: this machine has no such thing", f"it has {there}")


def _plan(
    state: ProvisionState, step: Callable[[ProvisionState], ProvisionStep | None], refused: tuple[str, ...]
) -> ProvisionPlan:
    found: list[ProvisionStep] = []
    while len(found) < _MOST_STEPS:
        one = step(state)
        if one is None:
            break
        found.append(one)
        state = one.after
    return ProvisionPlan(tuple(found), refused, state)


def _next_space(state: ProvisionState, wish: ProvisionWish) -> ProvisionStep | None:
    for area in state.areas:
        meant = wish.selects(region=area.number, node=area.node, names=(f"region{area.number}",))
        if not area.is_enabled:
            if area.is_interrupted and meant:
                return steps.enable_region(state, area)
            continue
        for space in state.spaces:
            usable = not space.is_precious or space.name in wish.destroy
            here = space.region == area.number and space.mode != "devdax"
            if here and usable and _is_meant(state, space, wish):
                return steps.make_space(state, area, wish, space)
        mine = [each for each in state.spaces if each.region == area.number]
        # With a wished size one namespace is enough.
        enough = wish.size_bytes is not None and any(each.mode == "devdax" for each in mine)
        if meant and area.available_bytes >= _LEAST_BYTES and not enough:
            return steps.make_space(state, area, wish, None)
    return None


def _chosen(state: ProvisionState, wish: ProvisionWish) -> list[DaxState]:
    chosen = []
    for device in state.dax:
        names = [device.name, f"region{device.region}"]
        space = next((each for each in state.spaces if _device_of(state, each) == device), None)
        if space is not None:
            names.append(space.name)
        if not wish.selects(region=device.region, node=device.node, names=tuple(names)):
            continue
        if (
            device.mode != "system-ram"
            and space is not None
            and space.is_precious
            and space.name not in wish.destroy
        ):
            continue
        chosen.append(device)
    return chosen


def _is_meant(state: ProvisionState, space: PmemSpace, wish: ProvisionWish) -> bool:
    node = next((area.node for area in state.areas if area.number == space.region), None)
    number = space.name.removeprefix("namespace")
    names = (space.name, f"dax{number}", f"region{space.region}")
    return wish.selects(region=space.region, node=node, names=names)


def _device_of(state: ProvisionState, space: PmemSpace) -> DaxState | None:
    name = f"dax{space.name.removeprefix('namespace')}"
    return next((each for each in state.dax if each.name == name and each.kind == "nvm"), None)


def _prepare(state: ProvisionState, device: DaxState, *, wakes: bool) -> ProvisionStep | None:
    """What must come before a device becomes memory."""
    if state.is_compat and device.kind == "nvm":
        return leave_compat(state)
    if not state.has_kmem:
        return steps.load_kmem(state)
    return steps.set_auto_online(state) if wakes else None


def _restore(state: ProvisionState) -> ProvisionStep | None:
    if state.auto_before is not None:
        return steps.restore_auto_online(state)
    return None
