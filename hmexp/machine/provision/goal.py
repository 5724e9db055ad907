"""What Optane modules are to become at the next boot: the steps of ipmctl, and what has become of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hmexp.errors import ParameterError
from hmexp.machine.provision.execution import Workshop
from hmexp.machine.provision.journal import ProvisionLog
from hmexp.machine.provision.kernel import describe_kernel
from hmexp.machine.provision.optane import NEVER_TRIED, OptaneState, read_optane
from hmexp.machine.provision.state import ProvisionState, ProvisionWish
from hmexp.machine.provision.steps import ProvisionStep, ShellCommand
from hmexp.machine.provision.tools import ProvisionError, Toolbox
from hmexp.system.journal import boot_id
from hmexp.units import format_size

APP_DIRECT: Final = "PersistentMemoryType=AppDirect"
MEMORY_MODE: Final = "MemoryMode=100"


@dataclass(frozen=True)
class GoalPlan:
    """The steps of ipmctl that are missing.

    Parameters
    ----------
    steps : tuple of ProvisionStep
        None or one: a reboot comes after it.
    goal : str or None
        The goal that the journal has after them; None for no goal.
    notes : tuple of str
        What is to be known, in sentences.
    refused : tuple of str
        Why the wished step is not done, in sentences.
    waits : bool
        Whether the machine must be rebooted before anything else is done.
    """

    steps: tuple[ProvisionStep, ...] = ()
    goal: str | None = None
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    waits: bool = False


@dataclass(frozen=True)
class GoalSituation:
    """What a plan of ipmctl's steps depends on.

    Parameters
    ----------
    optane : OptaneState or None
        What ipmctl says; None where it says nothing.
    state : ProvisionState
        How far the rest is.
    log : ProvisionLog
        What hmexp did before.
    boot : str
        The identifier of this boot.
    """

    optane: OptaneState | None
    state: ProvisionState
    log: ProvisionLog
    boot: str

    @property
    def is_rebooted(self) -> bool:
        """Whether the machine was booted after hmexp made a goal."""
        return self.log.goal is not None and self.log.goal_boot != self.boot

    @property
    def is_anything(self) -> bool:
        """Whether there is any memory to plan for."""
        return self.optane is not None or any((self.state.areas, self.state.dax, self.state.cxl))

    def after(self, state: ProvisionState) -> GoalSituation:
        """The same once the rest is in another state."""
        return replace(self, state=state)


def read_situation(workshop: Workshop) -> GoalSituation:
    """Read the modules, the rest and the journal."""
    optane = read_optane(workshop.tools)
    return GoalSituation(optane, workshop.read(), workshop.journal.read(), boot_id(workshop.proc_root))


def describe_rest(here: GoalSituation, tools: Toolbox, sys_root: Path = Path("/sys")) -> tuple[str, ...]:
    """Say what a plan depends on besides: the kernel's options, and whether ipmctl can be asked."""
    said = []
    if here.is_anything:
        said.append(describe_kernel(os.uname().release))
    # The table of the platform's capabilities is there where the firmware knows Optane.
    if here.optane is None and (sys_root / "firmware/acpi/tables/PCAT").exists():
        said.append(
            "Optane: ipmctl shows nothing; it needs root."
            if tools.has("ipmctl")
            else "Optane: what its modules are used for is unknown; install the package ipmctl."
        )
    return tuple(said)


