"""Several launches of one point, put together: fresh processes with fresh pages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeVar

import msgspec

from hmexp.errors import ParameterError
from hmexp.measure.noise import Noise
from hmexp.measure.statistics import summarise_launches
from hmexp.store.results import LaunchSummary, Measured

MOST_LAUNCHES: Final = 100
T = TypeVar("T")


def require_launches(launches: int) -> int:
    """Refuse a number of launches that cannot be.

    Raises
    ------
    ParameterError
        Naming the value and the range.
    """
    if isinstance(launches, bool) or not isinstance(launches, int) or not 1 <= launches <= MOST_LAUNCHES:
        raise ParameterError(
            f"launches {launches!r} is not a whole number from 1 to {MOST_LAUNCHES}",
            "5 launches give an interval over launches that can be used; 1 gives one over samples alone",
        )
    return launches


def join_results(results: Sequence[Measured]) -> Measured:
    """Make one result of the results of launches.

    All samples are kept in the order of the launches. `launches` says for each launch how many of them
    are its own, its median, and its details; the other entries are those of the first launch.

    Parameters
    ----------
    results : sequence of Measured
        One for each launch.
    """
    first = results[0]
    if len(results) == 1:
        return first
    s = summarise_launches([result.samples for result in results])
    noise = [result.noise for result in results if result.noise is not None]
    bus = [result.bus_bytes for result in results if result.bus_bytes is not None]
    return msgspec.structs.replace(
        first,
        samples=_joined([result.samples for result in results]),
        sample_seconds=_joined([result.sample_seconds for result in results]),
        payload_bytes=_joined([result.payload_bytes for result in results]),
        bus_bytes=_joined(bus) if len(bus) == len(results) else None,
        n=s.n,
        median=s.median,
        ci_low=s.ci_low,
        ci_high=s.ci_high,
        mad=s.mad,
        minimum=s.minimum,
        maximum=s.maximum,
        interval_over=s.interval_over,
        noise=Noise.join([*map(Noise.from_record, noise)]).to_record()
        if len(noise) == len(results)
        else None,
        launches=tuple(
            LaunchSummary(n=result.n, median=result.median, details=result.details) for result in results
        ),
    )


def _joined(parts: Sequence[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(chain.from_iterable(parts))
