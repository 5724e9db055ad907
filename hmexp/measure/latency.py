"""Idle latency of a region: of dependent loads, of one node's part of them, and of stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.measurement import Measurement, proof, require_samples
from hmexp.measure.noise import Noise
from hmexp.measure.rings import RingPlan, prepare_ring
from hmexp.measure.threads import place_threads
from hmexp.memory.placement import Placement
from hmexp.memory.region import Region
from hmexp.native import STORE_KINDS, StoreKind
from hmexp.store.details import Distribution, LatencyDetails, StoreLatencyDetails

_TRIAL_HOPS: Final = 20_000
_TRIAL_STORES: Final = 2_000
#: Loads between two readings of the clock, where the spread is asked for.
BLOCK_HOPS: Final = 8
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 99.99)


def measure_latency(
    region: Region,
    *,
    cpu: int | None = None,
    samples: int = 10,
    sample_seconds: float = 0.05,
    precision: float = 0.0,
    most_samples: int | None = None,
    seed: int = 1,
    window_bytes: int | None = None,
    spacing_bytes: int | None = None,
    ordered: bool = False,
    node: int | None = None,
    chains: int = 1,
    distribution: bool = False,
    name: str = "latency",
) -> Measurement:
    """Measure the mean time of a load that depends on the load before it.

    The ring goes through the lines in one random cycle. By default these are all lines of the
    region, in an order over all of it, so that the TLB misses on nearly every hop when pages are
    small: this is the latency that a program without locality sees, not the lowest that the memory
    can give. Windows that the TLB covers leave the TLB's part out. The ring is walked once before the
    samples, and its length checked.

    Parameters
    ----------
    region : Region
        Its contents are overwritten by the ring.
    cpu : int, optional
        The CPU to chase on; chosen if not given.
    samples : int
        How many samples, at least.
    sample_seconds : float
        How long one should last [s].
    precision, most_samples
        More samples are taken until the interval is so narrow, or there are so many: see `StopRule`.
    seed : int
        Of the random cycle.
    window_bytes, spacing_bytes, ordered, node
        See `hmexp.measure.rings.RingPlan`.
    chains : int
        Chases side by side, each on a part of the ring of its own; the time is that of an access of
        any of them.
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
    rule = require_samples(samples, sample_seconds, precision, most_samples)
    chosen = place_threads(1)[0] if cpu is None else cpu
    plan = RingPlan(spacing_bytes, window_bytes, ordered, node, seed)
    ring = prepare_ring(region, chosen, plan, chains=chains)
    before = proof(region, "before")
    trial, offsets = native.chase(region.mapping, chosen, _TRIAL_HOPS, 1, region.model, ring.starts)
    hops = max(1000, int(sample_seconds * 1e9 / (_spans(trial)[0] / _TRIAL_HOPS)))

    def take(more: int) -> npt.NDArray[np.void]:
        nonlocal offsets
        found, offsets = native.chase(region.mapping, chosen, hops, more, region.model, offsets)
        return found

    taken, stopped = rule.take(take, lambda found: _spans(found) / (hops * chains))
    blocks = max(1000, hops * len(taken) // BLOCK_HOPS)
    spread = _distribution(region, chosen, blocks, offsets[0]) if distribution else None
    after = proof(region, "after")
    details = LatencyDetails(
        cpus=(chosen,),
        hops=hops,
        chains=chains,
        stop=rule.to_record(stopped),
        lines=ring.lines,
        spacing_bytes=ring.spacing_bytes,
        window_bytes=ring.window_bytes,
        access=ring.access,
        node=ring.node,
        page_bytes=after.page_bytes,
        distribution=spread,
    )
    return _measurement(region, name, taken, hops * chains, details, (before, after))


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


def measure_node_latencies(region: Region, **options: Any) -> NodeSplit:
    """Measure a region's latency as a whole and node by node; options as for `measure_latency`."""
    counts = region.pages_per_node()
    total = sum(counts.values())
    whole = measure_latency(region, **options)
    nodes = {node: measure_latency(region, node=node, **options) for node in counts}
    return NodeSplit(whole, nodes, {node: pages / total for node, pages in counts.items()})


def measure_store_latency(
    region: Region,
    kind: StoreKind = "nt",
    *,
    cpu: int | None = None,
    samples: int = 10,
    sample_seconds: float = 0.05,
    precision: float = 0.0,
    most_samples: int | None = None,
    seed: int = 1,
) -> Measurement:
    """Measure the mean time of a store of a line and a wait until it has left the CPU.

    That is until the memory controller has the line, which on persistent memory is before the medium
    has it. Lines come in random order over the region.

    Parameters
    ----------
    region : Region
        Its contents are overwritten.
    kind : str
        ``nt``: a non-temporal store and a fence; ``flush``: a store, a flush of the line and a fence.
    cpu, samples, sample_seconds, precision, most_samples, seed
        As for `measure_latency`.

    Returns
    -------
    Measurement
        In ns per store.
    """
    rule = require_samples(samples, sample_seconds, precision, most_samples)
    if kind not in STORE_KINDS:
        raise ParameterError(f"kind of store {kind!r} is unknown", f"use one of: {', '.join(STORE_KINDS)}")
    if native.vector_bits() == 64:
        raise ParameterError("hmexp has no flush and no non-temporal store for this CPU", "measure loads")
    name = f"store_{kind}"
    if region.emulation is not None:
        region.emulation.predict(region.pages_per_node(), name)
    chosen = place_threads(1)[0] if cpu is None else cpu
    before = proof(region, "before")
    trial = native.store_latency(region.mapping, chosen, kind, _TRIAL_STORES, 1, region.model, seed)
    stores = max(1000, int(sample_seconds * 1e9 / (_spans(trial)[0] / _TRIAL_STORES)))
    # Lines of an earlier call may be in a cache: each call goes in an order of its own.
    seeds = count(seed + 1)
    taken, stopped = rule.take(
        lambda more: native.store_latency(
            region.mapping, chosen, kind, stores, more, region.model, next(seeds)
        ),
        lambda found: _spans(found) / stores,
    )
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
