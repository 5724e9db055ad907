"""What a hybrid region should do, from what its two kinds of memory do alone.

With ``x`` the share of pages on DRAM:

* bandwidth ``B(x) = min(B_d / x, B_n / (1 - x))``. Every byte comes from one of two memories that work
  at the same time; the region is done when the slower of the two is. It assumes that the memories have
  channels of their own, and that enough requests are in flight to keep both busy.
* latency ``L(x) = x L_d + (1 - x) L_n``: the mean of independent, unloaded accesses spread as the pages.

How good the bandwidth formula is, by published figures (STREAM on DRAM and CXL: G. Price, cover letter
of Linux' weighted-interleave patch series v4, 2024): at 1:1 it agrees to 0.6 %; at 9:1, next to the
optimum, the machine stays 6 to 14 % below it. Memories that share channels may break it further (MIKU,
arXiv 2503.17864: CXL load can cut DDR bandwidth by up to 81 %).
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

from hmexp.errors import ParameterError

Floats = NDArray[np.float64]


def _shares(dram_share: float | Floats) -> Floats:
    shares = np.asarray(dram_share, dtype=np.float64)
    if not bool(np.all((shares >= 0) & (shares <= 1))):  # also false for NaN
        raise ParameterError(
            f"DRAM share {dram_share!r} is not between 0 and 1", "give a fraction, not a percentage"
        )
    return shares


def _positive(name: str, value: float) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ParameterError(f"{name} {value!r} is not a positive number", "measure the node alone first")
    return float(value)


@overload
def bandwidth_gbps(dram_share: float, dram_gbps: float, slow_gbps: float) -> float: ...
@overload
def bandwidth_gbps(dram_share: Floats, dram_gbps: float, slow_gbps: float) -> Floats: ...
def bandwidth_gbps(dram_share: float | Floats, dram_gbps: float, slow_gbps: float) -> float | Floats:
    """Bandwidth of a region whose pages lie on DRAM by a share and on a slow node otherwise.

    Parameters
    ----------
    dram_share : float or array of float
        Share of pages on DRAM, from 0 to 1.
    dram_gbps, slow_gbps : float
        Bandwidth of each memory alone [GB/s].

    Returns
    -------
    float or array of float
        ``min(dram_gbps / x, slow_gbps / (1 - x))`` [GB/s]: a float for a float, else an array.
    """
    shares = _shares(dram_share)
    dram, slow = _positive("dram_gbps", dram_gbps), _positive("slow_gbps", slow_gbps)
    unlimited = np.full(shares.shape, np.inf)
    by_dram = np.divide(dram, shares, out=unlimited.copy(), where=shares > 0)
    by_slow = np.divide(slow, 1 - shares, out=unlimited, where=shares < 1)
    result: Floats = np.minimum(by_dram, by_slow)
    return result if isinstance(dram_share, np.ndarray) else float(result)


def best_share(dram_gbps: float, slow_gbps: float) -> float:
    """Share of pages on DRAM at which `bandwidth_gbps` peaks, at ``dram_gbps + slow_gbps``."""
    dram, slow = _positive("dram_gbps", dram_gbps), _positive("slow_gbps", slow_gbps)
    return dram / (dram + slow)


@overload
def latency_ns(dram_share: float, dram_ns: float, slow_ns: float) -> float: ...
@overload
def latency_ns(dram_share: Floats, dram_ns: float, slow_ns: float) -> Floats: ...
def latency_ns(dram_share: float | Floats, dram_ns: float, slow_ns: float) -> float | Floats:
    """Mean idle latency of a region whose pages lie on DRAM by a share and on a slow node otherwise.

    Parameters
    ----------
    dram_share : float or array of float
        Share of pages on DRAM, from 0 to 1.
    dram_ns, slow_ns : float
        Latency of each memory alone [ns].

    Returns
    -------
    float or array of float
        ``x dram_ns + (1 - x) slow_ns`` [ns]: a float for a float, else an array.
    """
    shares = _shares(dram_share)
    result: Floats = shares * _positive("dram_ns", dram_ns) + (1 - shares) * _positive("slow_ns", slow_ns)
    return result if isinstance(dram_share, np.ndarray) else float(result)