def plan_goal(here: GoalSituation, wish: ProvisionWish, *, app_direct: bool) -> GoalPlan:
    """Plan the way from Memory Mode or unconfigured memory to persistent regions.

    Parameters
    ----------
    here : GoalSituation
        What there is.
    wish : ProvisionWish
        Its `destroy` names the namespaces that may be given up.
    app_direct : bool
        Whether the user asked for it.

    Raises
    ------
    ParameterError
        If the user asked for it and there is no such module.
    """
    optane, log = here.optane, here.log
    if optane is None:
        if app_direct:
            raise ParameterError(
                "--app-direct: ipmctl shows no Optane module on this machine",
                "run as root, and install the package ipmctl if it is missing",
            )
        return GoalPlan()
    if optane.goals:
        return GoalPlan(goal=log.goal, notes=(_pending(here, optane),), waits=True)
    notes = []
    if here.is_rebooted and log.goal == APP_DIRECT:
        done = optane.app_direct_bytes > 0
        what = "the firmware has taken the goal that hmexp made" if done else (
            "the machine was rebooted, but the firmware has not done what the goal of hmexp asked for; "
            "look for its reason in the firmware's own setup"
        )  # fmt: skip
        notes.append(f"Optane: {what} ({optane}; {NEVER_TRIED}).")
    idle_bytes = optane.memory_bytes + optane.unconfigured_bytes
    if not idle_bytes:
        return GoalPlan(goal=log.goal, notes=tuple(notes))
    if not app_direct:
        notes.append(
            f"Optane: {optane} ({NEVER_TRIED}). `hmexp provision --app-direct` plans how it becomes "
            "persistent regions, from which nodes can be made: it needs a reboot and destroys what "
            "the regions hold."
        )
        return GoalPlan(goal=log.goal, notes=tuple(notes))
    refused = _refusals(here.state, wish)
    if refused:
        return GoalPlan(goal=log.goal, notes=tuple(notes), refused=refused)
    return GoalPlan((_leave_memory_mode(here.state, optane),), APP_DIRECT, tuple(notes), waits=True)


def plan_goal_undo(here: GoalSituation, wish: ProvisionWish, *, memory_mode: bool) -> GoalPlan:
    """Plan the way back: a goal that waits is deleted, one that was taken is reversed only on demand."""
    optane, log = here.optane, here.log
    if optane is None:
        return GoalPlan(goal=log.goal)
    if optane.goals:
        if log.goal is None:
            return GoalPlan(notes=(_pending(here, optane),))
        step = ProvisionStep(
            (ShellCommand(("ipmctl", "delete", "-goal")),),
            f"The goal that hmexp made ({log.goal}) waits for a reboot.",
            f"The modules stay at the next boot what they are now ({NEVER_TRIED}).",
            here.state,
        )
        # Memory Mode can only have been asked for after App Direct was reached.
        return GoalPlan((step,), APP_DIRECT if log.goal == MEMORY_MODE else None)
    if log.goal != APP_DIRECT or not here.is_rebooted or not optane.app_direct_bytes:
        return GoalPlan(goal=log.goal)
    what = (
        f"`{_create(MEMORY_MODE)}` would make all {format_size(optane.app_direct_bytes)} of the Optane "
        "modules memory of the system at the next boot, with the DRAM as its cache, and destroy what "
        f"persistent regions hold ({NEVER_TRIED})"
    )
    if not memory_mode:
        return GoalPlan(
            goal=log.goal, notes=(f"Optane: {what}. Only `hmexp provision --undo --memory-mode` does it.",)
        )
    refused = _refusals(here.state, wish)
    if refused:
        return GoalPlan(goal=log.goal, refused=refused)
    step = ProvisionStep(
        (*_destroy(here.state), _create(MEMORY_MODE)),
        "hmexp made the App Direct regions, and --memory-mode asks for the way back.",
        "At the next boot all of it is memory of the system again. WHAT PERSISTENT REGIONS HOLD IS "
        f"DESTROYED. Then reboot ({NEVER_TRIED}).",
        here.state,
    )
    return GoalPlan((step,), MEMORY_MODE)


