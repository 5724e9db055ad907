"""A Redis measured from start to end: load, requests, a dump under writes, and where its pages are."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hmexp.errors import HmexpError
from hmexp.pattern import Pattern
from hmexp.program.client.client import Requests, run_client, start_client
from hmexp.program.look.program import read_placement
from hmexp.program.redis.protocol import RedisError
from hmexp.program.redis.server import RedisServer, redis_server
from hmexp.store.client_records import ClientStep
from hmexp.store.program_records import PlacementSample
from hmexp.store.redis_records import DumpRecord, RedisMeasurement, SnapshotRecord

#: Where the pages of one process are.
Look = Callable[[int], PlacementSample]
#: Versions that the writes of one measurement may use up.
_VERSIONS = 10_000_000
_POLL_SECONDS = 0.05
#: Memory of Redis for each key beside its value: names, entries of the table, the allocator's rounding.
_KEY_BYTES = 104


def count_keys(data_bytes: int, value_bytes: int) -> int:
    """How many keys make a Redis of about this size.

    Parameters
    ----------
    data_bytes : int
        Size of the server's memory [bytes].
    value_bytes : int
        Size of each value [bytes].

    Returns
    -------
    int
        Keys, one at least.
    """
    return max(1, data_bytes // (value_bytes + _KEY_BYTES))


@dataclass
class Measuring:
    """Measures a running Redis; it knows which versions of the values are used up.

    Parameters
    ----------
    server : RedisServer
        The server.
    requests : Requests
        What is common to all requests: keys, sizes, connections, seconds.
    """

    server: RedisServer
    requests: Requests
    used: int = 0

    def load(self) -> ClientStep:
        """Set every key, once.

        Raises
        ------
        RedisError
            If the server did not take all.
        """
        step = run_client(self.server.socket, self.requests, "load").last("load")
        if step.wrong:
            raise RedisError(
                f"the Redis did not take {step.wrong} of {step.due} keys: {step.problem}",
                "choose a smaller size, or free memory",
            )
        return step

    def verify(self) -> ClientStep:
        """Read every key and check its value."""
        return run_client(self.server.socket, self.requests, "verify").last("verify")

    def measure(self, requests: Requests) -> RedisMeasurement:
        """Send requests, and say what came of them.

        Parameters
        ----------
        requests : Requests
            The requests.

        Returns
        -------
        RedisMeasurement
            What the client saw, and the server's work meanwhile.
        """
        requests = self._versioned(requests)
        before = self.server.work()
        result = run_client(self.server.socket, requests, "run")
        return RedisMeasurement(
            read_percent=requests.read_percent,
            zipf=requests.zipf,
            rate=requests.rate,
            step=result.last("run"),
            work=self.server.work().since(before),
        )

    def snapshot(self, look: Look | None, requests: Requests) -> DumpRecord:
        """Dump while requests are answered, load the dump in a second server, and compare.

        Parameters
        ----------
        look : callable or None
            Says where the pages of a process are.
        requests : Requests
            What is sent from when the child has been forked; with writes, pages are copied.

        Returns
        -------
        DumpRecord
            The dump, and the requests.

        Raises
        ------
        RedisError
            If the dump failed.
        """
        server = self.server
        digests = (server.digest(), self.verify().digest)
        before, started = server.work(), time.monotonic()
        # Its answer comes after the fork: what is written from now on is not the child's.
        server.connection.ask("BGSAVE")
        with start_client(server.socket, self._versioned(requests), "run") as client:
            places = _look_at_both(server, look)
            seconds = _wait_for_dump(server, started)
            work = server.work().since(before)
            step = client.finish().last("run")
        info = server.connection.info()
        if info.get("rdb_last_bgsave_status") != "ok":
            raise RedisError("BGSAVE failed", "free memory for the fork, or room for the dump")
        loaded = self._load_dump()
        record = SnapshotRecord(
            seconds=seconds,
            fork_seconds=int(info["latest_fork_usec"]) / 1e6,
            copied_bytes=int(info["rdb_last_cow_size"]),
            dump_bytes=server.dump.stat().st_size,
            work=work,
            parent=places.parent,
            child=places.child,
            unread=places.unread,
            digest_before=digests[0],
            digest_loaded=loaded[0],
            client_digest_before=digests[1],
            client_digest_loaded=loaded[1].digest,
            loaded_wrong=loaded[1].wrong,
        )
        measured = RedisMeasurement(
            read_percent=requests.read_percent,
            zipf=requests.zipf,
            rate=requests.rate,
            step=step,
            work=work,
        )
        return DumpRecord(snapshot=record, requests=measured)

    def _versioned(self, requests: Requests) -> Requests:
        self.used += 1
        return replace(requests, first_version=self.used * _VERSIONS)

    def _load_dump(self) -> tuple[str, ClientStep]:
        """Redis's digest and the client's of a second server, which loaded the dump."""
        with redis_server(dump=self.server.dump) as second:
            return second.digest(), Measuring(second, self.requests).verify()


@dataclass(frozen=True)
class _Places:
    parent: PlacementSample | None = None
    child: PlacementSample | None = None
    unread: str | None = None


def _look_at_both(server: RedisServer, look: Look | None) -> _Places:
    if look is None:
        return _Places(unread="nobody was to look")
    children = server.children()
    if not children:
        return _Places(unread="the child had ended before it could be looked at; use more data")
    try:
        # It has to be there until both were looked at. The server itself works all the time.
        with _stopped(children[0]):
            return _Places(look(server.pid), look(children[0]))
    except (HmexpError, ProcessLookupError) as error:
        return _Places(unread=f"the child could not be looked at: {error}")


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def look_at(pid: int, pattern: Pattern | None = None) -> PlacementSample:
    """Where the pages of one process are, without its children's.

    Parameters
    ----------
    pid : int
        The process.
    pattern : Pattern, optional
        What its private memory is compared with.

    Raises
    ------
    ProgramError
        If it has ended, or is not for this user to see.
    """
    found = read_placement(pid, children=False, against=pattern)
    return PlacementSample(
        seconds=0.0,
        by_node=found.by_node,
        anonymous_by_node=found.anonymous_by_node,
        in_place=found.in_place,
        misplaced=found.misplaced,
        unmovable=found.unmovable,
        absent=found.absent,
        unseen=tuple(found.unseen),
        cost_seconds=found.cost_seconds,
    )


def _wait_for_dump(server: RedisServer, started: float) -> float:
    while server.connection.info("persistence").get("rdb_bgsave_in_progress") == "1":
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started
