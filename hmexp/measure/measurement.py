"""One measured quantity of one region, and what it takes to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

from hmexp.errors import PlacementError
from hmexp.measure.launches import join_results
from hmexp.measure.noise import Noise
from hmexp.measure.portrait import draw_measurement
from hmexp.measure.statistics import Summary, say_interval, summarise_launches
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placement import Placement
from hmexp.memory.region import Region
from hmexp.store.details import Details
from hmexp.store.evidence import Proof
from hmexp.store.results import Measured
from hmexp.units import format_size

#: Standard deviation of the samples, as a part of their mean, from which they are called unstable.
UNSTABLE: Final = 0.05


@dataclass(frozen=True)
class Measurement:
    """Samples of one quantity, with the placement before and after them.

    Parameters
    ----------
    operation : str
        A bandwidth operation, or the kind of latency.
    unit : str
        ``GB/s`` (10^9 bytes per second) or ``ns``.
    samples : numpy.ndarray
        One value per sample, shape ``(n,)`` [unit].
    sample_seconds : numpy.ndarray
        How long each sample took, shape ``(n,)`` [s].
    payload_bytes : int
        Bytes that each sample asked for [bytes].
    before, after : Placement
        Where every page was.
    profile : str or None
        Name of the emulation profile; None on real nodes.
    details : Details
        What else belongs to the number: threads, CPUs, vector width, lines in the ring.
    bus_bytes : int or None
        Estimate of what went over the bus for them, if no line was in a cache; None if there is no
        estimate [bytes].
    noise : Noise or None
        What else happened to each sample; disturbed ones are kept, and marked there.
    launches : tuple of Measurement
        The launches that this is made of, by `join`; empty for one launch.
    """

    operation: str
    unit: str
    samples: npt.NDArray[np.float64]
    sample_seconds: npt.NDArray[np.float64]
    payload_bytes: int
    before: Placement
    after: Placement
    profile: str | None
    details: Details
    bus_bytes: int | None = None
    noise: Noise | None = None
    launches: tuple[Measurement, ...] = ()

    @classmethod
    def join(cls, launches: Sequence[Self]) -> Self:
        """Make one measurement of several launches of the same point."""
        first, last = launches[0], launches[-1]
        if len(launches) == 1:
            return first
        noise = [launch.noise for launch in launches if launch.noise is not None]
        return replace(
            first,
            samples=np.concatenate([launch.samples for launch in launches]),
            sample_seconds=np.concatenate([launch.sample_seconds for launch in launches]),
            after=last.after,
            noise=Noise.join(noise) if len(noise) == len(launches) else None,
            launches=tuple(launches),
        )

    @property
    def summary(self) -> Summary:
        """Median, interval and spread [unit]: over launches, if there are several, else over samples."""
        return summarise_launches([launch.samples for launch in self.launches or (self,)])

    @property
    def median(self) -> float:
        """Median of the samples [unit]."""
        return self.summary.median

    @property
    def emulated(self) -> bool:
        """Whether the speed is that of a model in software."""
        return self.profile is not None

    def to_record(self) -> Measured:
        """The measurement as it is stored, without the proof."""
        if self.launches:
            return join_results([launch.to_record() for launch in self.launches])
        count, s = len(self.samples), self.summary
        return Measured(
            unit=self.unit,
            samples=tuple(round(float(value), 6) for value in self.samples),
            sample_seconds=tuple(round(float(value), 9) for value in self.sample_seconds),
            payload_bytes=(self.payload_bytes,) * count,
            bus_bytes=None if self.bus_bytes is None else (self.bus_bytes,) * count,
            n=s.n,
            median=s.median,
            ci_low=s.ci_low,
            ci_high=s.ci_high,
            mad=s.mad,
            minimum=s.minimum,
            maximum=s.maximum,
            interval_over=s.interval_over,
            details=self.details,
            noise=None if self.noise is None else self.noise.to_record(),
        )

    def proof_record(self) -> Proof:
        """The proof as it is stored: the first before, the last after."""
        return Proof(before=self.before.to_record(), after=self.after.to_record())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before trusting the number."""
        messages = [] if self.noise is None else list(self.noise.warnings)
        spread = float(np.std(self.samples) / np.mean(self.samples))
        if spread > UNSTABLE:
            messages.append(f"the samples are unstable: their standard deviation is {spread:.0%} of the mean")
        return tuple(messages)

    def __str__(self) -> str:
        s = self.summary
        emulated = f", EMULATED {self.profile}" if self.emulated else ""
        if s.interval is None:
            return f"{self.operation} {s.median:.4g} {self.unit} (a single sample, no interval{emulated})"
        interval = say_interval(s, lambda value: f"{value:.4g}", "..")
        return (
            f"{self.operation} {s.median:.4g} {self.unit} "
            f"(95 % interval over {self._over(s)} {interval}, n={s.n}{emulated})"
        )

    def _over(self, summary: Summary) -> str:
        return f"{len(self.launches)} launches" if summary.interval_over == "launches" else "samples"

    def _repr_html_(self) -> str:
        flags = () if self.noise is None else self.noise.flags
        return draw_measurement(
            self.operation, self.unit, self.samples.tolist(), self.summary, profile=self.profile,
            warnings=self.warnings, disturbed={i for i, marks in enumerate(flags) if marks},
            details=self.details, proof=self.after.summary,
        )  # fmt: skip


def proof(region: Region, stage: Literal["before", "after"]) -> Placement:
    """Where the pages of `region` are, `stage` the samples, if they are right.

    Raises
    ------
    PlacementError
        If they are not, with how many pages are where; or if huge pages were asked for and not given.
    """
    placement = region.placement()
    try:
        placement.require()
        if region.huge and placement.page_bytes != HUGE_PAGE_BYTES:
            raise PlacementError(
                f"pages of {format_size(HUGE_PAGE_BYTES)} were asked for, and only "
                f"{placement.huge_share:.1%} of the region is in such",
                "set /sys/kernel/mm/transparent_hugepage/enabled to madvise or always, make contiguous "
                "memory free (write 1 to /proc/sys/vm/compact_memory), or use a size that is a multiple",
                placement.to_record(),
            )
        return placement
    except PlacementError as error:
        error.stage = stage
        raise
