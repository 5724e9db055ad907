"""Whether and where a row of numbers changed its level: one value for each run, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: With fewer values no change shows beyond the noise: nothing is known of the noise itself.
LEAST_VALUES: Final = 5
_ROWS: Final = 2000
_SEED: Final = 1977


def find_shifts(values: Sequence[float], chance: float = 0.05) -> list[int]:
    """Find the values at which a new level begins.

    Of all parts of the row the one that differs most from the rest is taken, by Student's t, which finds a
    change that was undone as well as one that lasts (A. Olshen, E. Venkatraman, "Circular binary
    segmentation", Biostatistics 5, 2004). It is held against the same of rows without a change, which are
    drawn: for normal noise of unknown size that is exact (after D. Hawkins, JASA 72, 1977). What is found is
    cut again. A part has two values or more, but for the newest: whether that differs is asked most.

    Parameters
    ----------
    values : sequence of float
        For speeds, their logarithms.
    chance : float
        How often a row without a change may be said to have one.

    Returns
    -------
    list of int
        Index of the first value of each new level, in their order.
    """
    found: set[int] = set()
    parts = [(0, len(values))]
    array = np.asarray(values, dtype=np.float64)
    while parts:
        start, end = parts.pop()
        edges, p = strongest_shift(array[start:end])
        if edges and p <= chance:
            inner = [start, *(start + edge for edge in edges), end]
            found |= set(inner[1:-1])
            parts += list(pairwise(inner))
    return sorted(found)


def strongest_shift(values: Sequence[float] | Floats) -> tuple[tuple[int, ...], float]:
    """Where the most likely change of level begins and ends, and how often one as clear is seen without any.

    Parameters
    ----------
    values : sequence of float
        The row.

    Returns
    -------
    (tuple of int, float)
        One or two first values of a new level, and the p-value; none and 1 of too few values, or equal ones.
    """
    row = np.asarray(values, dtype=np.float64)
    n = len(row)
    if n < LEAST_VALUES or not np.ptp(row) > 0:
        return (), 1.0
    explained = [_explained(row[np.newaxis, :], start)[0] for start in range(n)]
    start = int(np.argmax([each.max(initial=0.0) for each in explained]))
    end = start + 1 + int(np.argmax(explained[start]))
    p = (1 + int((_null(n) >= explained[start].max()).sum())) / (_ROWS + 1)
    return tuple(edge for edge in (start, end) if 0 < edge < n), p


@lru_cache(maxsize=64)
def _null(n: int) -> Floats:
    rows = np.random.default_rng(_SEED).standard_normal((_ROWS, n))
    largest = np.zeros(_ROWS)
    for start in range(n):
        largest = np.maximum(largest, _explained(rows, start).max(axis=1, initial=0.0))
    return largest


def _explained(rows: Floats, start: int) -> Floats:
    """The share of each row's squares that a part explains, from `start` to each later end; 0 if not allowed.

    That is a monotone function of the square of Student's t of the part against the rest.
    """
    n = rows.shape[1]
    ends = np.arange(start + 1, n + 1)
    inside, left, right = ends - start, start, n - ends
    centred = rows - rows.mean(axis=1, keepdims=True)
    sums = np.cumsum(centred[:, start:], axis=1)
    allowed = (inside >= 2) | (ends == n)
    # One value alone is a level only at the end: at the beginning it is an outlier, as in the middle.
    allowed &= (left != 1) & (inside < n) & (n - inside >= 2 - (right == 1))
    between = np.where(allowed, sums**2 * n / (inside * np.maximum(n - inside, 1)), 0.0)
    explained: Floats = between / (centred**2).sum(axis=1, keepdims=True)
    return explained
