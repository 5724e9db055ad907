"""How much hosts differ, against how much the launches of one host do: variance components.

A launch of a host is taken as ``log y = mean + host + launch``, with both deviations random (a one-way model
of random effects). The component between hosts is what is left of the variance of the hosts' means after the
part that launches alone explain; with unequal numbers of launches, their harmonic mean stands for the number
(Thomas and Hultquist, Annals of Statistics 6, 1978, 582-587). Its interval is that of the generalised pivotal
quantity of Weerahandi (Journal of the American Statistical Association 88, 1993, 899-905).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

_DRAWS: Final = 20_000
_SEED: Final = 20_240_918


@dataclass(frozen=True)
class Components:
    """Two standard deviations, as parts of the value.

    Parameters
    ----------
    between : float
        Of hosts.
    low, high : float or None
        95 % interval of `between`; None where no host has two launches.
    within : float or None
        Of the launches of one host; None where no host has two.
    hosts, launches : int
        How many there are.
    """

    between: float
    low: float | None
    high: float | None
    within: float | None
    hosts: int
    launches: int


def find_components(groups: Sequence[Sequence[float]]) -> Components | None:
    """Tell the differences between hosts from those between launches.

    Parameters
    ----------
    groups : sequence of sequence of float
        The launches of each host; all above 0.

    Returns
    -------
    Components or None
        None of fewer than two hosts.
    """
    logs = [np.log(np.asarray(group, dtype=float)) for group in groups if len(group)]
    hosts, launches = len(logs), sum(map(len, logs))
    if hosts < 2:
        return None
    means = np.array([float(group.mean()) for group in logs])
    squares = float(means.var(ddof=1))
    free = launches - hosts
    if free < 1:
        return Components(math.sqrt(squares), None, None, None, hosts, launches)
    number = hosts / sum(1 / len(group) for group in logs)
    inside = sum(float(((group - mean) ** 2).sum()) for group, mean in zip(logs, means, strict=True))
    within = inside / free
    pivot = (hosts - 1) * squares / _chi_square(hosts - 1, 0) - inside / _chi_square(free, 1) / number
    low, high = np.quantile(np.maximum(pivot, 0), (0.025, 0.975))
    return Components(
        between=math.sqrt(max(0.0, squares - within / number)),
        low=math.sqrt(float(low)),
        high=math.sqrt(float(high)),
        within=math.sqrt(within),
        hosts=hosts,
        launches=launches,
    )


@lru_cache(maxsize=64)
def _chi_square(freedom: int, stream: int) -> npt.NDArray[np.float64]:
    """Draws that are the same each time; the two of one quantity are independent."""
    return np.random.default_rng([_SEED, stream, freedom]).chisquare(freedom, _DRAWS)
