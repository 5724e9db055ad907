"""A point as far as a comparison needs it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.report.comparison.walked import PLAIN, find_walked
from hmexp.report.run.point import Point, short_pattern
from hmexp.report.run.wording import say_parameter
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.store.schema import Fact
from hmexp.store.shapes import ShapeRecord

#: How much was measured, not what: points that differ in these alone are the same.
EFFORT: Final = frozenset({"samples", "sample_seconds", "launches", "precision", "most_samples"})
#: Says how a node is emulated; the profile and its truth are compared instead.
_EMULATE: Final = "emulate"
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at one point of one run.

    Parameters
    ----------
    parameters : dict
        All that says what the point is, operation and pattern among them; not how much was measured.
    median : float or None
        Of all samples [unit]; None if the point has no number.
    samples : ndarray
        Raw samples [unit].
    launches : ndarray
        Median of each launch, if the record separates launches and has several; else empty [unit].
    model : float or None
        What the emulated nodes must show [unit].
    page_bytes : int or None
        Of the pages that were really used [bytes].
    less_is_better : bool
        Whether a smaller number is a faster one.
    definition : str or None
        Hash of how a program is measured; None of what is no program.
    shape : str
        How the loop of a bandwidth walked, such as ``places4-256``; ``plain`` of all else.
    of_plain : float or None
        What that shape gave as a multiple of the plain loop on this machine's DRAM; None if unknown.
    """

    point_id: str
    status: str
    reason: str
    parameters: dict[str, Fact]
    ratio: str | None
    unit: str | None
    median: float | None
    samples: npt.NDArray[np.float64]
    launches: npt.NDArray[np.float64]
    model: float | None
    emulated: bool
    profile: str | None
    timing_valid: bool
    page_bytes: int | None
    less_is_better: bool = False
    definition: str | None = None
    shape: str = PLAIN
    of_plain: float | None = 1.0

    @classmethod
    def from_record(
        cls,
        record: PointRecord,
        dram_nodes: Iterable[int] = (),
        shapes: Iterable[ShapeRecord] | None = (),
    ) -> Reading:
        """Read one record, with the shapes of its run's loops; what is missing stays empty."""
        point = Point.from_record(record, dram_nodes)
        kept = {name: value for name, value in point.series if name not in EFFORT and name != _EMULATE}
        median = None if point.estimate is None else point.estimate.median
        shape, of_plain = find_walked(record, shapes)
        return cls(
            point_id=point.point_id,
            status=point.status,
            reason=point.why if point.status != "ok" else "",
            parameters={"operation": point.operation, "pattern": point.pattern, **kept},
            ratio=point.ratio,
            unit=point.unit,
            median=median if median is not None and median > 0 else None,
            samples=np.array([value for value in point.samples if value > 0]),
            launches=_launch_medians(point.result),
            model=None if record.model is None else record.model.value,
            emulated=record.emulated,
            profile=record.profile,
            timing_valid=record.timing_valid,
            page_bytes=point.page_bytes,
            less_is_better=point.unit == "ns",
            shape=shape,
            of_plain=of_plain,
        )

    def key(self, left_out: Collection[str] = (), *, by_ratio: bool = False) -> Key:
        """What makes it the same point as one of another run."""
        values = dict(self.parameters)
        if by_ratio:
            values["pattern"] = self.ratio
        return tuple([(name, repr(values[name])) for name in sorted(values) if name not in left_out])

    def describe(self, names: Iterable[str]) -> str:
        """Write the parameters of these names for people."""
        values = ((name, self.parameters.get(name)) for name in names)
        return ", ".join(say_parameter(name, value) for name, value in values if value is not None)

    def __str__(self) -> str:
        return f"{self.parameters['operation']} {short_pattern(str(self.parameters['pattern']))}"


def _launch_medians(result: Measured | None) -> npt.NDArray[np.float64]:
    """The median of each launch of a result; empty unless there are several."""
    medians = [] if result is None else [launch.median for launch in result.launches if launch.median > 0]
    return np.array(medians if len(medians) > 1 else [])
