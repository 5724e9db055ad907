"""Weights of weighted interleave that stay after the command that set them, and how they are undone.

What is known of them is in one file in the directory of journals, whose name says how far they are:

- ``weights.pending``: they are being set, or verified. Its holder keeps it locked (flock); if it can be
  locked, the holder was killed, and the next command of hmexp puts the former weights back.
- ``weights.applied``: they stay. No command puts anything back, until one undoes them.
- ``weights.undoing``: they are being undone; if the holder was killed, the next command completes that.

A file goes from one name to the next by `rename`, so each change of state happens at one moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hmexp.errors import SettingsError
from hmexp.system.journal import Journal, boot_id
from hmexp.system.lasting_record import (
    UNFINISHED,
    LastingChange,
    LastingWeights,
    is_orphan,
    lock_record,
    path_of,
    read_weights,
    rename_record,
    write_pending,
)  # fmt: skip
from hmexp.system.restoration import ending_in_order, put_back, refused, repair_journals, set_value
from hmexp.system.setting_files import HERE, Machine
from hmexp.system.sysfs import read_text

_WAIT_SECONDS: Final = 120.0
_SHORT_SECONDS: Final = 10.0
_NEEDS: Final = "boot Linux 6.9 or later, which has MPOL_WEIGHTED_INTERLEAVE; see `hmexp nodes` for the nodes"


@contextmanager
def lasting_weights(
    weights: Mapping[int, int], machine: Machine = HERE, wait_seconds: float = _WAIT_SECONDS
) -> Iterator[None]:
    """Set weights that stay if the block ends well; if it does not, the former ones are put back.

    Being killed in the block is not ending well: the next command of hmexp puts the former weights back.

    Parameters
    ----------
    weights : mapping of int to int
        From 1 to 255 for each node; the weights of other nodes stay as they are.
    machine : Machine
        The machine.
    wait_seconds : float
        How long to wait for somebody who populates a region with weights of its own [s].

    Raises
    ------
    SettingsError
        If they cannot be set or not be put back later, or another process is setting them.
    """
    with ending_in_order():
        fd, made = -1, LastingWeights("", 0, ())
        try:
            with (
                machine.journals.locked("weights", wait_seconds),
                machine.journals.locked("settings", _SHORT_SECONDS),
            ):
                _require_nobody(machine)
                made = _make(weights, machine)
                fd = write_pending(made, machine)
                for change in made.to_former().changes:
                    set_value(change)
            yield
            with machine.journals.locked("settings", _SHORT_SECONDS):
                rename_record(machine, "pending", "applied")
        except BaseException:
            if fd >= 0 and path_of(machine, "pending").exists():
                _give_up(machine, made)
            raise
        finally:
            if fd >= 0:
                os.close(fd)


def undo_weights(machine: Machine = HERE, wait_seconds: float = _WAIT_SECONDS) -> list[str]:
    """Bring back the weights, and the automatic mode, that were there before hmexp set any for good.

    What somebody else has set since is left alone. To undo twice changes nothing.

    Returns
    -------
    list of str
        A sentence for each file: what it is now. Empty if there was nothing to undo.

    Raises
    ------
    SettingsError
        If a value cannot be put back; it is tried again by the next command.
    """
    with (
        ending_in_order(),
        machine.journals.locked("weights", wait_seconds),
        machine.journals.locked("settings", _SHORT_SECONDS),
    ):
        said = _require_nobody(machine)
        found = read_weights(machine)
        if found is None:
            path_of(machine, "applied").unlink(missing_ok=True)
            return said
        fd = lock_record(path_of(machine, "applied"))
        try:
            rename_record(machine, "applied", "undoing")
            return said + _complete_undo(found, machine)
        finally:
            os.close(fd)


def has_unfinished(machine: Machine) -> bool:
    """Whether a command that set or undid weights was killed."""
    return any(is_orphan(path_of(machine, state)) for state in UNFINISHED)


def finish_weights(machine: Machine) -> list[str]:
    """Put the former weights back, or complete an undo; the caller holds both locks.

    Returns
    -------
    list of str
        A sentence for each value that changed, or could not be changed.
    """
    messages: list[str] = []
    for state in UNFINISHED:
        path = path_of(machine, state)
        if not is_orphan(path):
            continue
        found = read_weights(machine, state)
        if found is None:
            path.unlink(missing_ok=True)
            continue
        try:
            if state == "undoing":
                messages += _complete_undo(found, machine)
            else:
                why = f"process {found.pid} was killed before it had verified the weights that it set"
                messages += [f"{each}; {why}" for each in _go_back(found.to_former(), machine)]
                path.unlink(missing_ok=True)
        except SettingsError as error:
            messages.append(error.message)
    return messages


def _make(weights: Mapping[int, int], machine: Machine) -> LastingWeights:
    """What is to be changed; what hmexp had set for good already keeps its first value."""
    nodes, modes = machine.weight_files()
    missing = sorted(set(weights) - set(nodes))
    if missing:
        where = machine.weights_directory
        raise SettingsError(f"{where} has no weight of node {', '.join(map(str, missing))}", _NEEDS)
    one_way = machine.one_way_mode()
    if one_way is not None:
        raise SettingsError(*one_way)
    # A weight that is written ends the automatic mode.
    wanted = {nodes[node]: str(weight) for node, weight in weights.items()} | dict.fromkeys(modes, "false")
    earlier = _ours(read_weights(machine))
    changes = []
    for path in [*nodes.values(), *modes]:
        known = earlier.get(str(path))
        if path not in wanted and known is None:
            continue
        now = read_text(path)
        if now is None or not os.access(path, os.W_OK):
            raise refused(path, "it cannot be read" if now is None else "this user may not write it")
        before = known.before if known is not None and now == known.used else now
        changes.append(LastingChange(str(path), before, now, wanted.get(path, now)))
    return LastingWeights(boot_id(machine.proc_root), os.getpid(), tuple(changes))


def _ours(found: LastingWeights | None) -> dict[str, LastingChange]:
    """The changes that still stand; none if somebody has switched the automatic mode since."""
    if found is None or any(
        each.used == "false" and read_text(Path(each.path)) != each.used for each in found.changes
    ):
        return {}
    return {each.path: each for each in found.changes}


def _give_up(machine: Machine, made: LastingWeights) -> None:
    with (
        machine.journals.locked("weights", _WAIT_SECONDS),
        machine.journals.locked("settings", _SHORT_SECONDS),
    ):
        repair_journals(machine)
        _go_back(made.to_former(), machine)
        path_of(machine, "pending").unlink(missing_ok=True)


def _complete_undo(found: LastingWeights, machine: Machine) -> list[str]:
    journal = found.to_first()
    if not _ours(found):
        # The mode is put back last: either all was put back before, or somebody else has switched it.
        done = all(read_text(Path(change.path)) == change.before for change in journal.changes)
        what = f"{machine.weights_directory}: the automatic mode was switched since, by somebody else"
        said = [] if done else [f"{what}; it is left so"]
    else:
        said = _go_back(journal, machine)
    path_of(machine, "undoing").unlink(missing_ok=True)
    return said


def _go_back(journal: Journal, machine: Machine) -> list[str]:
    """Put values back; a sentence for each that changed, or that somebody else has set since."""
    now = {change.path: read_text(Path(change.path)) for change in journal.changes}
    problems = put_back(journal, {}, machine)
    if problems:
        raise SettingsError("; ".join(problems), "put it back by hand, as root")
    said = []
    for change in journal.changes:
        after = read_text(Path(change.path))
        if after != now[change.path]:
            said.append(f"{change.path} is {after} again")
        elif after not in (change.before, change.used):
            said.append(f"{change.path} is {after}, which hmexp has not set: it is left so")
    return said


def _require_nobody(machine: Machine) -> list[str]:
    """Finish what others left, and refuse if one is at it now."""
    said = [*repair_journals(machine), *finish_weights(machine)]
    for state in UNFINISHED:
        if path_of(machine, state).exists():
            raise SettingsError(
                f"{path_of(machine, state)} is there: another process is setting or undoing the weights",
                "wait until it has ended; `hmexp weights --undo` brings back what was there before",
            )
    return said
