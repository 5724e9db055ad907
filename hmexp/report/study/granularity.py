"""Granularity: what a program gets on average against the granule, and how far apart its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from hmexp.report.run.point import Estimate
from hmexp.report.study.results import StudyResults
from hmexp.store.parameters import GranulePoint
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured, Windows
from hmexp.units import format_size

#: Percentiles of the windows that the band spans.
BAND: Final = (5.0, 95.0)
#: What the pages of a granule are called, by whether they are of 2 MiB.
PAGES: Final = {False: "small pages", True: "2 MiB pages"}


@dataclass(frozen=True)
class Spread:
    """One quantity of one region: of the whole, and of its windows.

    Parameters
    ----------
    whole : Estimate
        Median over samples with its interval.
    windows : tuple of float
        Of each window.
    """

    whole: Estimate
    windows: tuple[float, ...]

    @property
    def low(self) -> float:
        """The lower edge of the band."""
        return float(np.percentile(self.windows, BAND[0]))

    @property
    def high(self) -> float:
        """The upper edge of the band."""
        return float(np.percentile(self.windows, BAND[1]))

    @property
    def middle(self) -> float:
        """Median of the windows."""
        return float(np.median(self.windows))

    @property
    def relative(self) -> float:
        """Width of the band as a part of the windows' median."""
        return (self.high - self.low) / self.middle


@dataclass(frozen=True)
class Granule:
    """A measured granule.

    Parameters
    ----------
    pattern : str
        Which nodes.
    granule_bytes : int
        Bytes in a row on one of them [bytes].
    huge : bool
        Whether pages of 2 MiB were asked for.
    emulated : bool
        Whether a node is emulated.
    bandwidth, latency : Spread
        In GB/s of payload, and ns a load. The whole region's latency is in an order over all of it, the
        windows' within each, which a TLB covers.
    misplaced : int
        Pages on a wrong node, before or after [pages].
    """

    pattern: str
    granule_bytes: int
    huge: bool
    emulated: bool
    bandwidth: Spread
    latency: Spread
    misplaced: int


def granules_of(study: StudyResults) -> list[Granule]:
    """The granules of a study, small pages first, ascending."""
    found = [_granule(*measured) for measured in study.measured(GranulePoint, Windows)]
    return sorted(found, key=lambda g: (g.pattern, g.huge, g.granule_bytes))


def _granule(given: GranulePoint, result: Windows, record: PointRecord) -> Granule:
    proof = result.proof
    looks = [] if proof is None else [look for look in (proof.before, proof.after) if look is not None]
    return Granule(
        given.pattern,
        given.granule_bytes,
        given.huge,
        record.emulated,
        _spread(result.bandwidth, result.window_gbps),
        _spread(result.latency, result.window_ns),
        max((look.misplaced for look in looks), default=0),
    )


def _spread(whole: Measured, windows: tuple[float, ...]) -> Spread:
    low = whole.median if whole.ci_low is None else whole.ci_low
    high = whole.median if whole.ci_high is None else whole.ci_high
    return Spread(Estimate(whole.median, low, high), windows)


def granules_frame(study: StudyResults) -> pd.DataFrame:
    """The table of granules, one row each."""
    rows = [
        {
            "pattern": g.pattern,
            "granule": format_size(g.granule_bytes),
            "pages": PAGES[g.huge],
            "emulated": g.emulated,
            "gbps": g.bandwidth.whole.median,
            "gbps_low": g.bandwidth.whole.low,
            "gbps_high": g.bandwidth.whole.high,
            "window_gbps_p5": g.bandwidth.low,
            "window_gbps_p95": g.bandwidth.high,
            "window_gbps_spread": g.bandwidth.relative,
            "ns": g.latency.whole.median,
            "ns_low": g.latency.whole.low,
            "ns_high": g.latency.whole.high,
            "window_ns_p5": g.latency.low,
            "window_ns_p95": g.latency.high,
            "window_ns_spread": g.latency.relative,
            "misplaced": g.misplaced,
            "timing_valid": study.run.timing_valid,
        }
        for g in granules_of(study)
    ]
    return pd.DataFrame(rows).convert_dtypes()