def carry_out_goal(workshop: Workshop, plan: GoalPlan) -> None:
    """Do what ipmctl has to do, written down before and looked at afterwards.

    Raises
    ------
    ProvisionError
        If the plan is refused, a program fails, or the goals are not as they should be afterwards.
    """
    if plan.refused:
        raise ProvisionError(
            "nothing was changed: " + " ".join(plan.refused), "do what the message names, then run this again"
        )
    with workshop.journal.locked():
        for step in plan.steps:
            before = workshop.journal.read()
            boot = boot_id(workshop.proc_root)
            # Without a mark of a boot, what the firmware took counts as taken at an earlier one.
            deletes = "delete" in str(step.actions[-1])
            after = replace(before, goal=plan.goal, goal_boot="" if deletes else boot)
            workshop.journal.write(replace(after, doing="; ".join(map(str, step.actions))))
            for action in step.actions:
                if isinstance(action, ShellCommand):
                    workshop.tell(str(action))
                    _run(workshop, action, before)
            if bool(_goals(workshop)) is deletes:
                workshop.journal.write(before)
                raise ProvisionError(
                    f"`{step.actions[-1]}` ended well but `ipmctl show -goal` does not show it",
                    "see what `ipmctl show -goal` says",
                )
            workshop.journal.write(after)


def _run(workshop: Workshop, action: ShellCommand, before: ProvisionLog) -> None:
    output = workshop.tools.run(action.words)
    if output.status:
        workshop.journal.write(before)
        # ipmctl says its errors on standard output.
        said = " ".join((output.err.strip() or output.out.strip() or f"status {output.status}").split())
        raise ProvisionError(f"`{action}` failed: {said[:400]}", "see what `ipmctl show -goal` says")


def _goals(workshop: Workshop) -> int:
    found = read_optane(workshop.tools)
    return 0 if found is None else len(found.goals)


def _create(goal: str) -> ShellCommand:
    # Without -force it asks whether to go on.
    return ShellCommand(("ipmctl", "create", "-force", "-goal", goal))


def _destroy(state: ProvisionState) -> tuple[ShellCommand, ...]:
    """A goal cannot be made while a module has namespaces."""
    return tuple(
        ShellCommand(("ndctl", "destroy-namespace", "--force", space.name)) for space in state.spaces
    )


def _leave_memory_mode(state: ProvisionState, optane: OptaneState) -> ProvisionStep:
    lost = (
        f" {format_size(optane.memory_bytes)} of the system's memory go away then: only the DRAM remains."
        if optane.memory_bytes
        else ""
    )
    return ProvisionStep(
        (*_destroy(state), _create(APP_DIRECT)),
        f"The Optane modules have {optane}; only memory in App Direct regions can become nodes.",
        f"At the next boot the firmware makes App Direct regions of all modules.{lost} WHAT PERSISTENT "
        "REGIONS HOLD IS DESTROYED. Then reboot, and run `hmexp provision --apply` again: it goes on from "
        f"there ({NEVER_TRIED}).",
        state,
    )


def _refusals(state: ProvisionState, wish: ProvisionWish) -> tuple[str, ...]:
    used = [each.name for each in state.dax if each.kind == "nvm" and each.mode == "system-ram"]
    kept = [each.name for each in state.spaces if each.is_precious and each.name not in wish.destroy]
    said = []
    if used:
        said.append(f"{', '.join(used)}: memory of nodes; take it back first: hmexp provision --undo.")
    if kept:
        options = " ".join(f"--destroy {name}" for name in kept)
        said.append(f"{', '.join(kept)} may hold data, and a new goal destroys it; to give it up: {options}.")
    return tuple(said)


def _pending(here: GoalSituation, optane: OptaneState) -> str:
    statuses = sorted({goal.status for goal in optane.goals if goal.status})
    said = f", status {', '.join(statuses)}" if statuses else ""
    whose = "that hmexp made" if here.log.goal is not None else "that hmexp did not make"
    what = f"a goal {whose} is pending for {len(optane.goals)} modules (ipmctl show -goal{said})"
    if here.is_rebooted:
        then = (
            "the machine was rebooted, and the firmware has not taken it; `hmexp provision --undo` deletes it"
        )
    else:
        then = "this machine was not rebooted yet: reboot, then run `hmexp provision --apply` again"
    return f"Optane: {what}: {then} ({NEVER_TRIED})."
