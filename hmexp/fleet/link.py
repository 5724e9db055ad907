"""The way to the hosts: a client of Dask that reconnects when the scheduler comes back."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, TypeVar

from distributed import Client, Future

from hmexp.closing import Closing
from hmexp.fleet.host import answer
from hmexp.fleet.messages import FleetError, Greet, Greeting, Message, encode, read_answer
from hmexp.fleet.roster import SLOT, Roster

#: How often it is looked where the hosts are [s].
LOOK_SECONDS: Final = 0.5
_CONNECT_SECONDS: Final = 5.0
_FETCH_SECONDS: Final = 60.0
#: What is read of hosts: bytes, never a pickled object.
_READ: Final = ["dask", "msgpack", "error"]
#: Ways in which Dask says that a task was lost with its worker or scheduler, by the names of its errors.
_LOST: Final = ("KilledWorker", "CancelledError", "FutureCancelledError", "CommClosedError")
A = TypeVar("A", bound=Message)
T = TypeVar("T")


class LostError(Exception):
    """The worker that was asked has gone."""


class StoppedError(Exception):
    """The gatherer ends."""


class FleetLink(Closing):
    """Hosts that can be asked.

    Parameters
    ----------
    address : str
        Of the scheduler.
    roster : Roster
        Who is there.
    patience_seconds : float
        How long a host, or the scheduler, may be gone [s].
    say : callable
        Receives what a person should know.
    """

    def __init__(
        self, address: str, roster: Roster, patience_seconds: float, say: Callable[[str], None]
    ) -> None:
        self.roster, self.patience_seconds = roster, patience_seconds
        self._address, self._say = address, say
        self._client: Client | None = None
        self._stopped = threading.Event()
        #: Workers that are looked at for the first time, and those that are asked who they are, since when.
        self._imports: dict[str, Future[object]] = {}
        self._greeted: dict[str, tuple[Future[bytes], float]] = {}
        # What Dask writes about lost connections is said here, once and in words.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)

    def connect(self) -> None:
        """Reach the scheduler, or give up when the patience is over.

        Raises
        ------
        FleetError
            If there is none.
        """
        deadline, said = time.monotonic() + self.patience_seconds, False
        while self._client is None:
            self._require_going()
            try:
                self._client = Client(
                    self._address,
                    timeout=_CONNECT_SECONDS,
                    set_as_default=False,
                    deserializers=_READ,
                    name="hmexp-fleet",
                )
            except (OSError, TimeoutError, RuntimeError, ValueError, TypeError) as error:
                # Wrong certificates or a wrong address do not heal by waiting.
                if isinstance(error, ValueError | TypeError) or time.monotonic() > deadline:
                    raise FleetError(
                        f"the scheduler at {self._address} cannot be reached: {_first_line(error)}",
                        "start it (dask scheduler), or check the address and the TLS settings; then the same "
                        "command resumes",
                    ) from error
                if not said:
                    self._say(f"Waiting for the scheduler at {self._address}.")
                    said = True
                self._stopped.wait(LOOK_SECONDS)

    def look(self) -> None:
        """See which hosts are there now, greet new ones, and connect again if the scheduler was gone."""
        client = self._client
        workers: Mapping[str, Mapping[str, Any]] = {}
        try:
            if client is None or client.status != "running":
                raise OSError("closed")
            workers = client.scheduler_info()["workers"]
        except Exception:  # noqa: BLE001 - whatever Dask raises: there is no scheduler now
            self._drop()
            self.roster.look({})
            self.connect()
            return
        new = self.roster.look(workers)
        with contextlib.suppress(LostError):
            for address in new:
                if address not in self._greeted and address not in self._imports:
                    # A worker that is sent a function which it cannot import ends without a word.
                    self._imports[address] = _submit(client, address, import_module, answer.__module__)
            self._look_into(client, workers)

    def _look_into(self, client: Client, workers: Mapping[str, Mapping[str, Any]]) -> None:
        for address, future in list(self._imports.items()):
            worker = workers.get(address)
            if worker is not None and future.status == "pending":
                continue
            del self._imports[address]
            if worker is not None and future.status == "error":
                self.roster.refuse(
                    address, str(worker.get("name", address)), "it has no hmexp[fleet] that can be imported"
                )
            elif worker is not None and future.status == "finished":
                self._greeted[address] = _submit(client, address, answer, encode(Greet())), time.time()
        for address in list(self._greeted):
            self._hear(address, workers.get(address))

    def _hear(self, address: str, worker: Mapping[str, Any] | None) -> None:
        """Take the answer to a greeting, if it has come."""
        future, asked = self._greeted[address]
        if worker is not None and future.status == "pending":
            return
        del self._greeted[address]
        if worker is None:
            return
        name = str(worker.get("name", address))
        try:
            greeting = read_answer(_result(future), Greeting, name)
        except LostError:
            return
        except FleetError as error:
            self.roster.refuse(address, name, error.message)
        else:
            self.roster.take(address, name, greeting, asked)

    def ask(self, host: str, question: Message, wanted: type[A]) -> A:
        """Ask a host until it answers, wherever it comes back.

        Raises
        ------
        FleetError
            If it refuses, answers nothing sensible, or is gone for longer than the patience.
        StoppedError
            If the gatherer ends meanwhile.
        """
        while True:
            address = self._find(host)
            client = self._client
            if client is None:
                continue
            try:
                future = _submit(client, address, answer, encode(question))
                return read_answer(self._await(future, host, address), wanted, host)
            except LostError:
                self._stopped.wait(LOOK_SECONDS)

    def _find(self, host: str) -> str:
        """Where a host is; waits for one that has gone."""
        deadline, said = time.monotonic() + self.patience_seconds, False
        while True:
            self._require_going()
            if host in self.roster.refused:
                raise FleetError(f"host {host}: {self.roster.refused[host]}")
            address = self.roster.addresses.get(host)
            if address is not None and self._client is not None:
                if said:
                    self._say(f"Host {host} is back.")
                return address
            if time.monotonic() > deadline:
                raise HostGoneError(
                    f"host {host} was lost and did not come back within {self.patience_seconds:g} s",
                    "the same command resumes when it is back",
                )
            if not said:
                self._say(f"Host {host} is gone; waiting for it.")
                said = True
            self._stopped.wait(LOOK_SECONDS)

    def _await(self, future: Future[bytes], host: str, address: str) -> object:
        done = threading.Event()
        future.add_done_callback(lambda _future: done.set())
        while not done.wait(LOOK_SECONDS):
            if self._stopped.is_set() or self.roster.addresses.get(host) != address:
                _cancel(future)
                self._require_going()
                raise LostError(host)
        return _result(future)

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._greeted.clear()
        self._imports.clear()
        if client is not None:
            _close(client)

    def _require_going(self) -> None:
        if self._stopped.is_set():
            raise StoppedError

    def stop(self) -> None:
        """Have everybody who waits for a host end."""
        self._stopped.set()

    def close(self) -> None:
        """Leave the scheduler; the workers stay."""
        self.stop()
        self._drop()


class HostGoneError(FleetError):
    """A host was gone for longer than the patience."""


def _submit(client: Client, address: str, function: Callable[..., T], *given: object) -> Future[T]:
    """Have one worker call a function, when its slot is free."""
    try:
        return client.submit(
            function,
            *given,
            key=f"hmexp-{uuid.uuid4().hex}",
            workers=[address],
            allow_other_workers=False,
            resources={SLOT: 1},
            retries=0,
            pure=False,
        )
    except Exception as error:
        raise LostError(str(error)) from error


def _result(future: Future[bytes]) -> object:
    """What a task returned; whatever it is."""
    try:
        return future.result(timeout=_FETCH_SECONDS)
    except Exception as error:
        name = type(error).__name__
        gone = future.status in ("pending", "cancelled", "lost")
        if gone or name in _LOST or isinstance(error, OSError | TimeoutError):
            raise LostError(name) from error
        raise FleetError(
            f"it cannot be asked: {name}: {_first_line(error)}", "install the same hmexp[fleet] on the host"
        ) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _cancel(future: Future[bytes]) -> None:
    with contextlib.suppress(Exception):
        future.cancel()


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        client.close(timeout=2)
