"""How the loop of a point walked, and what that shape gave on its machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hmexp.store.details import BandwidthDetails
from hmexp.store.parameters import LoopPoint
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.store.shapes import ShapeRecord

PLAIN: Final = "plain"


def find_walked(record: PointRecord, shapes: Iterable[ShapeRecord] | None) -> tuple[str, float | None]:
    """The shape of a point's loop, and its recorded ratio to the plain loop."""
    result, point = record.result, record.parameters
    if not isinstance(result, Measured) or not isinstance(point, LoopPoint):
        return PLAIN, 1.0
    details = result.details
    if not isinstance(details, BandwidthDetails):
        return PLAIN, 1.0
    for one in shapes or ():
        if (
            (one.operation, one.page_bytes, one.threads)
            == (point.operation, point.page_bytes, point.threads)
            and (one.shape, one.vector_bits) == (details.shape, details.vector_bits)
        ):  # fmt: skip
            # The plain loop at its usual width is what all others are compared with.
            usual = bool(one.trials) and one.name == one.trials[0].name
            return (PLAIN, 1.0) if usual else (one.name, one.ratio)
    # A plain loop that nobody chose has the widest vectors of its CPU.
    return (PLAIN, 1.0) if details.shape == PLAIN else (f"{details.shape}-{details.vector_bits}", None)
