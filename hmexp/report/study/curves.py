"""Families of curves, of a run or of a file; their knees, and the best pattern of each mix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from hmexp.measure.knee import Knee, find_knee
from hmexp.measure.knee_interval import RateSamples, with_interval
from hmexp.memory.family import Family, FamilyCurve
from hmexp.report.study.results import StudyResults
from hmexp.store.curves import LoadedRate
from hmexp.store.details import LoadedDetails
from hmexp.store.parameters import CurvePoint
from hmexp.store.results import Measured
from hmexp.store.schema import Remark


@dataclass(frozen=True)
class DrawnCurve:
    """One curve: of all launches, sorted by bandwidth.

    Parameters
    ----------
    read_percent : float
        Share of reads in the traffic [%].
    pauses_ns : tuple of int or None
        Pause of a thread after each burst; None without a load [ns].
    bandwidth_gbps, latency_ns : tuple of float
        Bandwidth of all traffic, and latency of a dependent load meanwhile: medians over launches [GB/s, ns].
    bandwidth_spread, latency_spread : tuple of float
        Standard deviation over launches [GB/s, ns].
    peaks_gbps : tuple of float
        The highest bandwidth of each launch [GB/s].
    launches : tuple of tuple of RateSamples
        The raw samples at each of these loads, launch by launch; empty for curves of a file.
    """

    read_percent: float
    pauses_ns: tuple[int | None, ...]
    bandwidth_gbps: tuple[float, ...]
    latency_ns: tuple[float, ...]
    bandwidth_spread: tuple[float, ...] = ()
    latency_spread: tuple[float, ...] = ()
    peaks_gbps: tuple[float, ...] = ()
    launches: tuple[tuple[RateSamples, ...], ...] = ()

    @cached_property
    def knee(self) -> Knee:
        """Where latency leaves the ground, or that the load was not enough to tell."""
        return with_interval(find_knee(self.bandwidth_gbps, self.latency_ns), self.launches)

    @property
    def peak_gbps(self) -> float:
        """The highest bandwidth: of launches, the median of theirs [GB/s]."""
        return float(np.median(self.peaks_gbps)) if self.peaks_gbps else max(self.bandwidth_gbps)

    @property
    def peak_interval(self) -> tuple[float, float]:
        """The lowest and the highest peak of a launch [GB/s]."""
        ends = self.peaks_gbps or (self.peak_gbps,)
        return min(ends), max(ends)

    def to_family(self) -> FamilyCurve:
        """The curve as a profile has it."""
        points = zip(self.bandwidth_gbps, self.latency_ns, strict=True)
        return FamilyCurve.from_points(self.read_percent, points)


@dataclass(frozen=True)
class DrawnFamily:
    """The curves of one pattern with one kind of stores, by ascending share of reads.

    Parameters
    ----------
    pattern : str
        Nodes in order; the name of the file for curves of a file.
    stores : str
        ``nt`` or ``regular``; ``unknown`` for curves of a file.
    curves : tuple of DrawnCurve
        One for each share of reads.
    """

    pattern: str
    stores: str
    curves: tuple[DrawnCurve, ...]

    def curve(self, read_percent: float) -> DrawnCurve | None:
        """Find the curve of a share of reads; None if there is none."""
        return next((each for each in self.curves if each.read_percent == read_percent), None)

    def to_family(self) -> Family:
        """The family as a profile has it."""
        return Family(tuple(curve.to_family() for curve in self.curves))


def families_of(study: StudyResults) -> list[DrawnFamily]:
    """The families of a run."""
    found: dict[tuple[str, str], list[DrawnCurve]] = {}
    for given, result, _ in study.measured(CurvePoint, Measured):
        curve = _curve(given, result)
        if curve is not None:
            found.setdefault((given.pattern, given.stores), []).append(curve)
            # Reads alone belong to both kinds of stores, and are measured once.
            if given.read_percent == 100:
                other = "regular" if given.stores == "nt" else "nt"
                if any(p.stores == other for p in _points(study)):
                    found.setdefault((given.pattern, other), []).append(curve)
    return [
        DrawnFamily(pattern, stores, tuple(sorted(curves, key=lambda curve: curve.read_percent)))
        for (pattern, stores), curves in sorted(found.items())
    ]


def _points(study: StudyResults) -> list[CurvePoint]:
    return [r.parameters for r in study.records if isinstance(r.parameters, CurvePoint)]


def _curve(given: CurvePoint, result: Measured) -> DrawnCurve | None:
    every = [launch.details for launch in result.launches] or [result.details]
    launches = [details for details in every if isinstance(details, LoadedDetails) and details.curve]
    if not launches:
        return None
    taken: dict[int | None, list[tuple[float, float]]] = {}
    peaks = []
    for details in launches:
        traffic = _traffic(details)
        for rate in details.curve:
            taken.setdefault(rate.delay_ns, []).append((rate.load_gbps * traffic, rate.median))
        peaks.append(peak_of(details))
    # Loads beside the knee are of one launch each: what all have is what is compared.
    common = {pause: values for pause, values in taken.items() if len(values) == len(launches)}
    rows = [
        (*np.median(values, axis=0).tolist(), *np.std(values, axis=0).tolist(), pause)
        for pause, values in common.items()
    ]
    rows.sort(key=lambda row: row[:2])
    return DrawnCurve(
        given.read_percent,
        tuple(row[4] for row in rows),
        tuple(row[0] for row in rows),
        tuple(row[1] for row in rows),
        tuple(row[2] for row in rows),
        tuple(row[3] for row in rows),
        tuple(peaks),
        tuple(_steps(details, common) for details in launches),
    )


def _steps(details: LoadedDetails, pauses: Iterable[int | None]) -> tuple[RateSamples, ...]:
    """The raw samples of a launch at these pauses."""
    traffic, rates = _traffic(details), {rate.delay_ns: rate for rate in details.curve}
    return tuple(_step(rates[pause], traffic) for pause in pauses)


def _step(rate: LoadedRate, traffic: float) -> RateSamples:
    samples = rate.samples or (rate.median,)
    # Records that are older have no load of each sample.
    loads = rate.loads if len(rate.loads) == len(samples) else (rate.load_gbps,) * len(samples)
    return RateSamples(tuple(load * traffic for load in loads), samples)


def peak_of(details: LoadedDetails) -> float:
    """The most traffic that the curve of a launch carries [GB/s]."""
    return max(rate.load_gbps for rate in details.curve) * _traffic(details)


def _traffic(details: LoadedDetails) -> float:
    """Traffic for each byte of payload: a regular store reads its line first."""
    cost = details.per_payload
    return 1.0 if cost is None else 1 + cost.write_allocates


def curves_frame(study: StudyResults) -> pd.DataFrame:
    """The table of curves: a row for each, with its knee."""
    return frame_of(families_of(study))


def frame_of(families: Iterable[DrawnFamily]) -> pd.DataFrame:
    """The same for families from anywhere."""
    return pd.DataFrame(curve_records(families)).convert_dtypes()


def curve_records(families: Iterable[DrawnFamily]) -> list[dict[str, Remark]]:
    """A row for each curve, JSON-able: what it carries at most, and its knee."""
    rows: list[dict[str, Remark]] = []
    for family in families:
        for curve in family.curves:
            knee, (low, high) = curve.knee, curve.peak_interval
            rows.append(
                {
                    "pattern": family.pattern,
                    "stores": family.stores,
                    "read_percent": curve.read_percent,
                    "peak_gbps": curve.peak_gbps,
                    "peak_gbps_low": low,
                    "peak_gbps_high": high,
                    "idle_ns": curve.latency_ns[0],
                    "saturated": knee.saturated,
                    "knee_gbps": knee.load_gbps,
                    "knee_gbps_low": knee.ci_low,
                    "knee_gbps_high": knee.ci_high,
                    "knee_ns": knee.latency_ns,
                    "rise": knee.rise,
                }
            )
    return rows


@dataclass(frozen=True)
class BestPattern:
    """Which pattern carries the most traffic of a mix.

    Parameters
    ----------
    stores : str
        ``nt`` or ``regular``.
    read_percent : float
        Share of reads in the traffic [%].
    pattern : str
        The pattern.
    peak_gbps : float
        What it carries [GB/s].
    as_good : tuple of str
        Others whose peaks, over launches, overlap with it.
    """

    stores: str
    read_percent: float
    pattern: str
    peak_gbps: float
    as_good: tuple[str, ...] = ()


def best_patterns(families: Sequence[DrawnFamily]) -> list[BestPattern]:
    """The best of all patterns at each share of reads, for both kinds of stores."""
    found = []
    for stores in dict.fromkeys(family.stores for family in families):
        same = [family for family in families if family.stores == stores]
        shares = sorted({curve.read_percent for family in same for curve in family.curves})
        for share in shares:
            there = [(family.pattern, c) for family in same if (c := family.curve(share)) is not None]
            if len(there) < 2:
                continue
            name, best = max(there, key=lambda pair: pair[1].peak_gbps)
            low = best.peak_interval[0]
            as_good = tuple(p for p, c in there if p != name and c.peak_interval[1] >= low)
            found.append(BestPattern(stores, share, name, best.peak_gbps, as_good))
    return found


def best_frame(study: StudyResults) -> pd.DataFrame:
    """The table of best patterns."""
    rows = [
        {
            "stores": best.stores,
            "read_percent": best.read_percent,
            "pattern": best.pattern,
            "peak_gbps": best.peak_gbps,
            "as_good": " ".join(best.as_good),
        }
        for best in best_patterns(families_of(study))
    ]
    return pd.DataFrame(rows).convert_dtypes()


def say_position(family: DrawnFamily, gbps: float, read_percent: float) -> str:
    """Say where a program with this traffic and mix stands on a family.

    Parameters
    ----------
    family : DrawnFamily
        Of one pattern.
    gbps : float
        The program's traffic [GB/s].
    read_percent : float
        Its share of reads [%].
    """
    found, share = family.to_family(), read_percent / 100
    peak, start = found.peak_gbps(share), f"On {family.pattern} ({family.stores} stores)"
    traffic = f"{gbps:.4g} GB/s with {read_percent:g} % reads"
    if gbps > peak:
        return f"{start}, {traffic} is more than the {peak:.4g} GB/s that it carries."
    latency, idle = found.latency_ns(share, gbps), found.latency_at(share, 0.0)
    return (
        f"{start}, {traffic} is {gbps / peak:.0%} of what it carries: a dependent load takes "
        f"{latency:.4g} ns, {latency / idle:.2f} times that without load."
    )
