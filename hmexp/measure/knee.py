"""Where a curve of latency against load leaves the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.store.curves import KneeRecord

#: Latency under the highest load, as a multiple of that without load, from which the memory counts as
#: saturated, as in P. Esmaili-Dokht et al., "A Mess of Memory System Benchmarking, Simulation and
#: Application Profiling", MICRO 2024. Below it the threads could not make enough traffic to tell: at five
#: sixths of what a node can do, a queue alone has been seen to make it 1.3 to 1.5.
SATURATED: Final = 2.0
#: Noise is read from the points up to the knee, and from so many at least.
_LEAST_GROUND: Final = 4
#: Distances within so many standard deviations of the noise, and at most this part, are alike. Both were
#: chosen by the simulation in `tests/measure/test_knee_noise.py`, which states what they give.
_ALIKE, _MOST_ALIKE = 3.0, 0.2
#: A standard deviation by the median of absolute values, of normal noise.
_NORMAL: Final = 1.4826
Floats = npt.NDArray[np.float64]


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
    ci_low, ci_high : float or None
        95 % interval of the load at the knee, by `hmexp.measure.knee_interval`; None where there is no
        knee, or the samples do not say [GB/s].
    interval_over : str
        What the interval covers: ``samples`` of one launch alone, or ``launches``.
    """

    saturated: bool
    load_gbps: float | None
    latency_ns: float | None
    highest_gbps: float
    rise: float
    ci_low: float | None = None
    ci_high: float | None = None
    interval_over: Literal["samples", "launches"] = "samples"

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval [GB/s]; None where there is none."""
        return None if self.ci_low is None or self.ci_high is None else (self.ci_low, self.ci_high)

    def to_record(self) -> KneeRecord:
        """The knee as it is stored."""
        return KneeRecord(
            saturated=self.saturated,
            load_gbps=self.load_gbps,
            latency_ns=self.latency_ns,
            highest_gbps=self.highest_gbps,
            rise=self.rise,
            ci_low=self.ci_low,
            ci_high=self.ci_high,
            interval_over=self.interval_over,
        )

    def __str__(self) -> str:
        if not self.saturated:
            return (
                f"not saturated: at {self.highest_gbps:.3g} GB/s, the most that the threads could make, "
                f"latency is {self.rise:.2f} times that without load"
            )
        over = ""
        if self.interval is not None:
            low, high = self.interval
            over = f" (95 % interval over {self.interval_over} {low:.3g}..{high:.3g})"
        return f"knee at {self.load_gbps:.3g} GB/s{over}, where latency is {self.latency_ns:.0f} ns"


def find_knee(load_gbps: Sequence[float], latency_ns: Sequence[float]) -> Knee:
    """Find the point that is furthest from the chord, both axes being scaled to the curve's extent.

    After V. Satopaa et al., "Finding a 'Kneedle' in a Haystack", ICDCS Workshops 2011. Around a knee the
    distance is nearly level, so that noise alone would choose among many points. Latency is therefore fitted
    by the nearest curve that never falls, and the knee is the mean of all points whose distance the curve's
    own noise cannot tell from the greatest, weighted by how far they stand out. Without noise that is the
    furthest point.

    Parameters
    ----------
    load_gbps, latency_ns : sequence of float
        The points, in any order; one of them without load [GB/s, ns].
    """
    load, raw = np.asarray(load_gbps, dtype=float), np.asarray(latency_ns, dtype=float)
    order = np.argsort(load, kind="stable")
    load, raw = load[order], raw[order]
    latency = _never_falling(raw)
    idle, top, highest = float(latency[0]), float(latency[-1]), float(load[-1])
    rise = top / idle
    if rise < SATURATED or highest <= 0:
        return Knee(saturated=False, load_gbps=None, latency_ns=None, highest_gbps=highest, rise=rise)
    distance = _distance(load, latency)
    at = int(np.argmax(distance))
    ground = max(at + 1, _LEAST_GROUND)
    noise = _noise(load[:ground], raw[:ground]) * latency[at] / (top - idle)
    alike = min(_MOST_ALIKE, _ALIKE * noise / distance[at]) if distance[at] > 0 else 0.0
    weights = np.clip(distance - (1 - alike) * distance[at], 0.0, None)
    found = float(np.average(load, weights=weights)) if weights.sum() > 0 else float(load[at])
    return Knee(
        saturated=True,
        load_gbps=found,
        latency_ns=float(np.interp(found, load, latency)),
        highest_gbps=highest,
        rise=rise,
    )


def furthest_load(load_gbps: Floats, latency_ns: Floats) -> float:
    """Find the load of the one point that is furthest from the chord.

    Parameters
    ----------
    load_gbps, latency_ns : numpy.ndarray
        The points, in any order, shape ``(n,)`` [GB/s, ns].

    Returns
    -------
    float
        The load; infinite where the memory was not saturated [GB/s].
    """
    order = np.argsort(load_gbps, kind="stable")
    load, latency = load_gbps[order], _never_falling(latency_ns[order])
    if latency[-1] < SATURATED * latency[0] or load[-1] <= 0:
        return float("inf")
    return float(load[np.argmax(_distance(load, latency))])


def _distance(load: Floats, latency: Floats) -> Floats:
    """How far each point is below the chord, both axes being scaled to the curve's extent."""
    return np.asarray(load / load[-1] - (latency - latency[0]) / (latency[-1] - latency[0]))


def _never_falling(values: Floats) -> Floats:
    """The nearest sequence by least squares that never falls: neighbours that do are averaged.

    R. E. Barlow et al., "Statistical Inference under Order Restrictions", 1972.
    """
    means: list[float] = []
    counts: list[int] = []
    for value in values:
        means.append(float(value))
        counts.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            count = counts[-2] + counts[-1]
            means[-2] = (means[-2] * counts[-2] + means[-1] * counts[-1]) / count
            counts[-2] = count
            means.pop()
            counts.pop()
    return np.repeat(means, counts)


def _noise(load: Floats, latency: Floats) -> float:
    """Standard deviation of latencies from the straight line between their neighbours, as a part of them."""
    if len(load) < _LEAST_GROUND - 1:
        return 0.0
    along = (load[1:-1] - load[:-2]) / np.maximum(load[2:] - load[:-2], np.finfo(float).tiny)
    off = latency[1:-1] - (latency[:-2] * (1 - along) + latency[2:] * along)
    # Of three values with the same noise, the one in the middle against a mean of the others.
    off = off / np.sqrt(1 + along**2 + (1 - along) ** 2)
    return float(_NORMAL * np.median(np.abs(off) / latency[1:-1]))
