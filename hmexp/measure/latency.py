"""Idle latency of a region: of dependent loads, of one node's part of them, and of stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.measurement import Measurement, proof
from hmexp.measure.noise import Noise
from hmexp.measure.rings import PreparedRing, RingPlan, prepare_ring
from hmexp.measure.sampling import Sampling
from hmexp.measure.threads import place_threads
from hmexp.memory.placement import Placement
from hmexp.memory.region import Region
from hmexp.native import STORE_KINDS, StoreKind
from hmexp.store.details import Distribution, LatencyDetails, StoreLatencyDetails
from hmexp.store.stop import Stop

_TRIAL_HOPS: Final = 20_000
_TRIAL_STORES: Final = 2_000
#: Loads between two readings of the clock, where the spread is asked for.
BLOCK_HOPS: Final = 8
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 99.99)


def measure_latency(
    region: Region,
    *,
    cpu: int | None = None,
    ring: RingPlan = RingPlan(),
    chains: int = 1,
    sampling: Sampling = Sampling(),
    distribution: bool = False,
    name: str = "latency",
) -> Measurement:
    """Measure the mean time of a load that depends on the load before it.

    By default the ring goes through all lines of the region in one random cycle, so that the TLB misses
    on nearly every hop when pages are small: what a program without locality sees, not the lowest that
    the memory can give. Windows that the TLB covers leave the TLB's part out.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by the ring.
    cpu : int, optional
        The CPU to chase on; chosen if not given.
    ring : RingPlan
        Which lines, and in which order.
    chains : int
        Chases side by side, each on a part of the ring of its own; the time is that of an access of
        any of them.
    sampling : Sampling
        How many samples, and how long one lasts.
    distribution : bool
        Whether to take percentiles over blocks of `BLOCK_HOPS` loads, too.
    name : str
        What the measurement is called.

    Returns
    -------
    Measurement
        In ns per load.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    PlacementError
        If the pages are not where they should be, before or after.
    MeasurementError
        If the ring is not one cycle through all lines.
    """
    rule = sampling.rule()
    chosen = place_threads(1)[0] if cpu is None else cpu
    chase = _Chase(region, chosen, prepare_ring(region, chosen, ring, chains=chains))
    before = proof(region, "before")
    hops = chase.hops(sampling.nanoseconds)
    taken, stopped = rule.take(
        lambda more: chase.take(hops, more), lambda found: _spans(found) / (hops * chains)
    )
    spread = chase.distribution(hops * len(taken) // BLOCK_HOPS) if distribution else None
    after = proof(region, "after")
    details = chase.details(hops, rule.to_record(stopped), after.page_bytes, spread)
    return _measurement(region, name, taken, hops * chains, details, (before, after))


class _Chase:
    """A ring that is walked on from where it was left."""

    def __init__(self, region: Region, cpu: int, ring: PreparedRing) -> None:
        self.region, self.cpu, self.ring, self.offsets = region, cpu, ring, ring.starts

    def take(self, hops: int, count: int) -> npt.NDArray[np.void]:
        """Take so many samples, of so many hops each."""
        found, self.offsets = native.chase(
            self.region.mapping, self.cpu, hops, count, self.region.model, self.offsets
        )
        return found

    def hops(self, sample_ns: float) -> int:
        """How many hops take so long."""
        return max(1000, int(sample_ns / (_spans(self.take(_TRIAL_HOPS, 1))[0] / _TRIAL_HOPS)))

    def distribution(self, blocks: int) -> Distribution:
        """Percentiles over so many blocks, or at least 1000."""
        return _distribution(self.region, self.cpu, max(1000, blocks), self.offsets[0])

    def details(
        self, hops: int, stop: Stop, page_bytes: int | None, spread: Distribution | None
    ) -> LatencyDetails:
        """How it was done."""
        return LatencyDetails(
            cpus=(self.cpu,),
            hops=hops,
            chains=len(self.ring.starts),
            stop=stop,
            lines=self.ring.lines,
            spacing_bytes=self.ring.spacing_bytes,
            window_bytes=self.ring.window_bytes,
            access=self.ring.access,
            node=self.ring.node,
            page_bytes=page_bytes,
            distribution=spread,
        )


@dataclass(frozen=True)
class NodeSplit:
    """The latency of a region, of each of its nodes alone, and whether the first is made of the others.

    Parameters
    ----------
    whole : Measurement
        One ring over all nodes.
    nodes : mapping of int to Measurement
        A ring over the lines of each node alone, in the same region.
    shares : mapping of int to float
        Part of the region's pages on each node.
    """

    whole: Measurement
    nodes: Mapping[int, Measurement]
    shares: Mapping[int, float]

    @property
    def mixture_ns(self) -> float:
        """What the nodes' own latencies say that the whole must be [ns]."""
        return sum(self.shares[node] * found.median for node, found in self.nodes.items())

    @property
    def mixture_error(self) -> float:
        """By which part the measured whole is above that."""
        return self.whole.median / self.mixture_ns - 1

    def to_record(self) -> dict[str, object]:
        """The split, for JSON."""
        return {
            "whole": self.whole.to_record(),
            "nodes": {str(node): found.to_record() for node, found in self.nodes.items()},
            "shares": {str(node): share for node, share in self.shares.items()},
            "mixture_ns": self.mixture_ns,
            "mixture_error": self.mixture_error,
        }


