"""Few figures from a family of curves: the link, or the medium, that explains its peaks best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hmexp.errors import EmulationError
from hmexp.memory.duplex import Carriers, Link, Medium

#: Beyond it the figures do not say what was measured: the family must be used as it is, or measured again.
WORST: Final = 0.10


@dataclass(frozen=True)
class Fit:
    """What explains the peaks of a family, and how well.

    Parameters
    ----------
    carriers : Carriers
        The figures.
    worst : float
        The largest error of a peak, as a part of it.
    """

    carriers: Carriers
    worst: float


def fit_peaks(read_shares: Sequence[float], peaks_gbps: Sequence[float]) -> Fit:
    """Find the link or the medium whose peaks are nearest to measured ones.

    Both are fitted by least squares of relative errors of the time for each byte, and the one whose largest
    error is smaller is taken.

    Parameters
    ----------
    read_shares : sequence of float
        Shares of reads, from 0 to 1.
    peaks_gbps : sequence of float
        The most bandwidth at each [GB/s].

    Raises
    ------
    EmulationError
        If neither is within 10 % of every peak.
    """
    shares, peaks = np.asarray(read_shares, dtype=float), np.asarray(peaks_gbps, dtype=float)
    candidates = [Carriers(medium=fit_medium(shares, peaks))]
    candidates += [Carriers(link=link) for link in _links(shares, peaks)]
    fits = [Fit(each, _worst(each, shares, peaks)) for each in candidates]
    best = min(fits, key=lambda fit: fit.worst)
    if not best.worst <= WORST:
        raise EmulationError(
            f"no link and no medium explains the peaks of the curves within {WORST:.0%}: the best is "
            f"{best.worst:.0%} off",
            "give read_gbps and write_gbps instead, or look for a curve that did not reach saturation",
        )
    return best


def fit_medium(shares: np.ndarray, peaks: np.ndarray) -> Medium:
    """Fit read rate, write rate and turnaround; what does not help is left out."""
    times = 1 / peaks
    columns = np.stack([shares, 1 - shares, np.sqrt(shares * (1 - shares))], axis=1)
    for used in ((0, 1, 2), (0, 1)):
        # Each row divided by what was measured: errors are relative.
        chosen = columns[:, used] / times[:, None]
        if np.linalg.matrix_rank(chosen) < len(used):
            continue
        found = np.linalg.lstsq(chosen, np.ones(len(times)), rcond=None)[0]
        if np.all(found[:2] > 0) and (len(used) == 2 or found[2] >= 0):
            turning = math.inf if len(used) == 2 or found[2] == 0 else 1 / float(found[2])
            return Medium(1 / float(found[0]), 1 / float(found[1]), turning)
    mean = float(1 / np.mean(times))
    return Medium(mean, mean)


def _links(shares: np.ndarray, peaks: np.ndarray) -> list[Link]:
    """Every link in which one direction limits the shares below a split, and the other those above it."""
    order = np.argsort(shares)
    shares, peaks = shares[order], peaks[order]
    found = []
    for split in range(len(shares) + 1):
        toward, request = _direction(1 - shares, peaks, slice(None, split))
        back, completion = _direction(shares, peaks, slice(split, None))
        if toward > 0 and back > 0:
            found.append(Link(toward, back, request, completion))
    return found


def _direction(own: np.ndarray, peaks: np.ndarray, limited: slice) -> tuple[float, float]:
    """Rate and cross cost of a direction, of whose own data the traffic has a share `own`.

    Where it limits no peak, it is as slow as it can be without limiting one; one peak alone says nothing of
    the cross cost.
    """
    here = peaks[limited]
    if len(here) < 2:
        carried = own * peaks if len(here) == 0 else own[limited] * here
        return float(np.max(carried)), 0.0
    # Time is (own + cross (1 - own)) / rate.
    start, slope = _line(own[limited], 1 / here)
    whole = start + slope
    return (1 / whole, max(start / whole, 0.0)) if whole > 0 else (0.0, 0.0)


def _line(shares: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """Time at no reads and its slope, by least squares of relative errors."""
    columns = np.stack([np.ones(len(shares)), shares], axis=1) / times[:, None]
    start, slope = np.linalg.lstsq(columns, np.ones(len(times)), rcond=None)[0]
    return float(start), float(slope)


def _worst(carriers: Carriers, shares: np.ndarray, peaks: np.ndarray) -> float:
    found = np.asarray([carriers.peak_gbps(float(share)) for share in shares])
    return float(np.max(np.abs(found / peaks - 1)))
