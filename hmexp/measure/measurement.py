"""One measured quantity of one region, and what it takes to believe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.errors import ParameterError, PlacementError
from hmexp.measure.noise import Noise
from hmexp.measure.portrait import draw_measurement
from hmexp.measure.statistics import Summary, summarise
from hmexp.memory.placement import Placement
from hmexp.memory.region import Region

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
    details : dict
        What else belongs to the number: threads, CPUs, vector width, lines in the ring.
    bus_bytes : int or None
        Estimate of what went over the bus for them, if no line was in a cache; None if there is no
        estimate [bytes].
    noise : Noise or None
        What else happened to each sample; disturbed ones are kept, and marked there.
    """

    operation: str
    unit: str
    samples: npt.NDArray[np.float64]
    sample_seconds: npt.NDArray[np.float64]
    payload_bytes: int
    before: Placement
    after: Placement
    profile: str | None
    details: dict[str, Any] = field(default_factory=dict)
    bus_bytes: int | None = None
    noise: Noise | None = None

    @property
    def summary(self) -> Summary:
        """Median, interval and spread of the samples [unit]."""
        return summarise(self.samples)

    @property
    def median(self) -> float:
        """Median of the samples [unit]."""
        return self.summary.median

    @property
    def emulated(self) -> bool:
        """Whether the speed is that of a model in software."""
        return self.profile is not None

    def to_record(self) -> dict[str, Any]:
        """The measurement as JSON-able values, without the proofs."""
        return {
            "unit": self.unit,
            "samples": [round(float(value), 6) for value in self.samples],
            "sample_seconds": [round(float(value), 9) for value in self.sample_seconds],
            "payload_bytes": [self.payload_bytes] * len(self.samples),
            "bus_bytes": None if self.bus_bytes is None else [self.bus_bytes] * len(self.samples),
            **self.summary.to_record(),
            "details": self.details,
            "noise": None if self.noise is None else self.noise.to_record(),
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before trusting the number."""
        told = [] if self.noise is None else list(self.noise.warnings)
        spread = float(np.std(self.samples) / np.mean(self.samples))
        if spread > UNSTABLE:
            told.append(f"the samples are unstable: their standard deviation is {spread:.0%} of the mean")
        return tuple(told)

    def __str__(self) -> str:
        s = self.summary
        emulated = f", EMULATED {self.profile}" if self.emulated else ""
        return (
            f"{self.operation} {s.median:.4g} {self.unit} "
            f"(95 % interval {s.ci_low:.4g}..{s.ci_high:.4g}, n={s.n}{emulated})"
        )

    def _repr_html_(self) -> str:
        flags = () if self.noise is None else self.noise.flags
        return draw_measurement(
            self.operation, self.unit, self.samples.tolist(), self.summary, profile=self.profile,
            warnings=self.warnings, disturbed={i for i, marks in enumerate(flags) if marks},
            details=self.details, proof=self.after.summary,
        )  # fmt: skip


def require_samples(samples: int, sample_seconds: float) -> None:
    """Refuse a number of samples, or a length, that cannot give a number worth having.

    Raises
    ------
    ParameterError
        Naming the value and the range.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 100_000:
        raise ParameterError(f"samples {samples!r} is not a whole number from 1 to 100000")
    if isinstance(sample_seconds, bool) or not isinstance(sample_seconds, int | float):
        raise ParameterError(f"sample_seconds {sample_seconds!r} is not a number")
    if not 0.001 <= sample_seconds <= 60:
        raise ParameterError(
            f"sample_seconds {sample_seconds} is outside 0.001..60",
            "shorter samples measure the clock and the scheduler, not the memory",
        )


def proof(region: Region, stage: Literal["before", "after"]) -> Placement:
    """Where the pages of `region` are, `stage` the samples, if they are right.

    Raises
    ------
    PlacementError
        If they are not, with how many pages are where.
    """
    placement = region.placement()
    try:
        return placement.require()
    except PlacementError as error:
        error.stage = stage
        raise
