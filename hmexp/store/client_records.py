"""What the client of Redis saw: steps of requests, their latency, and what the client itself used."""

from __future__ import annotations

from typing import Literal

from hmexp.store.schema import Stored

#: From when the latency of a request counts: from when it was due (open loop), or from when it was sent.
LatencyFrom = Literal["due", "sent"]


class LatencyRecord(Stored, frozen=True, kw_only=True, gc=False):
    """The distribution of a latency.

    Parameters
    ----------
    count : int
        Requests.
    mean : float
        Mean [ns].
    least : int
        Shortest [ns].
    most : int
        Longest [ns].
    p50 : int
        Median [ns].
    p90 : int
        90th percentile [ns].
    p99 : int
        99th percentile [ns].
    p99_9 : int
        99.9th percentile [ns].
    p99_99 : int
        99.99th percentile [ns].
    buckets : tuple of (int, int)
        Of each bucket that has any: its highest value [ns], and how many requests. As HdrHistogram's with
        three significant digits.
    """

    count: int
    mean: float
    least: int
    most: int
    p50: int
    p90: int
    p99: int
    p99_9: int
    p99_99: int
    buckets: tuple[tuple[int, int], ...] = ()


class LatencyByKind(Stored, frozen=True, kw_only=True, gc=False):
    """Latency of all requests, of reads and of writes.

    Parameters
    ----------
    all : LatencyRecord
        Of every request, with its buckets.
    reads : LatencyRecord
        Of GET.
    writes : LatencyRecord
        Of SET.
    """

    all: LatencyRecord
    reads: LatencyRecord
    writes: LatencyRecord


class ClientThread(Stored, frozen=True, kw_only=True, gc=False):
    """What one thread of the client used while it measured.

    Parameters
    ----------
    elapsed_seconds : float
        Time [s].
    cpu_seconds : float
        Of that, on a CPU [s].
    cpu_wait_seconds : float
        Of that, ready to run without a CPU [s].
    """

    elapsed_seconds: float
    cpu_seconds: float
    cpu_wait_seconds: float


class ClientUsage(Stored, frozen=True, kw_only=True, gc=False):
    """Whether the client itself may have been what limits.

    Parameters
    ----------
    threads : tuple of ClientThread
        Each of its threads.
    busy_share : float
        Share of its time that the busiest thread was on a CPU, or ready for one.
    saturated : bool
        Whether that share is so high that the client may have limited the throughput.
    """

    threads: tuple[ClientThread, ...]
    busy_share: float
    saturated: bool


class ClientStep(Stored, frozen=True, kw_only=True, gc=False):
    """One step of the client: `load`, `verify`, `run` or `rush`.

    Parameters
    ----------
    step : str
        Its name.
    elapsed_seconds : float
        Time, with the warm-up and the wait for the last answers [s].
    due : int
        Requests that were due after the warm-up.
    answered : int
        Of these, how many were answered.
    unanswered : int
        Of these, how many were not answered in time; their latency so far is in the distribution.
    reads : int
        GETs answered.
    writes : int
        SETs answered.
    missing : int
        Keys that the server did not have.
    damaged : int
        Values that are not whole, or of another key.
    stale : int
        Values that had been overwritten before the GET was sent, or had never been sent.
    failed : int
        Requests that the server answered with an error.
    problem : str or None
        The first of these, for people.
    digest : str or None
        Of `verify`: digest of all keys, versions and sizes.
    per_second : float
        Answers per second [1/s].
    client : ClientUsage
        What the client itself used.
    latency_from : str or None
        Of `run` and `rush`: from when latency counts, `due` or `sent`.
    latency_ns : LatencyByKind or None
        Of `run` and `rush`: the latency [ns].
    sent_late_ns : LatencyRecord or None
        Of `run` at a set rate: how long after they were due requests were sent [ns].
    interval_seconds : float or None
        Of `run` and `rush`: length of an interval of the timeline [s].
    timeline : tuple of (int, int)
        Of `run` and `rush`: answers in each interval, and the longest latency among them [ns].
    """

    step: str
    elapsed_seconds: float
    due: int
    answered: int
    unanswered: int
    reads: int
    writes: int
    missing: int
    damaged: int
    stale: int
    failed: int
    problem: str | None
    digest: str | None = None
    per_second: float
    client: ClientUsage
    latency_from: LatencyFrom | None = None
    latency_ns: LatencyByKind | None = None
    sent_late_ns: LatencyRecord | None = None
    interval_seconds: float | None = None
    timeline: tuple[tuple[int, int], ...] = ()

    @property
    def wrong(self) -> int:
        """Answers that were not right: missing, damaged, stale or an error."""
        return self.missing + self.damaged + self.stale + self.failed

    @property
    def invalid_because(self) -> tuple[str, ...]:
        """Why its numbers say nothing about the server, for people; empty if they count."""
        reasons = []
        if self.client.saturated:
            reasons.append(
                f"the client was busy {self.client.busy_share:.0%} of the time: it may have been the limit, "
                "not the server"
            )
        late, latency = self.sent_late_ns, self.latency_ns
        if late is not None and latency is not None and late.count and late.p99 > latency.all.p99 / 4:
            reasons.append(
                f"the client itself sent 1 % of the requests {late.p99 / 1e3:.0f} us late or later, and the "
                f"p99 is {latency.all.p99 / 1e3:.0f} us"
            )
        if self.unanswered:
            reasons.append(f"{self.unanswered} requests were never answered")
        if self.wrong:
            reasons.append(f"{self.wrong} answers were wrong ({self.problem})")
        return tuple(reasons)


class RequestMix(Stored, frozen=True, kw_only=True, gc=False):
    """Which requests a Redis is asked.

    Parameters
    ----------
    read_percent : int
        Share of GET [%].
    zipf : float
        Exponent of Zipf's law for keys; 0 is uniform.
    rate : float
        Requests due per second; 0 is a closed loop at full speed [1/s].
    """

    read_percent: int
    zipf: float
    rate: float


class ClientResult(RequestMix, frozen=True, kw_only=True, gc=False):
    """What the client was asked for, and what it saw.

    Parameters
    ----------
    schema : int
        Of the client's output.
    keys : int
        Number of keys.
    value_bytes : int
        Size of each value [bytes].
    arrivals : str
        `poisson` or `even`.
    connections : int
        Connections.
    threads : int
        Threads of the client.
    pipeline : int
        Requests under way on each connection, in a closed loop.
    seconds : float
        How long it measured [s].
    warmup_seconds : float
        How long it ran before [s].
    seed : int
        Of keys, operations and arrivals.
    steps : tuple of ClientStep
        What came of each step. Fewer than asked for if one ended without all answers.
    """

    schema: int
    keys: int
    value_bytes: int
    arrivals: str
    connections: int
    threads: int
    pipeline: int
    seconds: float
    warmup_seconds: float
    seed: int
    steps: tuple[ClientStep, ...]

    def last(self, step: str) -> ClientStep:
        """Return the last step of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for each in reversed(self.steps):
            if each.step == step:
                return each
        raise KeyError(step)
