"""Carrying out a plan: step by step, each written down before and looked at afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hmexp.machine.provision import plan
from hmexp.machine.provision.journal import ProvisionJournal, ProvisionLog
from hmexp.machine.provision.reading import read_provision_state
from hmexp.machine.provision.state import DaxState, ProvisionState, ProvisionWish
from hmexp.machine.provision.steps import AUTO_ONLINE, ProvisionStep, ShellCommand, SysfsWrite
from hmexp.machine.provision.tools import PACKAGES, InstalledTools, ProvisionError, Toolbox
from hmexp.machine.provision.users import find_users
from hmexp.system.journal import boot_id
from hmexp.system.setting_files import write_text
from hmexp.system.topology import read_topology
from hmexp.units import format_size

_POLL_SECONDS: Final = 0.25
_WAIT_SECONDS: Final = 20.0
_SHOWN_USERS: Final = 5


def _say_nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Workshop:
    """What provisioning works with.

    Parameters
    ----------
    tools : Toolbox
        Runs programs.
    journal : ProvisionJournal
        Where it is written down.
    sys_root, proc_root, dev_root : Path
        Where `/sys`, `/proc` and `/dev` are.
    tell : callable
        Gets a sentence for each step that begins.
    """

    tools: Toolbox = field(default_factory=InstalledTools)
    journal: ProvisionJournal = field(default_factory=ProvisionJournal)
    sys_root: Path = Path("/sys")
    proc_root: Path = Path("/proc")
    dev_root: Path = Path("/dev")
    tell: Callable[[str], None] = _say_nothing

    def read(self) -> ProvisionState:
        """How far the memory is now."""
        return read_provision_state(
            self.tools, self.journal.read(), self.sys_root, self.proc_root, self.dev_root
        )


def provision(workshop: Workshop, wish: ProvisionWish) -> list[ProvisionStep]:
    """Make nodes of memory; returns the steps that were carried out, none if nothing was missing.

    Raises
    ------
    ProvisionError
        If a program is missing or fails, or a step changes nothing.
    """
    with workshop.journal.locked():
        require_tools(workshop.read())
        return _carry_out(workshop, lambda state: plan.next_step(state, wish))


def unprovision(workshop: Workshop) -> list[ProvisionStep]:
    """Take back the memory that hmexp made nodes of; returns the steps that were carried out.

    Raises
    ------
    ProvisionError
        If a program has memory there, which is left alone, or a step fails.
    """
    with workshop.journal.locked():
        devices = frozenset(workshop.journal.read().devices)
        state = workshop.read()
        require_tools(state)
        for device in state.dax:
            if device.name in devices and device.mode == "system-ram":
                require_unused(workshop, device)
        return _carry_out(workshop, lambda now: plan.next_undo(now, devices))


def require_tools(state: ProvisionState) -> None:
    """Refuse to begin without the programs that are needed here."""
    if state.missing:
        packages = " ".join(PACKAGES[name] for name in state.missing)
        raise ProvisionError(
            f"programs are missing: {', '.join(state.missing)}", f"install their packages: {packages}"
        )


def require_unused(workshop: Workshop, device: DaxState) -> None:
    """Refuse to take memory away from programs that use it.

    Raises
    ------
    ProvisionError
        With the processes, and how to move them away.
    """
    if device.node is None:
        return
    users = find_users(device.node, workshop.proc_root)
    if users:
        shown = ", ".join(map(str, users[:_SHOWN_USERS]))
        more = f" and {len(users) - _SHOWN_USERS} more" if len(users) > _SHOWN_USERS else ""
        raise ProvisionError(
            f"the memory of {device.name} is in use, on node {device.node}, by {shown}{more}; "
            "nothing was changed",
            f"end these programs, or move their memory: migratepages {users[0].pid} {device.node} 0; "
            f"`grep N{device.node}= /proc/{users[0].pid}/numa_maps` shows where it is",
        )


def verify_nodes(workshop: Workshop, wish: ProvisionWish) -> list[str]:
    """Look at the nodes that came of it, in sentences: kind, size, evidence.

    Raises
    ------
    ProvisionError
        If one is not as it should be.
    """
    topology = read_topology(workshop.sys_root, workshop.proc_root)
    said = []
    for device in workshop.read().dax:
        names = (device.name, f"region{device.region}")
        if not device.is_node or not wish.selects(region=device.region, node=device.node, names=names):
            continue
        node = next((each for each in topology.nodes if each.id == device.node), None)
        if node is None or not node.has_memory:
            raise ProvisionError(
                f"{device.name} is memory of node {device.node}, but the kernel shows no memory there",
                "see dmesg, and `daxctl list`",
            )
        why = f": {'; '.join(node.evidence)}" if node.evidence else ""
        said.append(
            f"node {node.id} is {node.kind}, {format_size(node.total_bytes)}, from {device.name} "
            f"({device.online_blocks} of {device.total_blocks} memory blocks online){why}"
        )
    return said


def _carry_out(
    workshop: Workshop, following: Callable[[ProvisionState], ProvisionStep | None]
) -> list[ProvisionStep]:
    done: list[ProvisionStep] = []
    try:
        while True:
            step = following(_settled(workshop, done[-1] if done else None))
            if step is None:
                return done
            if done and step.actions == done[-1].actions:
                raise ProvisionError(
                    f"`{step.actions[-1]}` ended well but changed nothing",
                    "see dmesg for what the kernel says",
                )
            workshop.tell("; ".join(map(str, step.actions)))
            _take(workshop, step)
            done.append(step)
    except BaseException:
        _leave_in_order(workshop)
        raise


def _settled(workshop: Workshop, last: ProvisionStep | None) -> ProvisionState:
    """The state, once the device that the last step makes has appeared."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        state = workshop.read()
        there = last is None or last.device is None or any(each.name == last.device for each in state.dax)
        if there or time.monotonic() > until:
            return state
        time.sleep(_POLL_SECONDS)


