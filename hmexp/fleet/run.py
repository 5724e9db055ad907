"""A fleet: every host measured at once, each by a thread that waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hmexp.errors import SweepError
from hmexp.experiment.progress import Progress, ProgressDisplay
from hmexp.fleet.folder import FleetFolder
from hmexp.fleet.gather import Gatherer
from hmexp.fleet.link import LOOK_SECONDS, FleetLink, StoppedError
from hmexp.fleet.messages import VERSION, FleetError
from hmexp.store.fleet import HostRecord

#: States in which a host needs no more of this try.
_ENDED: Final = ("measured", "incomplete", "refused", "lost")


@dataclass(frozen=True)
class FleetOutcome:
    """What became of a fleet.

    Parameters
    ----------
    hosts : tuple of HostRecord
        Every host that was met.
    finished : bool
        Whether all of them are measured.
    """

    hosts: tuple[HostRecord, ...]
    finished: bool

    def require_complete(self) -> None:
        """Raise SweepError, which names the hosts, unless every one is measured."""
        if self.finished:
            return
        left = [host for host in self.hosts if host.state != "measured"]
        named = "; ".join(f"{host.name} ({host.state}): {host.reason or 'not finished'}" for host in left[:5])
        more = f"; and {len(left) - 5} more" if len(left) > 5 else ""
        raise SweepError(
            f"{len(left)} of {len(self.hosts)} hosts are not measured: {named}{more}"
            if left
            else "no host was measured",
            "what was measured is kept; the same command measures the rest",
        )


@dataclass
class FleetDisplay:
    """The progress of all hosts as one."""

    display: ProgressDisplay
    _parts: dict[str, Progress] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, host: str) -> ProgressDisplay:
        """What shows the progress of one host."""
        return _Part(self, host)

    def show(self, host: str, progress: Progress) -> None:
        """Show how far all are, when one has changed."""
        with self._lock:
            self._parts[host] = progress
            parts = self._parts.values()
            self.display.show(
                Progress(
                    sum(part.done for part in parts),
                    sum(part.total for part in parts),
                    sum(part.failed for part in parts),
                    max((part.seconds_left for part in parts if part.seconds_left is not None), default=None),
                    f"{host}: {progress.current}" if progress.current else "",
                )
            )


@dataclass(frozen=True)
class _Part:
    whole: FleetDisplay
    host: str

    def show(self, progress: Progress) -> None:
        """See `ProgressDisplay`."""
        self.whole.show(self.host, progress)


def run_fleet(
    folder: FleetFolder, link: FleetLink, display: ProgressDisplay, say: Callable[[str], None], expected: int
) -> FleetOutcome:
    """Measure every host that is there, or comes while others are measured.

    Parameters
    ----------
    folder : FleetFolder
        Where the records go.
    link : FleetLink
        The way to the hosts.
    display : ProgressDisplay
        Shows how far all are.
    say : callable
        Receives what a person should know.
    expected : int
        How many hosts there will be, at least; they are waited for as long as the patience of `link`.

    Raises
    ------
    FleetError
        If the scheduler cannot be reached, or no host came.
    StoreError
        If the folder cannot be written.
    """
    work = _Hosts(Gatherer(folder, link, say), FleetDisplay(display))
    # Hosts of an earlier try are expected again.
    awaited = {name for name, host in folder.known.items() if host.state not in ("measured", "refused")}
    last_new = time.monotonic()
    try:
        link.connect()
        while True:
            link.look()
            if work.begin(link, folder, say):
                last_new = time.monotonic()
            work.raise_error()
            enough = len(work.met) >= expected and awaited <= work.met
            patient = time.monotonic() - last_new < link.patience_seconds
            if not work.alive and (enough or not patient):
                break
            time.sleep(LOOK_SECONDS)
    finally:
        link.stop()
        for thread in work.threads.values():
            thread.join()
    work.raise_error()
    for name in awaited - work.met:
        folder.note(HostRecord(name=name, state="lost", reason="it did not come back"))
    if not folder.known:
        raise FleetError(
            f"no host came within {link.patience_seconds:g} s",
            "start workers: dask worker ADDRESS --nthreads 1 --resources hmexp=1",
        )
    finished = folder.finish()
    return FleetOutcome(folder.record.hosts, finished)


@dataclass
class _Hosts:
    """The threads that measure, one for each host."""

    gatherer: Gatherer
    display: FleetDisplay
    threads: dict[str, threading.Thread] = field(default_factory=dict)
    _errors: list[BaseException] = field(default_factory=list)

    @property
    def met(self) -> set[str]:
        """Every host that has come; one that is refused has, and is not waited for."""
        return {*self.threads, *self.gatherer.link.roster.refused}

    @property
    def alive(self) -> bool:
        """Whether a host is still being measured."""
        return any(thread.is_alive() for thread in self.threads.values())

    def begin(self, link: FleetLink, folder: FleetFolder, say: Callable[[str], None]) -> bool:
        """Begin with hosts that have come, and name those that are refused; return whether any was new."""
        new = [name for name in link.roster.addresses if name not in self.threads]
        for name in new:
            # Not a daemon: a record is stored whole.
            self.threads[name] = threading.Thread(target=self._measure, args=(name,), name=name)
            self.threads[name].start()
        refused: Mapping[str, str] = dict(link.roster.refused)
        for name, reason in refused.items():
            known = folder.known.get(name)
            if name in self.threads or (known is not None and known.reason == reason):
                continue
            greeting = link.roster.greetings.get(name)
            folder.note(
                HostRecord(
                    name=name,
                    state="refused",
                    reason=reason,
                    hmexp=None if greeting is None else greeting.version,
                )
            )
            say(f"Host {name} is refused: {reason}. This gatherer has hmexp {VERSION}.")
        return bool(new)

    def _measure(self, name: str) -> None:
        try:
            self.gatherer.measure(name, self.display.of(name))
        except StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            self._errors.append(error)

    def raise_error(self) -> None:
        """Raise what ended a thread, such as a full disk."""
        if self._errors:
            raise self._errors[0]
