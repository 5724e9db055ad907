"""In which shapes the loops of a sweep walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hmexp.errors import HmexpError
from hmexp.measure.operation import find_operation
from hmexp.measure.quantity import is_latency
from hmexp.measure.shape_choice import LEAST_SECONDS, find_shape, is_kept, is_worth_it, named
from hmexp.measure.shapes import AUTO
from hmexp.native import PLAIN
from hmexp.store.shapes import ShapeRecord
from hmexp.sweep.access import SEQUENTIAL
from hmexp.sweep.plan import SweepPlan
from hmexp.sweep.point import SweepPoint

#: What shares a shape: operation, size of the pages, number of threads.
_Key = tuple[str, int, int]
#: Regions smaller than this are no memory to choose by, and hardly longer than a block of places [bytes].
_LEAST_BYTES: Final = 64 << 20


def choose_shapes(
    plan: SweepPlan, show: Callable[[str], None], say: Callable[[str], None]
) -> tuple[ShapeRecord, ...]:
    """Choose a shape for each operation, page size and number of threads of a sweep.

    Parameters
    ----------
    plan : SweepPlan
        Its parameter `shapes` says how: ``plain``, a name, or ``auto``, by measurement where a sample is
        long enough to show the difference.
    show, say : callable
        Receives what is being measured, and what was found.

    Returns
    -------
    tuple of ShapeRecord
        What is not among them is plain: latencies, emulated nodes, and what is no sequential access.
    """
    given = plan.parameters.shapes
    if given != AUTO or plan.parameters.sample_seconds < LEAST_SECONDS or not is_worth_it():
        return name_shapes(plan)
    found = []
    for (operation, page_bytes, threads), point in _shaped(plan).items():
        show(f"which shape of {operation} this CPU likes best")
        try:
            record = find_shape(operation, page_bytes, plan.cpus_of(point), plan.backing_node)
        except HmexpError as error:
            say(f"{operation} is walked by the plain loop: no other shape could be tried: {error}")
            continue
        found.append(record)
        if record.source == "measured":
            busy = "" if is_kept(record) else "; the machine is busy, so this is not kept"
            say(f"{operation}, {threads} thread{'s'[: threads > 1]}: {describe(record)}{busy}.")
    return tuple(found)


def name_shapes(plan: SweepPlan) -> tuple[ShapeRecord, ...]:
    """The shapes that a sweep names; none that would have to be measured first.

    Hosts of a fleet are compared with each other: their loops walk alike, plainly or as was asked for.
    """
    given = plan.parameters.shapes
    return () if given in (PLAIN, AUTO) else tuple(named(given, *key) for key in _shaped(plan))


def describe(record: ShapeRecord) -> str:
    """What was chosen, in words."""
    if record.trials and record.name == record.trials[0].name:
        return "the plain loop is kept, since no other shape is better on this CPU"
    return f"this CPU likes the shape {record.name} best, {record.ratio or 1:.2f} of the plain loop"


def _shaped(plan: SweepPlan) -> dict[_Key, SweepPoint]:
    """The points that may have a shape, one of each kind."""
    found: dict[_Key, SweepPoint] = {}
    for point in plan.points:
        if plan.emulate is not None or is_latency(point.operation) or point.size_bytes < _LEAST_BYTES:
            continue
        if point.access == SEQUENTIAL:
            key = (find_operation(point.operation).name, point.page_bytes, point.threads)
            found.setdefault(key, point)
    return found
