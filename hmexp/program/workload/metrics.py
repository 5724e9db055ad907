"""Numbers in the output of a program: found by a regular expression, or by a path in JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from hmexp.errors import MeasurementError, ParameterError
from hmexp.store.workload_records import MetricRecord

_STEP: Final = re.compile(r"\.?(?P<name>[A-Za-z_][\w-]*)|\[(?P<index>-?\d+|\*)\]|\[\"(?P<quoted>[^\"]*)\"\]")
_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d+)?)", re.ASCII)
_TAKES: Final = ("only", "first", "last", "sum", "mean", "smallest", "largest")
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_SHOWN: Final = 300
Step = str | int | None


def check_metric(metric: MetricRecord) -> None:
    """Refuse a metric that could not be found in any output.

    Raises
    ------
    ParameterError
        If its expression, its path or its choice cannot be used, or it has none or two.
    """
    if not 0 < metric.scale < math.inf:
        raise ParameterError(f"scale {metric.scale} is not a number above 0", "0.001 makes ms of µs")
    _read_take(metric.take)
    ways = [name for name in ("regex", "json") if getattr(metric, name) is not None]
    if metric.source == "elapsed":
        if ways:
            raise ParameterError(f"elapsed is a time, not an output: it takes no {ways[0]}", "leave it out")
        return
    if len(ways) != 1:
        raise ParameterError(
            "needs either regex or json", "regex = '([0-9.]+) requests', or json = 'latency.p99'"
        )
    if metric.json is not None:
        parse_path(metric.json)
    else:
        _compile(metric.regex or "")


def extract(metric: MetricRecord, output: str) -> float:
    """Find the number of a metric in an output.

    Parameters
    ----------
    metric : MetricRecord
        Which; not one of `elapsed`.
    output : str
        What a program printed.

    Returns
    -------
    float
        In the unit of the metric.

    Raises
    ------
    MeasurementError
        If it is not there, is there several times where one is wanted, or is not a finite number.
    """
    try:
        found = (
            _by_path(output, metric.json)
            if metric.json is not None
            else _by_regex(output, metric.regex or "")
        )
        value = take(found, metric.take)
    except _MissingError as error:
        raise MeasurementError(
            f"the metric {metric.name} was not found in the output of the {metric.source}: {error}",
            f"the output was {_shown(output)}",
        ) from error
    scaled = value * metric.scale
    if not math.isfinite(scaled):
        raise MeasurementError(f"the metric {metric.name} is {value}, which is not a finite number")
    return scaled


def take(values: Sequence[float], which: str) -> float:
    """Choose one of several numbers, or make one of them; see `MetricRecord.take`."""
    if not values:
        raise _MissingError("nothing matches")
    rank = _read_take(which)
    if rank is not None:
        return _percentile(values, rank)
    if which == "only" and len(values) > 1:
        raise _MissingError(f"{len(values)} numbers match; take says which one: first, last, sum, p99...")
    if which in ("sum", "mean"):
        total = math.fsum(values)
        return total if which == "sum" else total / len(values)
    if which in ("smallest", "largest"):
        return min(values) if which == "smallest" else max(values)
    return values[-1] if which == "last" else values[0]


def parse_path(text: str) -> tuple[Step, ...]:
    """Read a path such as ``runs[0].p99`` or ``runs[*]["a name"]``; None stands for every item.

    Raises
    ------
    ParameterError
        Saying where it cannot be read.
    """
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or not _follows(match, at):
            raise ParameterError(
                f"the json path {text!r} cannot be read from {text[at:]!r} on",
                'write a path such as latency.p99, runs[0].seconds, runs[*].p99 or ["a name"]',
            )
        if match["index"] is not None:
            steps.append(None if match["index"] == "*" else int(match["index"]))
        else:
            steps.append(match["name"] if match["name"] is not None else match["quoted"])
        at = match.end()
    if not steps:
        raise ParameterError("the json path is empty", "write a path such as latency.p99")
    return tuple(steps)


def _follows(match: re.Match[str], at: int) -> bool:
    """Whether a point stands before each name but the first, and nowhere else."""
    return match["name"] is None or match[0].startswith(".") == (at > 0)


class _MissingError(Exception):
    """A number is not in an output."""


def _compile(text: str) -> re.Pattern[str]:
    try:
        found = re.compile(text, re.MULTILINE)
    except re.error as error:
        raise ParameterError(f"the regex {text!r} cannot be used: {error}") from error
    if found.groups > 1 and "value" not in found.groupindex:
        raise ParameterError(
            f"the regex {text!r} has {found.groups} groups",
            "name the one of the number (?P<value>...), or use (?:...)",
        )
    return found


def _by_regex(output: str, text: str) -> list[float]:
    expression = _compile(text)
    group: int | str = "value" if "value" in expression.groupindex else min(1, expression.groups)
    return [_number(match[group] or "") for match in expression.finditer(output)]


def _by_path(output: str, path: str) -> list[float]:
    found = [_read_json(output)]
    for step in parse_path(path):
        found = [inner for item in found for inner in _inside(item, step, path)]
    return [_number(item) for item in found]


def _inside(item: Any, step: Step, path: str) -> list[Any]:
    if step is None:
        if isinstance(item, list | dict):
            return list(item.values() if isinstance(item, dict) else item)
        raise _MissingError(f"[*] of {path} needs a list, and there is {_shown(json.dumps(item))}")
    try:
        if isinstance(item, dict) if isinstance(step, str) else isinstance(item, list):
            return [item[step]]
    except (KeyError, IndexError):
        pass
    names = f"; there are {', '.join(map(str, list(item)[:12]))}" if isinstance(item, dict) else ""
    raise _MissingError(f"{step!r} of {path} is not there{names}")


def _read_json(output: str) -> Any:
    """The output as JSON, or its last line that is; programs say something before."""
    for text in (output, *reversed(output.split("\n"))):
        if text.strip()[:1] not in ("{", "["):
            continue
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            continue
    raise _MissingError("neither the output nor a line of it is JSON")


def _number(found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise _MissingError(f"{_shown(json.dumps(found))} is not a number")
    text = str(found).strip()
    try:
        return float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    except (ValueError, OverflowError) as error:
        raise _MissingError(f"{text[:80]!r} is not a number") from error


def _read_take(which: str) -> float | None:
    """The rank of a percentile, from 0 to 1; None if it is another choice."""
    match = _PERCENTILE.fullmatch(which)
    if match is None and which not in _TAKES:
        raise ParameterError(
            f"take {which!r} is unknown", f"use one of: {', '.join(_TAKES)}, or a percentile such as p99.9"
        )
    return None if match is None else float(match[1]) / 100


def _percentile(values: Sequence[float], rank: float) -> float:
    """The smallest number that at least this part of them does not exceed."""
    # A percentile that no number is above would be the largest by another name.
    needed = math.ceil(round(1 / (1 - rank), 6))
    if len(values) < needed:
        raise _MissingError(f"p{rank * 100:g} needs {needed} numbers, and {len(values)} match")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(rank * len(ordered), 6)) - 1)]


def _shown(text: str) -> str:
    text = text.strip()
    if not text:
        return "empty"
    return repr(text if len(text) <= _SHOWN else f"...{text[-_SHOWN:]}")
