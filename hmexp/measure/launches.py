"""Several launches of one point, put together: fresh processes with fresh pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hmexp.errors import ParameterError
from hmexp.measure.noise import Noise
from hmexp.measure.statistics import summarise_launches

MOST_LAUNCHES: Final = 100
_BY_SAMPLE: Final = ("samples", "sample_seconds", "payload_bytes")


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


def join_results(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one result of the results of launches, as records (`Measurement.to_record`).

    All samples are kept in the order of the launches. `launches` says for each launch how many of them
    are its own, its median, and its details; the other entries are those of the first launch.

    Parameters
    ----------
    results : sequence of dict
        One for each launch.

    Returns
    -------
    dict
        With the same entries as each of them, and `launches`.
    """
    first = results[0]
    if len(results) == 1:
        return dict(first)
    joined: dict[str, Any] = dict(first)
    for name in _BY_SAMPLE:
        joined[name] = [value for result in results for value in result[name]]
    bus = [result["bus_bytes"] for result in results]
    joined["bus_bytes"] = None if None in bus else [value for values in bus for value in values]
    joined |= summarise_launches([result["samples"] for result in results]).to_record()
    noise = [result["noise"] for result in results]
    joined["noise"] = None if None in noise else Noise.join([*map(Noise.from_record, noise)]).to_record()
    joined["launches"] = [
        {"n": result["n"], "median": result["median"], "details": result["details"]} for result in results
    ]
    return joined
