"""The folder of a campaign: what became of each entry, kept so that it survives being killed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

from hmexp.campaign.answer import answer_of
from hmexp.campaign.file import Campaign, Entry
from hmexp.closing import Closing
from hmexp.errors import StoreError
from hmexp.store.journal import file_errors, replace_file
from hmexp.store.lock import Hold, hold
from hmexp.store.reader import POINTS, RUN, read_run, read_statuses

SUMMARY: Final = "campaign.json"
SCHEMA: Final = 1
FINISHED, FAILED, DIED, INTERRUPTED = "finished", "failed", "kernel died", "interrupted"
TO_DO, RUNNING = "to do", "running"


@dataclass(frozen=True)
class EntryProgress:
    """What became of an entry.

    Parameters
    ----------
    name, notebook : str
        Of the entry, and the file name of its notebook.
    parameters : mapping
        As given.
    about : str
        What it is for.
    fingerprint : str
        Of what was run.
    time : int
        How often it was measured again with one fingerprint.
    status : str
        ``to do``, ``running``, ``finished``, ``failed``, ``kernel died`` or ``interrupted``.
    reason : str or None
        Why it is not finished.
    signal : str or None
        That killed the kernel, if it is known.
    started, ended : str or None
        UTC, ISO 8601.
    points : mapping or None
        ``planned``, ``ok``, ``failed`` and ``skipped``; None if the notebook measures none.
    """

    name: str
    notebook: str
    parameters: Mapping[str, Any]
    about: str = ""
    fingerprint: str = ""
    time: int = 1
    status: str = TO_DO
    reason: str | None = None
    signal: str | None = None
    started: str | None = None
    ended: str | None = None
    points: Mapping[str, int] | None = field(default=None)

    @property
    def run(self) -> str:
        """Name of its run directory, and of its executed notebook."""
        again = f"-{self.time}" if self.time > 1 else ""
        return f"{self.name}-{self.fingerprint[:6]}{again}"


@dataclass(frozen=True)
class Step:
    """What is to be done with an entry, and why."""

    entry: Entry
    progress: EntryProgress
    why: str
    wanted: bool


class CampaignFolder(Closing):
    """The folder, read; `held` to change it."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.path = campaign.folder
        self._held: Hold | None = None
        self.entries = self._read()

    def hold(self, say: Callable[[str], None]) -> Self:
        """Have the folder for this process alone; a context manager.

        Raises
        ------
        StoreError
            If it cannot be made, or another campaign is at work there.
        """
        with file_errors("make the campaign's folder", self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._held = hold(self.path, say)
        try:
            self.entries = self._read()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Let other processes have it."""
        if self._held is not None:
            self._held.close()

    def steps(self, again: frozenset[str] = frozenset()) -> list[Step]:
        """What is to be done with each entry; those named in `again` are measured again."""
        return [self._step(entry, again=entry.name in again) for entry in self.campaign.entries]

    def store(self, progress: EntryProgress) -> None:
        """Keep what became of an entry.

        Raises
        ------
        StoreError
            If it cannot be written, or the folder was removed or moved meanwhile.
        """
        assert self._held is not None, "the folder is read, not held"
        self._held.require()
        self.entries[progress.name] = progress
        text = json.dumps(self.summary(), indent=2, allow_nan=False)
        replace_file(self.path / SUMMARY, f"{text}\n".encode())

    def summary(self) -> dict[str, Any]:
        """All of it as plain data: the content of `campaign.json`."""
        shown = []
        for step in self.steps():
            known = self.entries.get(step.entry.name)
            progress = known or step.progress
            said = {"emulated": self.emulated(progress), "answer": answer_of(self.path / progress.run)}
            shown.append(asdict(progress) | self.files(progress) | said)
        title = self.campaign.title
        return {"schema": SCHEMA, "title": title, "file": self.campaign.file.name, "entries": shown}

    def files(self, progress: EntryProgress) -> dict[str, str | None]:
        """The files that there are of an entry, relative to the folder."""
        names = {
            "run": progress.run,
            "executed": f"{progress.run}.ipynb",
            "report": f"{progress.run}/report.html",
            "log": f"{progress.run}.log",
        }
        return {name: file if (self.path / file).exists() else None for name, file in names.items()}

    def emulated(self, progress: EntryProgress) -> str | None:
        """Name of the profile of an entry's emulated node; None if nothing is known to be emulated."""
        run = self.path / progress.run
        emulation = read_run(run).emulation if (run / RUN).exists() else None
        return None if emulation is None else emulation.profile.name

    def count(self, progress: EntryProgress) -> dict[str, int] | None:
        """Count the points of an entry's run directory, finished or not."""
        run = self.path / progress.run
        if not (run / RUN).exists():
            return None
        statuses = Counter(read_statuses(run / POINTS).values())
        planned = read_run(run).points or 0
        return {"planned": planned, **{name: statuses[name] for name in ("ok", "failed", "skipped")}}

    def _read(self) -> dict[str, EntryProgress]:
        file = self.path / SUMMARY
        if not file.exists():
            return {}
        names = {one.name for one in fields(EntryProgress)}
        try:
            with file_errors("read", file):
                data = json.loads(file.read_text(encoding="utf-8"))
            if data["schema"] != SCHEMA:
                raise StoreError(f"{file} has schema {data['schema']!r}; this hmexp reads {SCHEMA}")
            every = [EntryProgress(**{k: v for k, v in one.items() if k in names}) for one in data["entries"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{file} is damaged: {error}", "move it away; the runs are kept") from error
        return {one.name: one for one in every}

    def _step(self, entry: Entry, *, again: bool) -> Step:
        new = EntryProgress(
            entry.name, entry.notebook.name, dict(entry.parameters), entry.about, entry.fingerprint
        )
        old = self.entries.get(entry.name)
        if old is None or old.status == TO_DO:
            return Step(entry, new, "new", wanted=True)
        if old.fingerprint != entry.fingerprint:
            return Step(entry, new, f"{_difference(old, new)}: it runs again", wanted=True)
        kept = replace(old, about=entry.about)
        if again:
            return Step(entry, replace(new, time=old.time + 1), "asked for again: it runs again", wanted=True)
        if old.status != FINISHED:
            was = "killed" if old.status == RUNNING else old.status
            return Step(entry, kept, f"{was} before: it resumes with what is there", wanted=True)
        if self.files(old)["executed"] is None:
            return Step(entry, kept, "its executed notebook is gone: it runs again", wanted=True)
        if old.points is not None and self.count(old) is None:
            return Step(entry, kept, "its run is gone: it runs again", wanted=True)
        return Step(entry, kept, "finished", wanted=False)


def _difference(old: EntryProgress, new: EntryProgress) -> str:
    before, after = dict(old.parameters), dict(new.parameters)
    names = {*before, *after}
    changed = sorted(name for name in names if before.get(name) != after.get(name))
    if changed:
        return f"its parameters were changed ({', '.join(changed)})"
    return "its notebook was changed"
