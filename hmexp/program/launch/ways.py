"""Starting a program on hybrid memory, in one of several ways that are compared with each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from hmexp.errors import HmexpError, StartError
from hmexp.native.spawn import SpawnError, Stage, spawn
from hmexp.pattern import Pattern
from hmexp.program.launch.checks import check_nodes, check_program, find_warnings
from hmexp.program.launch.counters import read_counters
from hmexp.program.launch.executable import Executable, find_executable
from hmexp.program.launch.kernel_ways import (
    plan_by_policy,
    plan_first_touch,
    plan_numactl,
    plan_one_node,
    plan_tiering,
)
from hmexp.program.launch.own_ways import plan_follow, plan_preload
from hmexp.program.launch.request import Plan, Request, StartOptions
from hmexp.program.launch.started import Started
from hmexp.store.parts import SettingRecord
from hmexp.store.program_records import ProgramRun, RefusedWay
from hmexp.store.run import now
from hmexp.system.provenance import collect
from hmexp.system.settings import HERE, NUMA_BALANCING
from hmexp.system.sysfs import read_text
from hmexp.system.topology import read_topology

AUTO: Final = "auto"
#: Each way by its name. It refuses by an error, and holds settings of the machine by the stack.
WAYS: Final[Mapping[str, Callable[[Request, ExitStack], Plan]]] = {
    "preload": plan_preload,
    "policy": plan_by_policy,
    "follow": plan_follow,
    "default": plan_first_touch,
    "node": plan_one_node,
    "tiering": plan_tiering,
    "numactl": plan_numactl,
}
#: What `auto` tries, in this order: whatever puts each page in its place, and then what keeps the ratio.
_ORDER: Final = ("preload", "policy", "follow")
_BY_RATIO: Final = ("policy",)


@dataclass(frozen=True)
class PreparedStart:
    """A program that can be started: everything was checked, and settings of the machine are held.

    Parameters
    ----------
    request : Request
        What was asked for.
    asked : str
        The way that was asked for.
    plan : Plan
        The way that is taken.
    refused : tuple of RefusedWay
        Ways that were tried before.
    held : ExitStack
        Puts settings back.
    """

    request: Request
    asked: str
    plan: Plan
    refused: tuple[RefusedWay, ...]
    held: ExitStack

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before the program starts."""
        return (*find_warnings(self.request, self.plan.way), *self.plan.warnings)

    def recorded_in(self, folder: Path | None) -> PreparedStart:
        """The same with another folder for the record."""
        options = replace(self.request.options, record=folder)
        return replace(self, request=replace(self.request, options=options))

    def close(self) -> None:
        """Put settings back without having started anything."""
        self.held.close()

    def spawn(self) -> Started:
        """Start the program.

        Raises
        ------
        StartError
            If the kernel refuses it; settings are put back then.
        """
        request, plan = self.request, self.plan
        before = read_counters()
        record = self._describe(before)
        additions = {**request.options.environment, **plan.environment}
        try:
            everything = {**os.environ, **additions}
            stop_in_exit = request.options.stop_in_exit
            spawned = spawn(plan.path, plan.command, everything, plan.inherits, stop_in_exit)
        except SpawnError as error:
            self.close()
            raise _refused_start(request, plan, error) from error
        except BaseException:
            self.close()
            raise
        record = msgspec.structs.replace(record, pid=spawned.pid)
        watch = (request.pattern, request.options.sample_seconds)
        started = Started(spawned, plan, record, self.held, watch)
        started.begin(request.options.record)
        self._verify(started)
        return started

    def _verify(self, started: Started) -> None:
        """Stop a program that its way has missed; one that has ended already has a status of its own."""
        if self.plan.verify is None:
            return
        try:
            self.plan.verify(started.pid)
        except HmexpError as error:
            if started.poll() is not None:
                started.notes.append(error.message)
                return
            started.stop()
            raise StartError(f"{error.message}; it was stopped", error.remedy) from error

    def _describe(self, counters: Mapping[str, int]) -> ProgramRun:
        request, plan = self.request, self.plan
        pattern, folder = request.pattern, request.options.record
        settings = {NUMA_BALANCING: _as_it_is(read_text(HERE.numa_balancing)), **plan.settings}
        return ProgramRun(
            name=folder.name if folder is not None else "",
            command=request.command,
            pattern=None if pattern is None else str(pattern),
            granule_bytes=None if pattern is None else pattern.granule_bytes,
            asked=self.asked,
            way=plan.way,
            why=plan.why,
            promise=plan.promise,
            refused=self.refused,
            warnings=self.warnings,
            environment={**request.options.environment, **plan.environment},
            pid=0,
            started=now(),
            settings=settings,
            counters_before=dict(counters),
            nodes=request.topology.as_records(),
            provenance=collect(),
        )


