"""The steps on the way to a node: what is run, why, what it changes, and what the machine is afterwards."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Final

from hmexp.machine.provision.state import (
    OFFLINE,
    UNFINISHED,
    CxlState,
    DaxState,
    HalfRegion,
    PmemArea,
    PmemSpace,
    ProvisionState,
    ProvisionWish,
)
from hmexp.units import format_size

AUTO_ONLINE: Final = "devices/system/memory/auto_online_blocks"
_CXL: Final = "bus/cxl"
#: Only what a plan shows: the kernel decides how many blocks there are.
_BLOCK_BYTES: Final = 128 << 20


@dataclass(frozen=True)
class ShellCommand:
    """A program with its arguments."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)


@dataclass(frozen=True)
class SysfsWrite:
    """A value that is written to a file below /sys."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"echo {self.text} > /sys/{self.path}"


@dataclass(frozen=True)
class ProvisionStep:
    """One step.

    Parameters
    ----------
    actions : tuple of ShellCommand or SysfsWrite
        What is done, in order.
    why : str
        Why it is needed.
    changes : str
        What it changes, in a sentence.
    after : ProvisionState
        What the machine should be afterwards.
    device : str or None
        The DAX device that becomes memory by it.
    region : int or None
        The region that gets a new namespace by it.
    space : str or None
        The namespace that is given up for it.
    mapping, endpoint : str or None
        The region that gets CXL memory by it, or loses what it got, and the decoder of the device.
    resumes : bool
        Whether it belongs to a step that was interrupted: what is written down of that stays.
    """

    actions: tuple[ShellCommand | SysfsWrite, ...]
    why: str
    changes: str
    after: ProvisionState
    device: str | None = None
    region: int | None = None
    space: str | None = None
    mapping: str | None = None
    endpoint: str | None = None
    resumes: bool = False


def _command(text: str, *more: str) -> ShellCommand:
    return ShellCommand((*text.split(), *more))


def make_space(
    state: ProvisionState, area: PmemArea, wish: ProvisionWish, old: PmemSpace | None
) -> ProvisionStep:
    """Make a namespace in devdax mode, in free room of a region or of a namespace that is given up."""
    words = ["--mode=devdax"]
    if old is None:
        words += [f"--region=region{area.number}"]
        room = area.available_bytes
        why = f"region{area.number} has {format_size(room)} that no namespace uses"
        changes = f"A new namespace in devdax mode appears in region{area.number}."
        name = f"namespace{area.number}.{_free_number(state, area.number)}"
    else:
        words += ["--force", f"--reconfig={old.name}"]
        room, name = old.size_bytes, old.name
        why = (
            f"{old.name} is not finished: hmexp was interrupted as it was made"
            if old.mode == UNFINISHED
            else f"{old.name} is in {old.mode} mode, and only a namespace in devdax mode can become memory"
        )
        lost = "nothing is lost: it is empty" if not old.is_precious else "ALL DATA IN IT IS DESTROYED"
        changes = f"{old.name} is created again in devdax mode; {lost}."
    size_bytes = room if wish.size_bytes is None else min(room, wish.size_bytes)
    if wish.size_bytes is not None:
        words.append(f"--size={size_bytes}")
    made = PmemSpace(name, area.number, "devdax", size_bytes, is_ours=True)
    number = name.partition(".")[2]
    after = replace(
        state.with_space(made).with_dax(
            DaxState(f"dax{area.number}.{number}", "nvm", "devdax", size_bytes, area.node)
        ),
        areas=tuple(
            replace(each, available_bytes=each.available_bytes - size_bytes)
            if old is None and each.number == area.number
            else each
            for each in state.areas
        ),
    )
    return ProvisionStep(
        (_command("ndctl create-namespace", *words),), f"{why}.", changes, after, region=area.number,
        space=None if old is None else old.name,
    )  # fmt: skip


def enable_region(state: ProvisionState, area: PmemArea) -> ProvisionStep:
    """Enable a region: ndctl disables it as it gives it labels, and was killed then."""
    enabled = replace(area, is_enabled=True)
    return ProvisionStep(
        (_command("ndctl enable-region", f"region{area.number}"),),
        f"region{area.number} is disabled since hmexp was interrupted as it made a namespace there.",
        "The region can be used again; what comes next depends on what it shows then.",
        replace(state, areas=tuple(enabled if each == area else each for each in state.areas)),
        resumes=True,
    )


def load_kmem(state: ProvisionState) -> ProvisionStep:
    """Load the driver that makes memory of a device."""
    return ProvisionStep(
        (_command("modprobe kmem"),),
        "The driver kmem, which makes memory of a DAX device, is not loaded.",
        "The module kmem is loaded.",
        replace(state, has_kmem=True),
    )


def set_auto_online(state: ProvisionState) -> ProvisionStep:
    """Keep the kernel from bringing new memory online by itself."""
    return ProvisionStep(
        (SysfsWrite(AUTO_ONLINE, OFFLINE),),
        f"The kernel brings new memory online by itself ({state.auto_online}), into a zone of its own "
        "choice, and daxctl refuses to go on then.",
        f"New memory stays offline until daxctl brings it online; the last step restores "
        f"{state.auto_online}.",
        replace(state, auto_online=OFFLINE, auto_before=state.auto_before or state.auto_online),
    )


def restore_auto_online(state: ProvisionState) -> ProvisionStep:
    """Let the kernel do with new memory what it did before."""
    before = state.auto_before or OFFLINE
    return ProvisionStep(
        (SysfsWrite(AUTO_ONLINE, before),),
        "An earlier step set it to offline.",
        f"New memory is treated as before: {before}.",
        replace(state, auto_online=before, auto_before=None),
    )


def make_memory(state: ProvisionState, device: DaxState, wish: ProvisionWish) -> ProvisionStep:
    """Turn a DAX device into memory of its node, online."""
    zone = () if wish.movable else ("--no-movable",)
    total = max(1, device.size_bytes // _BLOCK_BYTES)
    what = f"node {device.node}" if device.node is not None else "a node"
    return ProvisionStep(
        (_command("daxctl reconfigure-device --mode=system-ram", *zone, device.name),),
        f"{device.name} ({device.kind}, {format_size(device.size_bytes)}) is a device, not memory of a node.",
        f"Its memory becomes {what}, in ZONE_{'MOVABLE' if wish.movable else 'NORMAL'}; what it held is "
        "lost.",
        state.with_dax(replace(device, mode="system-ram", online_blocks=total, total_blocks=total)),
        device=device.name,
    )


def bring_online(state: ProvisionState, device: DaxState, wish: ProvisionWish) -> ProvisionStep:
    """Bring memory that is there, and offline, online."""
    zone = () if wish.movable else ("--no-movable",)
    seen = f"{device.online_blocks} of {device.total_blocks} memory blocks"
    total = max(1, device.total_blocks)
    return ProvisionStep(
        (_command("daxctl online-memory", *zone, device.name),),
        f"{device.name} is memory of node {device.node}, but {seen} are online.",
        f"All of its memory is online, in ZONE_{'MOVABLE' if wish.movable else 'NORMAL'}.",
        state.with_dax(replace(device, online_blocks=total, total_blocks=total)),
        device=device.name,
    )


def make_cxl_region(state: ProvisionState, memory: CxlState, wish: ProvisionWish) -> ProvisionStep:
    """Map the memory of a CXL device: by the program where it can, else by what it would write."""
    size_bytes = memory.ram_bytes if wish.size_bytes is None else min(memory.ram_bytes, wish.size_bytes)
    region, devices = f"{_CXL}/devices/{memory.next_region}", f"{_CXL}/devices"
    writes = (
        (f"{devices}/{memory.root}/create_ram_region", memory.next_region),
        (f"{region}/interleave_granularity", "256"),
        (f"{region}/interleave_ways", "1"),
        (f"{region}/size", str(size_bytes)),
        (f"{devices}/{memory.endpoint}/mode", "ram"),
        (f"{devices}/{memory.endpoint}/dpa_size", str(size_bytes)),
        (f"{region}/target0", memory.endpoint),
        (f"{region}/commit", "1"),
        (f"{_CXL}/drivers/cxl_region/bind", memory.next_region),
    )
    made = DaxState(
        f"dax{memory.next_region.removeprefix('region')}.0", "cxl", "system-ram", size_bytes, None, 0,
        max(1, size_bytes // _BLOCK_BYTES),
    )  # fmt: skip
    command = _command(
        f"cxl create-region --type=ram --decoder={memory.root} --ways=1 --size={size_bytes} {memory.name}"
    )
    return ProvisionStep(
        (command,) if state.cxl_creates else tuple(SysfsWrite(path, text) for path, text in writes),
        f"{memory.name} has {format_size(memory.ram_bytes)} of volatile memory, and no region maps it.",
        f"{memory.next_region} maps it; a DAX device appears, and the driver kmem takes it.",
        replace(state.with_dax(made), cxl=_others(state, memory)),
        device=made.name,
        mapping=memory.next_region,
        endpoint=memory.endpoint,
    )


def drop_half_region(state: ProvisionState, half: HalfRegion) -> ProvisionStep:
    """Take back what an interruption left of a region: it would hold the window, and the device's memory."""
    devices = f"{_CXL}/devices"
    actions = []
    if half.root is not None:
        actions.append(SysfsWrite(f"{devices}/{half.root}/delete_region", half.name))
    if half.holds:
        actions.append(SysfsWrite(f"{devices}/{half.endpoint}/dpa_size", "0"))
    return ProvisionStep(
        tuple(actions),
        f"{half.name} was being made when hmexp was interrupted, and is not in use.",
        "Its memory is free again.",
        replace(state, half_region=None),
        mapping=half.name,
        endpoint=half.endpoint,
    )


