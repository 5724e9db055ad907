"""The folder of a fleet: `fleet.json`, and a run directory for each host; held by one gatherer at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from hmexp.closing import Closing
from hmexp.errors import StoreError
from hmexp.fleet.names import require_safe
from hmexp.store.fleet import FLEET, HOSTS, FleetRecord, HostRecord, HostState, read_fleet, write_fleet
from hmexp.store.journal import file_errors, sync_folder
from hmexp.store.lock import Hold, hold
from hmexp.store.run import now
from hmexp.store.schema import Remark

#: Where records go is not part of what is measured.
_NOT_IN_PLAN: Final = ("results", "run")


@dataclass(frozen=True)
class FleetPlan:
    """What every host of a fleet measures.

    Parameters
    ----------
    measurement : str
        Its name, such as ``sweep``.
    parameters : mapping
        Its parameters.
    shared : bool
        Whether the hosts are processes of one machine.
    files : mapping of str to str
        What is in the files that parameters name, by the name they have there.
    """

    measurement: str
    parameters: Mapping[str, Remark]
    shared: bool
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """What the same question has in common."""
        asked = {name: value for name, value in self.parameters.items() if name not in _NOT_IN_PLAN}
        said = [self.measurement, asked, self.shared, *([self.files] if self.files else [])]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:16]


class FleetFolder(Closing):
    """The folder of one fleet. Made by `open_fleet`; a context manager."""

    def __init__(self, held: Hold, record: FleetRecord) -> None:
        self.path, self.record = held.path, record
        self._held = held
        self._hosts = {host.name: host for host in record.hosts}
        # Each host is measured by a thread of its own.
        self._one = threading.Lock()

    @property
    def hosts(self) -> Path:
        """Folder of the hosts' run directories."""
        return self.path / HOSTS

    @property
    def known(self) -> Mapping[str, HostRecord]:
        """Every host that was met, by its name."""
        return dict(self._hosts)

    def note(self, host: HostRecord) -> None:
        """Store what became of a host.

        Raises
        ------
        StoreError
            If it cannot be written, or the folder was removed or moved meanwhile.
        """
        with self._one:
            if self._hosts.get(host.name) == host:
                return
            self._hosts[host.name] = host
            self._write(self.record)

    def finish(self) -> bool:
        """Store that the fleet is finished, if every host is measured; return whether it is."""
        with self._one:
            states: set[HostState] = {host.state for host in self._hosts.values()}
            done = states == {"measured"}
            finished, reported = (now(), False) if done else (None, None)
            self._write(msgspec.structs.replace(self.record, finished=finished, reported=reported))
            return done

    def note_report(self) -> None:
        """Store that the report is written: the same command begins a new fleet from now on."""
        with self._one:
            self._write(msgspec.structs.replace(self.record, reported=True))

    def _write(self, record: FleetRecord) -> None:
        self._held.require()
        hosts = tuple(self._hosts[name] for name in sorted(self._hosts))
        self.record = msgspec.structs.replace(record, hosts=hosts)
        write_fleet(self.path, self.record)

    def close(self) -> None:
        """Let other gatherers have the folder."""
        self._held.close()


def open_fleet(results: Path, name: str, plan: FleetPlan, say: Callable[[str], None]) -> FleetFolder:
    """Open the folder for a fleet: the unfinished one of an earlier try, or a new one.

    Parameters
    ----------
    results : Path
        Where folders of fleets are; made if missing.
    name : str
        Name of the folder, or ``auto``.
    plan : FleetPlan
        What every host measures.
    say : callable
        Receives what a person should know.

    Raises
    ------
    StoreError
        If the folder cannot be written, is another fleet's, or another gatherer is at work in it.
    """
    with file_errors("make the results folder", results):
        results.mkdir(parents=True, exist_ok=True)
    if name == "auto":
        name = _find_unfinished(results, plan) or f"fleet-{datetime.now():%Y%m%d-%H%M%S}-{plan.hash[:6]}"  # noqa: DTZ005 - a name for a person
    path = results / require_safe(name)
    with file_errors("make the folder of a fleet in", results):
        (path / HOSTS).mkdir(parents=True, exist_ok=True)
        sync_folder(results)
    held = hold(path, say)
    try:
        return FleetFolder(held, _read_or_begin(path, plan, say))
    except BaseException:
        held.close()
        raise


def _read_or_begin(path: Path, plan: FleetPlan, say: Callable[[str], None]) -> FleetRecord:
    if not (path / FLEET).exists():
        record = FleetRecord(
            name=path.name,
            plan=plan.hash,
            measurement=plan.measurement,
            parameters=dict(plan.parameters),
            files=dict(plan.files),
            shared=plan.shared,
            started=now(),
        )
        write_fleet(path, record)
        return record
    record = read_fleet(path)
    if record.plan != plan.hash:
        raise StoreError(
            f"the fleet {path.name!r} in {path.parent} was made with other parameters",
            "use the parameters it was made with, or another name",
        )
    done = sum(host.state == "measured" for host in record.hosts)
    say(f"Resuming {path.name}: {done} of {len(record.hosts)} hosts are measured.")
    return record


def _find_unfinished(results: Path, plan: FleetPlan) -> str | None:
    found = []
    for file in results.glob(f"*/{FLEET}"):
        try:
            record = read_fleet(file.parent)
        except StoreError:
            continue
        done = record.finished is not None and record.reported is not False
        if record.plan == plan.hash and not done:
            found.append((record.started, file.parent.name))
    return max(found)[1] if found else None
