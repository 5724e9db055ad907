"""The tail of latency, idle or under load: single accesses, each timed by itself, by their node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp import native
from hmexp.measure.injection import INJECTION, place_load
from hmexp.measure.latency import PERCENTILES
from hmexp.measure.loaded import LoadBench
from hmexp.measure.measurement import Measurement, proof
from hmexp.measure.noise import Noise
from hmexp.measure.operation import find_operation
from hmexp.measure.rings import PreparedRing, RingPlan, prepare_ring
from hmexp.measure.sampling import Sampling
from hmexp.measure.threads import place_threads
from hmexp.memory.region import Region
from hmexp.store.stop import Stop
from hmexp.store.tails import TailDetails, TailOfNode

#: Of the accesses of a sample, what the measurement is the percentile of.
TAIL_PERCENT: Final = 99.0
_TRIAL_TURNS: Final = 5_000
#: A percentile of fewer accesses is none.
_FEWEST_TURNS: Final = 10_000

Array = npt.NDArray[np.float64]
#: Times so many loads, in so many samples, by these nodes.
Take = Callable[[int, int, Sequence[int]], native.LoadedRun]


def measure_latency_tail(
    region: Region, *, cpu: int | None = None, seed: int = 1, sampling: Sampling = Sampling()
) -> Measurement:
    """Measure how long single loads take that depend on the load before them.

    Each is made between two readings of the clock, with fences, and what these cost by themselves is taken
    off. That is some ticks more or less than an access in a chase costs: hold tails against tails. An access
    that a timer interrupt fell into is counted as what it took: the tail is that of this machine.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by the ring, as of `measure_latency`.
    cpu : int, optional
        The CPU to chase on; chosen if not given.
    seed : int
        Of the random order.
    sampling : Sampling
        How many samples, and how long one lasts; each has 10,000 accesses or more.

    Returns
    -------
    Measurement
        The 99th percentile of each sample's accesses in ns; its details have the others, by node.

    Raises
    ------
    PlacementError
        If the pages are not where they should be, before or after.
    MeasurementError
        If the ring is not one cycle through all lines.
    """
    chosen = place_threads(1)[0] if cpu is None else cpu
    ring = prepare_ring(region, chosen, RingPlan(seed=seed))
    return _measure(_Tail(region, (chosen,), ring, _idle(region, chosen, ring)), "latency_tail", sampling)


def measure_loaded_tail(
    region: Region,
    threads: int | None = None,
    *,
    pinning: str | Sequence[int] = "near",
    seed: int = 1,
    sampling: Sampling = Sampling(),
) -> Measurement:
    """Measure the same while other threads read as fast as they can, in the region's second half.

    Parameters
    ----------
    region : Region
        Its contents are overwritten.
    threads : int, optional
        That read; by default all CPUs but the one of the chase.
    pinning : str or sequence of int
        Which CPUs; the chase's comes first.
    seed, sampling
        As for `measure_latency_tail`.

    Raises
    ------
    ParameterError
        If there is no CPU left to read from.
    PlacementError
        If the pages are not where they should be, before or after.
    MeasurementError
        If the ring is not one cycle through all lines.
    """
    cpus = place_load(threads, pinning)
    bench = LoadBench(region, None, find_operation("read"), cpus, INJECTION, RingPlan(seed=seed), sampling)
    tail = _Tail(region, cpus, bench.ring, bench.take_tail)
    return _measure(tail, "latency_tail_loaded", sampling)


def _measure(chase: _Tail, name: str, sampling: Sampling) -> Measurement:
    rule, region = sampling.rule(), chase.region
    before = proof(region, "before")
    chase.take(_TRIAL_TURNS, 1)
    turns = max(_FEWEST_TURNS, int(sampling.nanoseconds / chase.forget() * _TRIAL_TURNS))
    taken, stopped = rule.take(lambda more: chase.take(turns, more), lambda _: chase.tails())
    after = proof(region, "after")
    details = chase.details(turns, rule.to_record(stopped), after.page_bytes)
    return Measurement(
        operation=name,
        unit="ns",
        samples=chase.tails(),
        sample_seconds=_spans(taken) / 1e9,
        payload_bytes=turns * native.LINE_BYTES,
        before=before,
        after=after,
        profile=None if region.emulation is None else region.emulation.profile.name,
        details=details,
        noise=Noise.of(taken, modelled=region.emulation is not None),
    )


def _idle(region: Region, cpu: int, ring: PreparedRing) -> Take:
    """Loads of one thread alone, walking on along the ring."""
    offset = ring.starts[0]

    def take(turns: int, count: int, nodes: Sequence[int]) -> native.LoadedRun:
        nonlocal offset
        found = native.chase_tail(region.mapping, cpu, turns, count, nodes, region.model, offset)
        offset = found.offset
        return native.LoadedRun(found.samples, np.zeros(count, dtype=np.int64), found.offset, found)

    return take


class _Tail:
    """A ring that is walked on, and what its accesses took so far."""

    def __init__(self, region: Region, cpus: tuple[int, ...], ring: PreparedRing, take: Take) -> None:
        self.region, self.cpus, self.ring, self._take = region, cpus, ring, take
        model = region.model
        # In the order in which the ring has numbered them.
        self.nodes: Sequence[int] = tuple(model.rates) if model else region.pattern.distinct_nodes
        self.cost_ns = 0.0
        self.edges_ns = np.zeros(native.TAIL_BUCKETS + 1)
        self._spent_ns = 1.0
        self.forget()

    def forget(self) -> float:
        """Begin anew, and say how long the last sample took [ns]."""
        self.counts = np.zeros((0, len(self.nodes), native.TAIL_BUCKETS), dtype=np.uint64)
        self._load_bytes = self._all_ns = 0.0
        return self._spent_ns

    def take(self, turns: int, count: int) -> npt.NDArray[np.void]:
        """Take so many samples more, of so many accesses each."""
        run = self._take(turns, count, self.nodes)
        found = run.tail
        assert found is not None
        self.cost_ns, self.edges_ns = found.cost_ns, found.edges_ns
        self.counts = np.concatenate([self.counts, found.counts])
        spans = _spans(run.samples)
        self._spent_ns = float(spans[-1])
        self._load_bytes += float(run.load_bytes.sum())
        self._all_ns += float(spans.sum())
        return run.samples

    def tails(self) -> Array:
        """The percentile of each sample [ns]."""
        counts = self.counts.sum(axis=1)
        return np.array([percentile_of(each, self.edges_ns, TAIL_PERCENT) for each in counts])

    def details(self, turns: int, stop: Stop, page_bytes: int | None) -> TailDetails:
        """How it was done, and what was seen."""
        ring, load = self.ring, len(self.cpus) - 1
        every = self.counts.sum(axis=0)
        return TailDetails(
            cpus=self.cpus,
            hops=turns,
            stop=stop,
            lines=ring.lines,
            window_bytes=ring.window_bytes,
            access=ring.access,
            page_bytes=page_bytes,
            clock_ns=round(self.cost_ns, 2),
            ns=percentiles_of(every.sum(axis=0), self.edges_ns),
            nodes=tuple(
                _of_node(node, counts, self.edges_ns)
                for node, counts in zip(self.nodes, every, strict=True)
                if counts.any()
            ),
            load_threads=load,
            load_gbps=round(self._load_bytes / self._all_ns, 4) if load else None,
        )


def percentile_of(counts: npt.NDArray[np.uint64], edges_ns: Array, percent: float) -> float:
    """The time that so many percent of the accesses did not exceed.

    Within a bucket, accesses are taken to be spread evenly.

    Parameters
    ----------
    counts : numpy.ndarray
        Accesses of each bucket, shape ``(buckets,)``; one at least.
    edges_ns : numpy.ndarray
        Least time of each bucket, shape ``(buckets + 1,)`` [ns].
    percent : float
        From 0 to 100.
    """
    passed = np.cumsum(counts, dtype=np.float64)
    wanted = max(1.0, percent / 100 * float(passed[-1]))
    bucket = min(int(np.searchsorted(passed, wanted - 1e-9)), counts.size - 1)
    within = (wanted - float(passed[bucket])) / float(counts[bucket]) + 1
    low, high = float(edges_ns[bucket]), float(edges_ns[bucket + 1])
    # Accesses that the clock cannot tell from none have taken some time, too.
    return max(low + min(1.0, within) * (high - low), float(edges_ns[1]) / 2)


def percentiles_of(counts: npt.NDArray[np.uint64], edges_ns: Array) -> dict[str, float]:
    """Percentiles from the 50th to the 99.99th, and the largest [ns]."""
    found = {f"p{percent:g}": round(percentile_of(counts, edges_ns, percent), 3) for percent in PERCENTILES}
    return {**found, "max": round(percentile_of(counts, edges_ns, 100.0), 3)}


def _of_node(node: int, counts: npt.NDArray[np.uint64], edges_ns: Array) -> TailOfNode:
    used = np.flatnonzero(counts)
    return TailOfNode(
        node=node,
        accesses=int(counts.sum()),
        ns=percentiles_of(counts, edges_ns),
        counts=tuple((round(float(edges_ns[i]), 2), int(counts[i])) for i in used),
    )


def _spans(taken: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    return np.asarray(np.maximum(taken["end_ns"] - taken["start_ns"], 1))