def _take(workshop: Workshop, step: ProvisionStep) -> None:
    log = _begin(workshop, step)
    for action in step.actions:
        if isinstance(action, ShellCommand):
            output = workshop.tools.run(action.words)
            problem = (output.err.strip() or f"status {output.status}") if output.status else None
        elif action.path.endswith("/bind") and _is_bound(workshop, action):
            # Newer kernels bind a region as it is committed; and an interrupted run may have done it.
            problem = None
        else:
            problem = write_text(workshop.sys_root / action.path, action.text)
        if problem is not None:
            raise ProvisionError(
                f"`{action}` failed: {' '.join(problem.split())[:400]}",
                "see dmesg; what was done is written down, and the same command resumes",
            )
    _finish(workshop, step, log)


def _is_bound(workshop: Workshop, bind: SysfsWrite) -> bool:
    bus = (workshop.sys_root / bind.path).parents[2]
    return (bus / "devices" / bind.text / "driver").exists()


def _begin(workshop: Workshop, step: ProvisionStep) -> ProvisionLog:
    state, log = workshop.read(), workshop.journal.read()
    if not step.resumes:
        known = (each.uuid for each in state.spaces if each.region == step.region and each.uuid is not None)
        log = replace(
            log,
            uuids=_owned(state, log),
            making=step.region,
            known=tuple(known),
            remaking=step.space,
            mapping=step.mapping,
            endpoint=step.endpoint,
        )
    log = replace(
        log,
        doing="; ".join(map(str, step.actions)),
        devices=log.devices if step.device is None else tuple(dict.fromkeys((*log.devices, step.device))),
        auto_before=step.after.auto_before or state.auto_before,
        boot_id=boot_id(workshop.proc_root),
    )
    workshop.journal.write(log)
    return log


def _finish(workshop: Workshop, step: ProvisionStep, log: ProvisionLog) -> None:
    state = workshop.read()
    back = {each.name for each in step.after.dax if each.mode == "devdax"}
    workshop.journal.write(
        replace(
            log,
            doing=None,
            making=None,
            known=(),
            remaking=None,
            mapping=None,
            endpoint=None,
            uuids=_owned(state, log),
            devices=tuple(name for name in log.devices if name not in back),
            auto_before=step.after.auto_before,
        )
    )


def _owned(state: ProvisionState, log: ProvisionLog) -> tuple[str, ...]:
    new = [each.uuid for each in state.spaces if each.is_ours and each.uuid is not None]
    return tuple(dict.fromkeys((*log.uuids, *new)))


def _leave_in_order(workshop: Workshop) -> None:
    """Restore the setting of new memory, whatever ended the work."""
    log = workshop.journal.read()
    if log.auto_before is None or log.boot_id != boot_id(workshop.proc_root):
        return
    if write_text(workshop.sys_root / AUTO_ONLINE, log.auto_before) is None:
        workshop.journal.write(replace(log, auto_before=None))
