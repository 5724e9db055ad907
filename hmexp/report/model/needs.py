"""Needs as the report sees them: their names, what a run has for them, and those of who named none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hmexp.errors import ParameterError
from hmexp.measure.need import MIX, Requirement
from hmexp.report.model.advice import relative
from hmexp.report.run.point import Estimate, Point
from hmexp.report.run.wording import say_operation


def measured(need: Requirement, point: Point, base: Point | None) -> Estimate | None:
    """The value of a point that a limit is for; None if it is not known.

    Parameters
    ----------
    need : Requirement
        The limit.
    point : Point
        Of the ratio.
    base : Point or None
        All DRAM, that it is compared with.
    """
    if need.unit != "x":
        return point.value if point.unit == need.unit else None
    if base is None:
        return None
    return Estimate(1.0, 1.0, 1.0) if point is base else relative(point, base)


def head_of(need: Requirement) -> str:
    """The head of a column: `read ≥ 90 %`."""
    return f"{name_of(need.of)} {need.limit_text}"


def name_of(operation: str) -> str:
    """Write an operation, or the mixes that were measured, for people."""
    return "mixes" if operation == MIX else say_operation(operation)


def usual_needs(points: Iterable[Point], keep: float) -> tuple[Requirement, ...]:
    """What is asked where no need was given: that every bandwidth is kept to this share of all DRAM's."""
    operations = dict.fromkeys(p.operation for p in points if p.unit == "GB/s")
    return tuple(Requirement(operation, keep, "x") for operation in operations)


def require_measured(needs: Sequence[Requirement], operations: Sequence[str]) -> None:
    """Refuse a need of which a run has no point.

    Raises
    ------
    ParameterError
        With the operations that it has.
    """
    for need in needs:
        if not any(need.holds(operation) for operation in operations):
            raise ParameterError(
                f"the run has no point of {name_of(need.of)}, which a need asks for",
                f"it has: {', '.join(map(say_operation, operations))}; "
                "leave the need out, or measure it: hmexp sweep --operations",
            )
