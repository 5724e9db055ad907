"""Settings of the whole machine that spoil a placement: captured, set, and put back on every way out.

Automatic NUMA balancing moves pages; the weights of weighted interleave are global. Whoever changes them
writes a journal first (`journal`): put back by the holder when it ends in an orderly way, exceptions,
Ctrl-C and SIGTERM included, and by the next command of hmexp if it was killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from hmexp.errors import SettingsError
from hmexp.system.journal import Change, Journal, held_by
from hmexp.system.lasting import finish_weights, has_unfinished
from hmexp.system.restoration import ending_in_order, put_back, refused, repair_journals, set_value
from hmexp.system.setting_files import HERE, Machine, Setting
from hmexp.system.sysfs import read_text

__all__ = [
    "DEMOTION", "HERE", "NUMA_BALANCING", "WEIGHTS", "Machine", "Setting", "ending_in_order",
    "interleave_weights", "memory_tiering", "repair", "without_numa_balancing",
]  # fmt: skip

NUMA_BALANCING: Final = "kernel.numa_balancing"
WEIGHTS: Final = "weighted_interleave"
DEMOTION: Final = "numa.demotion_enabled"
#: Two sweeps side by side take turns at weights; one holds them while it populates a region.
WAIT_SECONDS: Final = 120.0
_SHORT_SECONDS: Final = 10.0


@contextmanager
def without_numa_balancing(machine: Machine = HERE) -> Iterator[dict[str, Setting]]:
    """Switch automatic NUMA balancing off for a while, if it is on and that is allowed.

    Several may do so at once: the last to leave puts it back. Where it cannot be changed, what is done
    continues, and the setting's note says why.
    """
    before = read_text(machine.numa_balancing)
    if before is None:
        yield {NUMA_BALANCING: Setting(None, None, "the kernel has no automatic NUMA balancing")}
        return
    with ExitStack() as stack:
        try:
            held = stack.enter_context(_held({machine.numa_balancing: "0"}, machine))
            setting = Setting(held[machine.numa_balancing], "0")
        except SettingsError as error:
            setting = Setting(before, before, None if before == "0" else str(error))
        yield {NUMA_BALANCING: setting}


@contextmanager
def interleave_weights(
    weights: Mapping[int, int],
    machine: Machine = HERE,
    wait_seconds: float = WAIT_SECONDS,
    *,
    shared: bool = False,
) -> Iterator[dict[str, Setting]]:
    """Set weights of weighted interleave until they are put back.

    Parameters
    ----------
    weights : mapping of int to int
        By node.
    machine : Machine
        The machine.
    wait_seconds : float
        How long to wait for another who holds weights [s].
    shared : bool
        Whether others may hold the same weights meanwhile; without it, this process holds them alone.

    Raises
    ------
    SettingsError
        If they cannot be set, could not be put back, or another holds them for too long, or, where they
        are shared, holds other ones.
    """
    nodes, modes = machine.weight_files()
    missing = sorted(set(weights) - set(nodes))
    if missing:
        raise SettingsError(
            f"{machine.weights_directory} has no weight of node {', '.join(map(str, missing))}",
            "boot Linux 6.9 or later; see `hmexp nodes` for the nodes there are",
        )
    wanted: dict[Path, str | None] = {nodes[node]: str(weight) for node, weight in weights.items()}
    # Writing a weight ends the automatic mode, and its values come back with it.
    wanted |= dict.fromkeys(modes)
    with machine.journals.locked("weights", wait_seconds, shared=shared):
        one_way = machine.one_way_mode()
        if one_way is not None:
            raise SettingsError(*one_way)
        with _held(wanted, machine) as before:
            yield {f"{WEIGHTS}.{path.name}": Setting(old, read_text(path)) for path, old in before.items()}


@contextmanager
def memory_tiering(machine: Machine = HERE) -> Iterator[dict[str, Setting]]:
    """Let the kernel move pages between fast and slow nodes by itself, until it is put back.

    NUMA balancing in its mode 2 moves hot pages up, and reclaim moves cold ones down.

    Raises
    ------
    SettingsError
        If the kernel cannot do so, the settings cannot be set, or another holds other ones.
    """
    wanted: dict[Path, str | None] = {machine.numa_balancing: "2", machine.demotion: "true"}
    missing = [str(path) for path in wanted if read_text(path) is None]
    if missing:
        raise SettingsError(
            f"the kernel has no {' and no '.join(missing)}",
            "boot Linux 5.18 or later with CONFIG_NUMA_BALANCING=y and CONFIG_MIGRATION=y",
        )
    with _held(wanted, machine) as before:
        yield {
            name: Setting(before[path], read_text(path))
            for name, path in ((NUMA_BALANCING, machine.numa_balancing), (DEMOTION, machine.demotion))
        }


def repair(machine: Machine = HERE) -> list[str]:
    """Put back what processes that were killed had changed.

    Returns
    -------
    list of str
        A sentence for each setting that was put back, or could not be. Never an error.
    """
    messages: list[str] = []
    try:
        if machine.journals.any():
            with machine.journals.locked("settings", _SHORT_SECONDS):
                messages += repair_journals(machine)
        if has_unfinished(machine):
            # Who populates a region has weights of its own meanwhile, and puts back the ones before.
            with (
                machine.journals.locked("weights", _SHORT_SECONDS),
                machine.journals.locked("settings", _SHORT_SECONDS),
            ):
                messages += [*repair_journals(machine), *finish_weights(machine)]
    except (SettingsError, OSError):
        # Somebody who may not look at the journals could not write the settings either.
        return messages
    return messages


@contextmanager
def _held(wanted: Mapping[Path, str | None], machine: Machine) -> Iterator[dict[Path, str]]:
    """Set files, and put them back; yields what they held before anybody of hmexp changed them.

    None for a value: it is captured and put back, but not set.
    """
    journals = machine.journals
    with ending_in_order():
        fd, path = -1, Path()
        try:
            with journals.locked("settings", _SHORT_SECONDS):
                repair_journals(machine)
                fd, path, changes = _begin(wanted, machine)
                for change in changes:
                    set_value(change)
            yield {Path(change.path): change.before for change in changes}
        finally:
            if fd >= 0:
                with journals.locked("settings", _SHORT_SECONDS):
                    _end(fd, path, machine)


def _begin(wanted: Mapping[Path, str | None], machine: Machine) -> tuple[int, Path, tuple[Change, ...]]:
    alive = machine.journals.read()[0]
    held = held_by(alive)
    changes = []
    for path, used in wanted.items():
        now = read_text(path)
        if now is None:
            raise SettingsError(f"{path} cannot be read", "run as root")
        _require_agreement(path, used, alive)
        before = held[str(path)].before if str(path) in held else now
        changes.append(Change(str(path), before, used))
        if used is not None and now != used and not os.access(path, os.W_OK):
            raise refused(path, "/sys is mounted read-only here")
    try:
        fd, journal = machine.journals.write(Journal.of_this_process(tuple(changes), machine.proc_root))
    except OSError as error:
        raise SettingsError(f"no journal can be written in {machine.directory}: {error.strerror}") from error
    return fd, journal, tuple(changes)


def _require_agreement(path: Path, used: str | None, alive: Sequence[Journal]) -> None:
    """Refuse to set what another process holds at another value: it would spoil what that one does."""
    for journal in alive:
        for change in journal.changes:
            if change.path == str(path) and None not in (used, change.used) and used != change.used:
                raise SettingsError(
                    f"process {journal.pid} of hmexp holds {path} at {change.used}, and {used} is wanted",
                    f"wait until process {journal.pid} has ended",
                )


def _end(fd: int, path: Path, machine: Machine) -> None:
    try:
        alive, _ = machine.journals.read()
        mine = Journal.parse(path.read_text(encoding="utf-8"))
        if mine is not None:
            # What another still uses is for the other to put back.
            others = list(alive)
            others.remove(mine)
            problems = put_back(mine, held_by(others), machine)
            if problems:
                raise SettingsError("; ".join(problems), "put it back by hand, as root")
        path.unlink()
    finally:
        os.close(fd)
