"""Which hosts there are, and at which worker of Dask each is to be reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hmexp.fleet.messages import VERSION, Greeting
from hmexp.fleet.names import folder_name
from hmexp.store.schema import SCHEMA

#: The resource of Dask that a worker offers once: whoever has it has the machine.
SLOT: Final = "hmexp"
#: A clock that differs by more is worth a word [s].
_CLOCK_SECONDS: Final = 5.0


@dataclass
class Roster:
    """The hosts that were met, and where they are now.

    Parameters
    ----------
    shared : bool
        Take every worker for a host, by the worker's name: they are processes of one machine.
    say : callable
        Receives what a person should know.
    """

    shared: bool
    say: Callable[[str], None]
    #: Worker's address by the host's name, of those that are there now.
    addresses: dict[str, str] = field(default_factory=dict)
    #: What each host said of itself.
    greetings: dict[str, Greeting] = field(default_factory=dict)
    #: Seconds that a host's clock is ahead, by its name.
    clocks: dict[str, float] = field(default_factory=dict)
    #: Why a host is refused, by its name.
    refused: dict[str, str] = field(default_factory=dict)
    #: Workers that need no greeting: known, or set aside.
    _seen: set[str] = field(default_factory=set)
    _aside: set[str] = field(default_factory=set)

    def look(self, workers: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Take note of the workers that the scheduler has now.

        Returns
        -------
        list of str
            Addresses of workers that are to be greeted.
        """
        here = set(workers)
        self.addresses = {name: where for name, where in self.addresses.items() if where in here}
        self._seen &= here
        new = []
        for address, worker in workers.items():
            if address in self._seen:
                continue
            if worker.get("resources", {}).get(SLOT, 0) < 1:
                self._set_aside(
                    address,
                    f"Worker {address} offers no slot and is left out: start it with --resources {SLOT}=1.",
                )
                continue
            new.append(address)
        return new

    def take(self, address: str, worker_name: str, greeting: Greeting, asked: float) -> None:
        """Take note of a worker that has answered.

        Parameters
        ----------
        address, worker_name : str
            The worker.
        greeting : Greeting
            What it answered.
        asked : float
            When it was asked, by our clock [s since 1970].
        """
        name = self._name(worker_name if self.shared else greeting.name)
        self._seen.add(address)
        if (greeting.version, greeting.schema) != (VERSION, SCHEMA):
            self.refused[name] = (
                f"it has hmexp {greeting.version} with schema {greeting.schema}, this is hmexp "
                f"{VERSION} with schema {SCHEMA}"
            )
            self.greetings[name] = greeting
            return
        other = self._same_machine(name, greeting)
        if other is not None:
            self._set_aside(
                address,
                f"Worker {address} is on the machine of host {other}, which has its slot: it is left out.",
            )
            return
        self.refused.pop(name, None)
        self.greetings[name] = greeting
        self.addresses[name] = address
        self._note_clock(name, greeting, asked)

    def refuse(self, address: str, worker_name: str, reason: str) -> None:
        """Take note of a worker that could not be asked."""
        self._seen.add(address)
        self.refused[self._name(worker_name)] = reason

    def _name(self, given: str) -> str:
        # A cluster on one machine numbers its workers.
        return folder_name(f"host-{given}" if self.shared and given.isdigit() else given)

    def _same_machine(self, name: str, greeting: Greeting) -> str | None:
        if name in self.addresses:
            return name
        if self.shared:
            return None
        return next((n for n in self.addresses if self.greetings[n].boot == greeting.boot), None)

    def _set_aside(self, address: str, why: str) -> None:
        self._seen.add(address)
        if address not in self._aside:
            self._aside.add(address)
            self.say(why)

    def _note_clock(self, name: str, greeting: Greeting, asked: float) -> None:
        # The answer was given between asking and now.
        half = (time.time() - asked) / 2
        offset = greeting.now - (asked + half)
        self.clocks[name] = round(offset, 3)
        if abs(offset) > _CLOCK_SECONDS + half:
            where = "ahead of" if offset > 0 else "behind"
            self.say(f"The clock of host {name} is {abs(offset):.0f} s {where} this one.")
