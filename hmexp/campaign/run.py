"""Running a campaign: one papermill run for each entry, one after another, gathered in one folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from hmexp.campaign.file import Campaign, read_campaign
from hmexp.campaign.folder import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    CampaignFolder,
    EntryProgress,
    Step,
)
from hmexp.campaign.page import write_page
from hmexp.campaign.request import DRIVER, NotebookOutcome, NotebookRequest
from hmexp.decoding import decode
from hmexp.errors import ParameterError
from hmexp.process import Child, ChildError
from hmexp.progress import TERMINAL
from hmexp.store.run import now
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology

#: How long a notebook that was interrupted may take to end [s].
_ENDING_SECONDS: Final = 20.0


@dataclass(frozen=True)
class CampaignOutcome:
    """What became of a campaign.

    Parameters
    ----------
    folder : Path
        Where everything is; `index.html` shows it.
    entries : tuple of EntryProgress
        In the order of the file.
    """

    folder: Path
    entries: tuple[EntryProgress, ...]

    @property
    def complete(self) -> bool:
        """Whether every entry is finished."""
        return all(entry.status == FINISHED for entry in self.entries)


def list_campaign(file: str | Path, again: Iterable[str] = ()) -> tuple[CampaignFolder, list[Step]]:
    """Check a campaign and say what would be done; nothing is run and nothing is written.

    Raises
    ------
    ParameterError
        If the file, a notebook or a parameter cannot be used, see `read_campaign`.
    """
    campaign = read_campaign(Path(file), read_topology(libnuma=LibNuma.load()))
    folder = CampaignFolder(campaign)
    return folder, folder.steps(_known(campaign, again))


def run_campaign(
    file: str | Path, again: Iterable[str] = (), say: Callable[[str], None] = print
) -> CampaignOutcome:
    """Run every entry of a campaign that is not finished.

    An entry that fails, or whose kernel dies, does not keep the next one from being run. Killed at any
    moment, the same call resumes. An entry is run again if its parameters or the code of its notebook
    were changed, or if it is in `again`.

    Parameters
    ----------
    file : str or Path
        The campaign, see `read_campaign`.
    again : iterable of str
        Entries to run again although they are finished.
    say : callable
        Receives a message for each event.

    Raises
    ------
    ParameterError
        If anything in the file cannot be used; nothing was run then.
    StoreError
        If the folder cannot be written, or was removed meanwhile.
    KeyboardInterrupt
        On Ctrl-C, after the notebook that ran was ended and kept.
    """
    campaign = read_campaign(Path(file), read_topology(libnuma=LibNuma.load()))
    names = _known(campaign, again)
    with CampaignFolder(campaign).hold(say) as folder:
        steps = folder.steps(names)
        for number, step in enumerate(steps, start=1):
            head = f"{number} of {len(steps)}, {step.entry.name}"
            if not step.wanted:
                say(f"{head}: {step.why}, not run again")
                continue
            say(f"{head}: {step.why}")
            try:
                done = _run(folder, step)
            except KeyboardInterrupt:
                left = [one.entry.name for one in steps[number - 1 :] if one.wanted]
                say(f"Interrupted; still to run: {', '.join(left)}.")
                raise
            say(f"{head}: {describe(done)}")
        write_page(folder.path, folder.summary())
        return CampaignOutcome(folder.path, tuple(folder.entries[e.name] for e in campaign.entries))


def describe(progress: EntryProgress) -> str:
    """What became of an entry, in a line."""
    text = progress.status
    if progress.points is not None:
        text += f", {progress.points['ok']} of {progress.points['planned']} points"
        text += f", {progress.points['failed']} failed" if progress.points["failed"] else ""
    return f"{text}: {progress.reason}" if progress.reason else text


def _known(campaign: Campaign, again: Iterable[str]) -> frozenset[str]:
    names = [entry.name for entry in campaign.entries]
    for name in (asked := frozenset(again)):
        if name not in names:
            raise ParameterError(f"{campaign.file} has no entry {name!r}", f"it has: {', '.join(names)}")
    return asked


def _run(folder: CampaignFolder, step: Step) -> EntryProgress:
    begun = replace(
        step.progress, status=RUNNING, reason=None, signal=None, started=now(), ended=None, points=None
    )
    folder.store(begun)
    write_page(folder.path, folder.summary())
    try:
        outcome = _drive(folder, step, begun)
    except KeyboardInterrupt:
        _keep(folder, replace(begun, status=INTERRUPTED, reason="Ctrl-C"))
        raise
    done = replace(begun, status=outcome.status, reason=outcome.reason, signal=outcome.signal)
    return _keep(folder, done)


def _keep(folder: CampaignFolder, progress: EntryProgress) -> EntryProgress:
    points = folder.count(progress)
    done = replace(progress, ended=now(), points=points)
    if done.status == FINISHED and points is not None:
        # A notebook may end well with points that failed; and papermill's word alone is not enough.
        missing = points["planned"] - points["ok"] - points["failed"] - points["skipped"]
        if points["planned"] and not points["ok"] and not points["failed"] and missing <= 0:
            done = replace(done, status=FAILED, reason=f"no point was measured: {points['skipped']} skipped")
        elif points["failed"] or missing > 0:
            wording = f"{points['failed']} points failed, {max(missing, 0)} were not measured"
            done = replace(done, status=FAILED, reason=wording)
    folder.store(done)
    write_page(folder.path, folder.summary())
    return done


def _drive(folder: CampaignFolder, step: Step, progress: EntryProgress) -> NotebookOutcome:
    """Have the notebook run, and return how it ended."""
    entry = step.entry
    places = {"results": str(folder.path), "run": progress.run}
    if "run" not in entry.places:
        places["results"] = str(folder.path / progress.run)
    request = NotebookRequest(
        notebook=str(entry.notebook),
        output=str(folder.path / f"{progress.run}.ipynb"),
        parameters=dict(entry.parameters) | {name: places[name] for name in sorted(entry.places)},
        cwd=str(folder.campaign.file.parent),
    )
    log = folder.path / f"{progress.run}.log"
    terminal = {TERMINAL: os.ttyname(sys.stderr.fileno())} if sys.stderr.isatty() else {}
    with log.open("w", encoding="utf-8") as errors:
        child = Child(
            DRIVER,
            errors=errors,
            # Interrupted, the notebook is kept as far as it came, and its kernel ended.
            patience_seconds=_ENDING_SECONDS,
            environment=terminal,
            # The notebook is another's program, perhaps in another Python: it gets the environment as it is.
            own_path=False,
        )
        try:
            answer = child.ask(msgspec.json.encode(request))
        except ChildError as error:
            reason = f"papermill {error.reason}; see {log.name}"
            return NotebookOutcome(status="failed", reason=reason, signal=error.signal_name)
    try:
        return decode(answer, NotebookOutcome)
    except ValueError as error:
        reason = f"papermill's process gave no outcome: {error}; see {log.name}"
        return NotebookOutcome(status="failed", reason=reason)
