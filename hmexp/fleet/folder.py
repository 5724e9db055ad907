"""The folder of a fleet: `fleet.json`, and a run directory for each host; held by one gatherer at a time."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from hmexp.closing import Closing
from hmexp.errors import StoreError
from hmexp.fleet.names import require_safe
from hmexp.store.fleet import FLEET, HOSTS, FleetRecord, HostRecord, HostState, read_fleet, write_fleet
from hmexp.store.journal import file_errors, sync_folder
from hmexp.store.lock import hold, require_held
from hmexp.store.run import now
from hmexp.store.schema import Remark

#: Where records go is not part of what is measured.
_NOT_IN_PLAN: Final = ("results", "run")


class FleetFolder(Closing):
    """The folder of one fleet. Made by `open_fleet`; a context manager."""

    def __init__(self, path: Path, lock_fd: int, record: FleetRecord) -> None:
        self.path, self.record = path, record
        self._lock_fd = lock_fd
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
            self._write(msgspec.structs.replace(self.record, finished=now() if done else None))
            return done

    def _write(self, record: FleetRecord) -> None:
        require_held(self.path, self._lock_fd)
        hosts = tuple(self._hosts[name] for name in sorted(self._hosts))
        self.record = msgspec.structs.replace(record, hosts=hosts)
        write_fleet(self.path, self.record)

    def close(self) -> None:
        """Let other gatherers have the folder."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def open_fleet(
    results: Path,
    name: str,
    measurement: str,
    parameters: Mapping[str, Remark],
    say: Callable[[str], None],
    *,
    shared: bool,
) -> FleetFolder:
    """Open the folder for a fleet: the unfinished one of an earlier try, or a new one.

    Parameters
    ----------
    results : Path
        Where folders of fleets are; made if missing.
    name : str
        Name of the folder, or ``auto``.
    measurement : str
        What every host measures.
    parameters : mapping
        Its parameters.
    say : callable
        Receives what a person should know.
    shared : bool
        Whether the hosts are processes of one machine.

    Raises
    ------
    StoreError
        If the folder cannot be written, is another fleet's, or another gatherer is at work in it.
    """
    plan = _hash(measurement, parameters, shared=shared)
    with file_errors("make the results folder", results):
        results.mkdir(parents=True, exist_ok=True)
    if name == "auto":
        name = _find_unfinished(results, plan) or f"fleet-{datetime.now():%Y%m%d-%H%M%S}-{plan[:6]}"  # noqa: DTZ005 - a name for a person
    path = results / require_safe(name)
    with file_errors("make the folder of a fleet in", results):
        (path / HOSTS).mkdir(parents=True, exist_ok=True)
        sync_folder(results)
    lock_fd = hold(path, say)
    try:
        return FleetFolder(path, lock_fd, _read_or_begin(path, plan, measurement, parameters, say, shared))
    except BaseException:
        os.close(lock_fd)
        raise


def _read_or_begin(
    path: Path,
    plan: str,
    measurement: str,
    parameters: Mapping[str, Remark],
    say: Callable[[str], None],
    shared: bool,
) -> FleetRecord:
    if not (path / FLEET).exists():
        record = FleetRecord(
            name=path.name,
            plan=plan,
            measurement=measurement,
            parameters=dict(parameters),
            shared=shared,
            started=now(),
        )
        write_fleet(path, record)
        return record
    record = read_fleet(path)
    if record.plan != plan:
        raise StoreError(
            f"the fleet {path.name!r} in {path.parent} was made with other parameters",
            "use the parameters it was made with, or another name",
        )
    done = sum(host.state == "measured" for host in record.hosts)
    say(f"Resuming {path.name}: {done} of {len(record.hosts)} hosts are measured.")
    return record


def _find_unfinished(results: Path, plan: str) -> str | None:
    found = []
    for file in results.glob(f"*/{FLEET}"):
        try:
            record = read_fleet(file.parent)
        except StoreError:
            continue
        if record.plan == plan and record.finished is None:
            found.append((record.started, file.parent.name))
    return max(found)[1] if found else None


def _hash(measurement: str, parameters: Mapping[str, Remark], *, shared: bool) -> str:
    asked = {name: value for name, value in parameters.items() if name not in _NOT_IN_PLAN}
    text = msgspec.json.encode([measurement, asked, shared], order="sorted")
    return hashlib.sha256(text).hexdigest()[:16]