def measure_node_latencies(
    region: Region,
    *,
    cpu: int | None = None,
    ring: RingPlan = RingPlan(),
    chains: int = 1,
    sampling: Sampling = Sampling(),
) -> NodeSplit:
    """Measure a region's latency as a whole and node by node; parameters as for `measure_latency`."""
    counts = region.pages_per_node()
    total = sum(counts.values())

    def take(plan: RingPlan) -> Measurement:
        return measure_latency(region, cpu=cpu, ring=plan, chains=chains, sampling=sampling)

    whole = take(ring)
    nodes = {node: take(replace(ring, node=node)) for node in counts}
    return NodeSplit(whole, nodes, {node: pages / total for node, pages in counts.items()})


def measure_store_latency(
    region: Region,
    store: StoreKind = "nt",
    *,
    cpu: int | None = None,
    seed: int = 1,
    sampling: Sampling = Sampling(),
) -> Measurement:
    """Measure the mean time of a store of a line and a wait until it has left the CPU.

    That is until the memory controller has the line, which on persistent memory is before the medium
    has it. Lines come in random order over the region.

    Parameters
    ----------
    region : Region
        Its contents are overwritten.
    store : str
        ``nt``: a non-temporal store and a fence; ``flush``: a store, a flush of the line and a fence.
    cpu, sampling
        As for `measure_latency`.
    seed : int
        Of the random order.

    Returns
    -------
    Measurement
        In ns per store.
    """
    rule = sampling.rule()
    name = _require_store(region, store)
    chosen = place_threads(1)[0] if cpu is None else cpu
    # Lines of an earlier call may be in a cache: each call goes in an order of its own.
    seeds = count(seed)

    def take(stores: int, more: int) -> npt.NDArray[np.void]:
        return native.store_latency(region.mapping, chosen, store, stores, more, region.model, next(seeds))

    before = proof(region, "before")
    trial_ns = _spans(take(_TRIAL_STORES, 1))[0] / _TRIAL_STORES
    stores = max(1000, int(sampling.nanoseconds / trial_ns))
    taken, stopped = rule.take(lambda more: take(stores, more), lambda found: _spans(found) / stores)
    after = proof(region, "after")
    details = StoreLatencyDetails(
        cpus=(chosen,),
        stores=stores,
        stop=rule.to_record(stopped),
        window_bytes=region.size_bytes,
        spacing_bytes=native.LINE_BYTES,
        page_bytes=after.page_bytes,
    )
    return _measurement(region, name, taken, stores, details, (before, after))


def _require_store(region: Region, store: str) -> str:
    """Name the operation of a store, if it can be measured here."""
    if store not in STORE_KINDS:
        raise ParameterError(f"store {store!r} is unknown", f"use one of: {', '.join(STORE_KINDS)}")
    if native.vector_bits() == 64:
        raise ParameterError("hmexp has no flush and no non-temporal store for this CPU", "measure loads")
    name = f"store_{store}"
    if region.emulation is not None:
        region.emulation.predict(region.pages_per_node(), name)
    return name


def _spans(taken: np.ndarray[Any, np.dtype[np.void]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(np.maximum(taken["end_ns"] - taken["start_ns"], 1))


def _measurement(
    region: Region,
    operation: str,
    taken: np.ndarray[Any, np.dtype[np.void]],
    accesses: int,
    details: LatencyDetails | StoreLatencyDetails,
    proofs: tuple[Placement, Placement],
) -> Measurement:
    elapsed_ns = _spans(taken)
    return Measurement(
        operation=operation,
        unit="ns",
        samples=elapsed_ns / accesses,
        sample_seconds=elapsed_ns / 1e9,
        payload_bytes=accesses * native.LINE_BYTES,
        before=proofs[0],
        after=proofs[1],
        profile=None if region.emulation is None else region.emulation.profile.name,
        details=details,
        noise=Noise.of(taken, modelled=region.emulation is not None),
    )


def _distribution(region: Region, cpu: int, blocks: int, start: int) -> Distribution:
    times = native.chase_blocks(region.mapping, cpu, BLOCK_HOPS, blocks, region.model, start) / BLOCK_HOPS
    found = {
        f"p{p:g}": round(float(v), 3)
        for p, v in zip(PERCENTILES, np.percentile(times, PERCENTILES), strict=True)
    }
    return Distribution(
        block_hops=BLOCK_HOPS,
        blocks=blocks,
        ns_per_load={**found, "max": round(float(times.max()), 3)},
        # Each block holds one reading of the clock; it is stated, and not subtracted.
        clock_read_ns=round(native.check_clock().read_ns, 2),
    )