def _others(state: ProvisionState, memory: CxlState) -> tuple[CxlState, ...]:
    following = f"region{int(memory.next_region.removeprefix('region')) + 1}"
    return tuple(replace(each, next_region=following) for each in state.cxl if each != memory)


def take_offline(state: ProvisionState, device: DaxState) -> ProvisionStep:
    """Take the memory of a device offline: what lies there moves to other nodes."""
    return ProvisionStep(
        (_command("daxctl offline-memory", device.name),),
        f"The memory of {device.name} serves as node {device.node}; a device cannot be taken back before.",
        f"Node {device.node} gives this memory up. The kernel moves what it can to other nodes.",
        state.with_dax(replace(device, online_blocks=0)),
    )


def make_device(state: ProvisionState, device: DaxState) -> ProvisionStep:
    """Turn memory back into a DAX device."""
    return ProvisionStep(
        (_command("daxctl reconfigure-device --mode=devdax --force", device.name),),
        f"{device.name} was a device before hmexp made memory of it.",
        f"It is /dev/{device.name} again.",
        state.with_dax(replace(device, mode="devdax", online_blocks=0, total_blocks=0)),
    )


def _free_number(state: ProvisionState, region: int) -> int:
    taken = {each.name for each in state.spaces}
    return next(number for number in range(len(taken) + 1) if f"namespace{region}.{number}" not in taken)
