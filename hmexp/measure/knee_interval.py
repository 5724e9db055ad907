"""How well samples say where a knee is: a bootstrap over samples, and over several launches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.measure.knee import Floats, Knee, furthest_load
from hmexp.measure.statistics import median_of

#: How often all samples are drawn anew; `tests/measure/test_knee_interval.py` states what that covers.
_DRAWS: Final = 400
_SEED: Final = 20201
_TAIL: Final = 0.025


@dataclass(frozen=True)
class RateSamples:
    """What one launch measured at one rate of the load.

    Parameters
    ----------
    load_gbps, latency_ns : tuple of float
        Load and latency in each sample [GB/s, ns].
    """

    load_gbps: tuple[float, ...]
    latency_ns: tuple[float, ...]


def with_interval(knee: Knee, launches: Sequence[Sequence[RateSamples]]) -> Knee:
    """Add the 95 % interval of the load at a knee.

    Launches are drawn anew with replacement, in each of them the samples of every step, and of each such
    curve of medians the furthest point from the chord is found. The percentiles of these points are the
    ends (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, with a fixed seed). Of points
    that noise does not separate every one may be the furthest: the interval has them all, and `find_knee`
    their mean.

    Parameters
    ----------
    knee : Knee
        Of the medians over the launches.
    launches : sequence of sequence of RateSamples
        The raw samples: each launch with the same rates in the same order.

    Returns
    -------
    Knee
        Without an interval where there is no knee, one launch with a single sample of a step, or where
        more than one draw of forty does not saturate the memory.
    """
    if knee.load_gbps is None or not launches or not launches[0]:
        return knee
    if len(launches) == 1 and min(len(step.latency_ns) for step in launches[0]) < 2:
        return knee
    load, latency = _drawn(launches, np.random.default_rng(_SEED))
    found = np.sort([furthest_load(*curve) for curve in zip(load, latency, strict=True)])
    ends = found[[int(_TAIL * (_DRAWS - 1)), int(np.ceil((1 - _TAIL) * (_DRAWS - 1)))]]
    if not np.isfinite(ends).all():
        return knee
    return replace(
        knee,
        ci_low=min(float(ends[0]), knee.load_gbps),
        ci_high=max(float(ends[1]), knee.load_gbps),
        interval_over="launches" if len(launches) > 1 else "samples",
    )


def _drawn(
    launches: Sequence[Sequence[RateSamples]], generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Medians over launches of medians over samples, drawn anew: loads, latencies, ``(draws, steps)``."""
    picked = generator.integers(0, len(launches), (_DRAWS, len(launches)))
    steps = [_drawn_step(step, picked, generator) for step in zip(*launches, strict=True)]
    return np.array([load for load, _ in steps]).T, np.array([latency for _, latency in steps]).T


def _drawn_step(
    every: Sequence[RateSamples], picked: npt.NDArray[np.int64], generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """The same of one step; `picked` says which launches make up a draw."""
    found = np.empty((2, *picked.shape))
    for number, step in enumerate(every):
        values = np.array([step.load_gbps, step.latency_ns])
        here = picked == number
        # A sample's load and its latency are drawn together: one is the other's reason.
        chosen = generator.integers(0, values.shape[1], (int(here.sum()), values.shape[1]))
        found[:, here] = median_of(values[:, chosen], axis=2)
    load, latency = median_of(found, axis=2)
    return load, latency
