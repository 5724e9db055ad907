"""Why the samples of a launch ended."""

from __future__ import annotations

from hmexp.store.schema import Stored


class Stop(Stored, frozen=True, kw_only=True, gc=False):
    """Why the samples of a launch ended.

    Parameters
    ----------
    stopped : str
        `precision` (the interval is narrow enough), `cap` (the most samples), `time` (each sample is a
        pass that takes so long that no more fit into the time of the most samples) or `fixed` (no rule).
    least : int
        Fewest samples.
    most : int
        Most samples.
    precision : float
        Half width of the interval, as a part of the median, that was asked for; 0 if none was.
    """

    stopped: str
    least: int
    most: int
    precision: float = 0.0