def prepare(
    command: Sequence[str],
    way: str = AUTO,
    pattern: Pattern | None = None,
    options: StartOptions = StartOptions(),
) -> PreparedStart:
    """Check everything, choose the way and set what it needs; nothing is started yet.

    Raises
    ------
    HmexpError
        If it cannot be started so: what is in the way, and another way. Nothing is left changed.
    """
    if way != AUTO and way not in WAYS:
        raise StartError(f"there is no way {way!r}", f"use one of: {AUTO}, {', '.join(WAYS)}")
    executable: Executable = find_executable(command, {**os.environ, **options.environment})
    request = Request(tuple(command), executable, pattern, read_topology(), options)
    check_program(request)
    check_nodes(request)
    if way != AUTO:
        return _try(request, way, way, ())
    if pattern is None:
        prepared = _try(request, AUTO, "default", ())
        why = f"no pattern was given; {prepared.plan.why}"
        return replace(prepared, plan=replace(prepared.plan, why=why))
    return _prepare_best(request, pattern)


def _prepare_best(request: Request, pattern: Pattern) -> PreparedStart:
    """The first way that puts each page in its place; where there is none, one that keeps the ratio."""
    refused: list[RefusedWay] = []
    for name in _ORDER:
        try:
            return _try(replace(request, exact=True), AUTO, name, tuple(refused))
        except HmexpError as error:
            refused.append(RefusedWay(way=name, reason=error.message, remedy=error.remedy))
    for name in _BY_RATIO:
        others = tuple(each for each in refused if each.way != name)
        with suppress(HmexpError):
            prepared = _try(request, AUTO, name, others)
            why = f"{prepared.plan.why}; no way puts each page in its place here"
            return replace(prepared, plan=replace(prepared.plan, why=why))
    reasons = "".join(f"\n  {each.way}: {each.reason}" for each in refused)
    remedies = "; ".join(dict.fromkeys(each.remedy for each in refused if each.remedy))
    raise StartError(f"no way puts this program on pattern {pattern} here:{reasons}", remedies or None)


def start(
    command: Sequence[str],
    way: str = AUTO,
    pattern: Pattern | None = None,
    options: StartOptions = StartOptions(),
) -> Started:
    """Start a program with its pages by a pattern.

    Its standard streams, terminal, group and signals are those of this process.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    way : str
        One of `WAYS`, or `auto`.
    pattern : Pattern or None
        Of real nodes, by virtual page number; None where the kernel decides.
    options : StartOptions
        How it is watched and recorded.

    Returns
    -------
    Started
        The running program. `wait` returns its record; as a context manager it is stopped at the end.

    Raises
    ------
    HmexpError
        If it was not started: what is in the way, and another way.
    """
    return prepare(command, way, pattern, options).spawn()


def _try(request: Request, asked: str, name: str, refused: tuple[RefusedWay, ...]) -> PreparedStart:
    held = ExitStack()
    try:
        plan = WAYS[name](request, held)
    except BaseException:
        held.close()
        raise
    return PreparedStart(request, asked, plan, refused, held)


def _refused_start(request: Request, plan: Plan, error: SpawnError) -> StartError:
    if error.stage is Stage.EXEC:
        what = f"{plan.path} cannot be executed: {error.message.removeprefix('exec: ')}"
        return StartError(what, None, 127 if error.errno == 2 else 126)
    return StartError(
        f"{request.command[0]} was not started by {plan.way}: {error.message}",
        error.remedy or "use another way: --via follow, --via default",
    )


def _as_it_is(value: str | None) -> SettingRecord:
    return SettingRecord(before=value, used=value)
