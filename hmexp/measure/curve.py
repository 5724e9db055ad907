"""A curve of latency against load."""

from __future__ import annotations

from dataclasses import dataclass

from hmexp.measure.knee import Knee
from hmexp.measure.noise import Noise
from hmexp.measure.statistics import Summary
from hmexp.memory.placement import Placement
from hmexp.store.curves import LoadedRate
from hmexp.store.details import LoadedDetails
from hmexp.store.results import CurveRecord


@dataclass(frozen=True)
class LoadedPoint:
    """One rate of injection.

    Parameters
    ----------
    delay_ns : int or None
        Pause after each burst; None is no load at all [ns].
    load_gbps : float
        Payload of the injecting threads, in the time that the chase was timed, the median [GB/s].
    latency : Summary
        Of a dependent load [ns].
    samples : tuple of float
        The latency in each sample [ns].
    loads_gbps : tuple of float
        The load in each sample [GB/s].
    noise : Noise
        What else happened.
    hops : int
        Loads of the chase in each sample.
    """

    delay_ns: int | None
    load_gbps: float
    latency: Summary
    samples: tuple[float, ...]
    loads_gbps: tuple[float, ...]
    noise: Noise
    hops: int


@dataclass(frozen=True)
class LoadedCurve:
    """Latency against load, from no load to all that the threads can make.

    Parameters
    ----------
    operation : str
        That is injected.
    probe_pattern, load_pattern : str
        Where the chase is, and where the load is.
    threads : int
        That inject.
    points : tuple of LoadedPoint
        The longest pause first; the first has no load at all.
    knee : Knee
        Where the latency leaves the ground, if it does.
    before, after : tuple of Placement
        Where every page was: of the probe's region, and of the load's if it is another.
    profile : str or None
        Name of the emulation profile; None on real nodes.
    details : LoadedDetails
        The ring, the CPUs, the bursts.
    """

    operation: str
    probe_pattern: str
    load_pattern: str
    threads: int
    points: tuple[LoadedPoint, ...]
    knee: Knee
    before: tuple[Placement, ...]
    after: tuple[Placement, ...]
    profile: str | None
    details: LoadedDetails

    @property
    def idle_ns(self) -> float:
        """Latency without load [ns]."""
        return self.points[0].latency.median

    @property
    def rates(self) -> tuple[LoadedRate, ...]:
        """The points as they are stored."""
        return tuple(
            LoadedRate(
                delay_ns=p.delay_ns,
                load_gbps=round(p.load_gbps, 4),
                median=p.latency.median,
                ci_low=p.latency.ci_low,
                ci_high=p.latency.ci_high,
                mad=p.latency.mad,
                minimum=p.latency.minimum,
                maximum=p.latency.maximum,
                n=p.latency.n,
                interval_over=p.latency.interval_over,
                samples=tuple(round(v, 4) for v in p.samples),
                loads=tuple(round(v, 4) for v in p.loads_gbps),
                noise=p.noise.to_record(),
            )
            for p in self.points
        )

    def to_record(self) -> CurveRecord:
        """The curve as it is stored."""
        return CurveRecord(
            operation=self.operation,
            probe_pattern=self.probe_pattern,
            load_pattern=self.load_pattern,
            threads=self.threads,
            points=self.rates,
            knee=self.knee.to_record(),
            emulated=self.profile is not None,
            profile=self.profile,
            details=self.details,
            before=tuple(p.to_record() for p in self.before),
            after=tuple(p.to_record() for p in self.after),
        )
