"""Numbers as a person reads them."""

from __future__ import annotations

import math

from hmexp.measure.statistics import TOO_FEW
from hmexp.report.run.point import Estimate, Point

MISSING = "–"


def digits(value: float | None, significant: int = 3) -> str:
    """Write a number with so many significant digits, never in exponents."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    decimals = significant - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(decimals, 0), 4)}f}".replace("-", "−")


def signed(value: float | None, decimals: int = 1) -> str:
    """Write a number with its sign; what rounds to zero has none of its own."""
    return MISSING if value is None else f"{round(value, decimals) + 0:+.{decimals}f}".replace("-", "−")


def with_unit(point: Point) -> str:
    """Write a point's median with its unit."""
    return f"{digits(point.value.median)} {point.unit or ''}".rstrip()


def interval(estimate: Estimate) -> str:
    """Write a 95 % interval with a digit more than its median, so that a narrow one does not vanish."""
    if estimate.says_nothing:
        return TOO_FEW
    return f"[{digits(estimate.low, 4)}, {digits(estimate.high, 4)}]"


def percent(share: float) -> str:
    """Write a share as whole percent."""
    return f"{share * 100:.0f} %"
