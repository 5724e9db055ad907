"""What the host can do inside the emulating loops: the scale of an emulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from hmexp.errors import SweepError
from hmexp.experiment.launcher import launch
from hmexp.measure.quantity import LATENCIES, figures_of
from hmexp.memory.emulation import Emulation, NodeSpeed
from hmexp.memory.speed import FIGURES, Quantity
from hmexp.store.machine import Calibration
from hmexp.store.records import LaunchRecord
from hmexp.store.results import Measured
from hmexp.sweep.plan import SweepPlan
from hmexp.sweep.point import SweepPoint

#: Fresh processes for each quantity. The least favourable one counts: the modelled speeds must fit
#: in what the host can do at its worst.
LAUNCHES: Final = 3
_ALWAYS: Final[tuple[Quantity, ...]] = ("read", "write", "latency")


def calibrate(
    plan: SweepPlan, show: Callable[[str], None], say: Callable[[str], None]
) -> tuple[Emulation, list[Calibration]]:
    """Measure the host and scale the plan's profile to it.

    The region has the size (the largest) and the pages of the sweep's, all on the backing node; the threads
    are as few as the sweep's fewest, and bandwidth is measured in each of its orders of access and from each
    of its CPU nodes, so that the same modelled speeds hold for all its points.

    Parameters
    ----------
    plan : SweepPlan
        The sweep's plan, with an emulated node.
    show, say : callable
        Receives what is being measured, and what was found.

    Returns
    -------
    Emulation
        The scaled profile.
    list of Calibration
        What each launch gave: quantity, median, interval, load average.

    Raises
    ------
    SweepError
        If the host could not be measured.
    """
    if plan.emulate is None:
        raise ValueError("a plan without an emulated node needs no calibration")
    launches: list[Calibration] = []
    points = calibrated_points(plan)
    for number in range(LAUNCHES):
        for point in points:
            quantity = point.operation
            show(f"{quantity} of this host, launch {number + 1} of {LAUNCHES}")
            task = msgspec.structs.replace(
                plan.task(point, None, 0), calibrating=True, dram_nodes=(plan.backing_node,)
            )
            record = launch(task, plan.parameters.timeout_seconds)
            if record.status != "ok" or not isinstance(record.result, Measured):
                raise SweepError(
                    f"the host could not be measured, to scale the emulation to it ({quantity}): "
                    f"{record.reason}"
                )
            launches.append(_entry(point, record, record.result))
    medians: dict[Quantity, list[float]] = {}
    for quantity in dict.fromkeys(_quantity(point) for point in points):
        medians[quantity] = [entry.median for entry in launches if entry.quantity == quantity]
    figures: dict[str, Any] = {
        FIGURES[q]: (max if q in LATENCIES else min)(found) for q, found in medians.items()
    }
    host = NodeSpeed(**figures)
    threads = max(point.threads for point in points)
    emulation = Emulation.scale_to_host(plan.emulate, host, _modelled_dram(plan), plan.backing_node)
    say(
        f"This host, in the emulating loops with {threads} thread{'s'[: threads > 1]}: "
        f"read {host.read_gbps:.1f} GB/s, write {host.write_gbps:.1f} GB/s, latency {host.latency_ns:.0f} ns."
    )
    return emulation, launches


def _quantity(point: SweepPoint) -> Quantity:
    return next(quantity for quantity in FIGURES if quantity == point.operation)


def _entry(point: SweepPoint, record: LaunchRecord, result: Measured) -> Calibration:
    return Calibration(
        quantity=point.operation,
        unit=result.unit,
        threads=point.threads,
        access=point.access,
        cpu_node=point.cpu_node,
        median=result.median,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        n=result.n,
        load_average=() if record.machine is None else record.machine.load_average,
    )


def _modelled_dram(plan: SweepPlan) -> tuple[int, ...]:
    emulated = plan.emulate.node if plan.emulate else None
    nodes = {n for point in plan.points for n in point.parsed_pattern.distinct_nodes if n != emulated}
    return tuple(sorted(nodes | {plan.backing_node}))


def calibrated_points(plan: SweepPlan) -> tuple[SweepPoint, ...]:
    """What is measured of the host to scale a plan's emulation to it, `LAUNCHES` times each."""
    threads = min((p.threads for p in plan.points if p.operation not in LATENCIES), default=1)
    asked = (figure for point in plan.points for figure in figures_of(point.operation))
    quantities: tuple[Quantity, ...] = tuple(dict.fromkeys((*_ALWAYS, *asked)))
    # Each once: a latency has no other order of access.
    return tuple(
        dict.fromkeys(
            _point(plan, quantity, threads, like) for quantity in quantities for like in plan.points
        )
    )


def _point(plan: SweepPlan, quantity: Quantity, threads: int, like: SweepPoint) -> SweepPoint:
    return replace(
        plan.points[0],
        pattern=str(plan.backing_node),
        operation=quantity,
        threads=1 if quantity in LATENCIES else threads,
        placer="first_touch",
        emulate="calibration",
        size_bytes=max(each.size_bytes for each in plan.points),
        # The slower pages, if there are both: the modelled speeds must be carried by either.
        page_bytes=min(each.page_bytes for each in plan.points),
        launches=1,
        # Which launch is the least favourable is what counts, not how well each is known.
        precision=0.0,
        most_samples=None,
        access=like.access,
        cpu_node=like.cpu_node,
    )
