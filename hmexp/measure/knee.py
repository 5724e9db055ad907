"""Where a curve of latency against load leaves the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hmexp.store.curves import KneeRecord

#: Latency under the highest load, as a multiple of that without load, from which the memory counts as
#: saturated, as in P. Esmaili-Dokht et al., "A Mess of Memory System Benchmarking, Simulation and
#: Application Profiling", MICRO 2024. Below it the threads could not make enough traffic to tell: at five
#: sixths of what a node can do, a queue alone has been seen to make it 1.3 to 1.5.
SATURATED: Final = 2.0


@dataclass(frozen=True)
class Knee:
    """The knee of a loaded-latency curve.

    Parameters
    ----------
    saturated : bool
        Whether the load was enough to find one.
    load_gbps : float or None
        The load at the knee; None if the memory was not saturated [GB/s].
    latency_ns : float or None
        The latency there [ns].
    highest_gbps : float
        The highest load that was reached [GB/s].
    rise : float
        Latency under the highest latency's load, as a multiple of that without load.
    """

    saturated: bool
    load_gbps: float | None
    latency_ns: float | None
    highest_gbps: float
    rise: float

    def to_record(self) -> KneeRecord:
        """The knee as it is stored."""
        return KneeRecord(
            saturated=self.saturated,
            load_gbps=self.load_gbps,
            latency_ns=self.latency_ns,
            highest_gbps=self.highest_gbps,
            rise=self.rise,
        )

    def __str__(self) -> str:
        if not self.saturated:
            return (
                f"not saturated: at {self.highest_gbps:.3g} GB/s, the most that the threads could make, "
                f"latency is {self.rise:.2f} times that without load"
            )
        return f"knee at {self.load_gbps:.3g} GB/s, where latency is {self.latency_ns:.0f} ns"


def find_knee(load_gbps: Sequence[float], latency_ns: Sequence[float]) -> Knee:
    """Find the point that is furthest from the chord, both axes being scaled to the curve's extent.

    After V. Satopaa et al., "Finding a 'Kneedle' in a Haystack", ICDCS Workshops 2011.

    Parameters
    ----------
    load_gbps, latency_ns : sequence of float
        The points, in any order; one of them without load [GB/s, ns].
    """
    load, latency = np.asarray(load_gbps, dtype=float), np.asarray(latency_ns, dtype=float)
    idle = float(latency[int(np.argmin(load))])
    highest, rise = float(load.max()), float(latency.max() / idle)
    if rise < SATURATED or highest <= 0:
        return Knee(saturated=False, load_gbps=None, latency_ns=None, highest_gbps=highest, rise=rise)
    distance = load / highest - (latency - idle) / (latency.max() - idle)
    at = int(np.argmax(distance))
    return Knee(
        saturated=True,
        load_gbps=float(load[at]),
        latency_ns=float(latency[at]),
        highest_gbps=highest,
        rise=rise,
    )
