"""What was seen of a Redis: its requests, its dump, and where its pages were meanwhile."""

from __future__ import annotations

from typing import Final

from hmexp.store.client_records import ClientStep, RequestMix
from hmexp.store.program_records import PlacementSample, WorkDone
from hmexp.store.schema import Stored

#: Names of the workloads that a Redis is measured by: requests, and a dump under writes.
REQUESTS: Final = "redis-open"
DUMP: Final = "redis-dump"


class ProcessWork(WorkDone, frozen=True, kw_only=True, gc=False):
    """What a process did between two moments, by /proc/PID/stat.

    Parameters
    ----------
    child_cpu_seconds : float
        CPU time of children that ended and were waited for [s].
    child_minor_faults : int
        Their page faults.
    """

    child_cpu_seconds: float
    child_minor_faults: int

    def since(self, earlier: ProcessWork) -> ProcessWork:
        """Return what was done since an earlier moment."""
        return ProcessWork(
            user_seconds=self.user_seconds - earlier.user_seconds,
            system_seconds=self.system_seconds - earlier.system_seconds,
            minor_faults=self.minor_faults - earlier.minor_faults,
            child_cpu_seconds=self.child_cpu_seconds - earlier.child_cpu_seconds,
            child_minor_faults=self.child_minor_faults - earlier.child_minor_faults,
        )


class SnapshotRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A BGSAVE: what the fork and the copies on write cost, and whether the dump is the data.

    Parameters
    ----------
    seconds : float
        From the command to the end of the dump [s].
    fork_seconds : float
        The fork itself, during which the server answers nobody [s].
    copied_bytes : int
        Memory that was copied because it was written meanwhile, as the child saw it [bytes].
    dump_bytes : int
        Size of the dump [bytes].
    work : ProcessWork
        What the server did meanwhile, and its child.
    parent : PlacementSample or None
        Where the server's pages were while the child wrote.
    child : PlacementSample or None
        Where the child's pages were.
    unread : str or None
        Why no placement could be read meanwhile.
    digest_before : str
        Digest of every key and value when the dump began.
    digest_loaded : str
        The same of a second server that loaded the dump.
    client_digest_before : str or None
        The client's own digest, of keys, versions and sizes, when the dump began.
    client_digest_loaded : str or None
        The same of the second server.
    loaded_wrong : int
        Keys of the second server that were missing or not whole.
    """

    seconds: float
    fork_seconds: float
    copied_bytes: int
    dump_bytes: int
    work: ProcessWork
    parent: PlacementSample | None = None
    child: PlacementSample | None = None
    unread: str | None = None
    digest_before: str
    digest_loaded: str
    client_digest_before: str | None = None
    client_digest_loaded: str | None = None
    loaded_wrong: int = 0

    @property
    def holds(self) -> bool:
        """Whether the dump is the data as it was when the dump began."""
        return (
            self.digest_before == self.digest_loaded
            and self.client_digest_before == self.client_digest_loaded
            and not self.loaded_wrong
        )


class RedisMeasurement(RequestMix, frozen=True, kw_only=True, gc=False):
    """Requests of one kind to a Redis, and what the server used for them.

    Parameters
    ----------
    step : ClientStep
        What the client saw.
    work : ProcessWork
        What the server did meanwhile, with the warm-up.
    """

    step: ClientStep
    work: ProcessWork


class DumpRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What `python -m hmexp.program.redis.dump` prints.

    Parameters
    ----------
    snapshot : SnapshotRecord
        The BGSAVE.
    requests : RedisMeasurement
        The requests that were answered meanwhile.
    """

    snapshot: SnapshotRecord
    requests: RedisMeasurement
