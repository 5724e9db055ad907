"""The study of a Redis as the report sees it: what each ratio does to each kind of requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median, stdev
from typing import Final

import pandas as pd

from hmexp.report.comparison.variation import quantile
from hmexp.report.model.prices import Prices
from hmexp.report.run.point import Estimate
from hmexp.report.study.program import ProgramReading, readings_of
from hmexp.report.study.results import StudyResults
from hmexp.store.program_points import ProgramPoint
from hmexp.store.redis_records import DUMP, REQUESTS

#: What decides; each by its name in the workload.
DECIDING: Final = ("throughput", "p99")
LATENCIES: Final = ("p50", "p99", "p99_9")
#: Part of the time from which on the client was the limit, not the server.
BUSY: Final = 0.9
_CONFIDENCE: Final = 0.95
_FEW: Final = 2
#: Part of the p99 from which on the tail is the client's own lateness.
LATE: Final = 0.25


@dataclass(frozen=True)
class RedisCell:
    """One ratio, one size of values and one share of reads.

    Parameters
    ----------
    value_bytes : int
        Size of the values [bytes].
    read_percent : int
        Share of GET [%].
    pattern : str
        Nodes of the pages in turn.
    ratio : str
        DRAM:slow.
    dram_share : float
        Part of the pages on DRAM.
    readings : mapping of str to ProgramReading
        What was measured, by the name of the metric.
    beside : mapping of str to Estimate
        Each metric as a multiple of that of all DRAM, with its 95 % interval; where there are launches enough
        for one.
    """

    value_bytes: int
    read_percent: int
    pattern: str
    ratio: str
    dram_share: float
    readings: Mapping[str, ProgramReading]
    beside: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def is_baseline(self) -> bool:
        """Whether it is all DRAM, with which the others are compared."""
        return next(iter(self.readings.values())).is_baseline

    @property
    def invalid(self) -> dict[str, str]:
        """Why a metric says nothing of the server, by its name."""
        found = {}
        busy = self.worst("client_busy")
        if busy > BUSY:
            found["throughput"] = f"the client was busy {busy:.0%} of the time: it was the limit"
        late, p99 = self.worst("sent_late_p99"), self.readings.get("p99")
        if p99 is not None and late > LATE * p99.metric.median:
            found["p99"] = f"the client itself sent 1 % of the requests {late:.0f} us late or later"
        return found

    def speed(self, metric: str) -> Estimate | None:
        """How fast it is beside all DRAM, with its interval; None where that is unknown.

        Parameters
        ----------
        metric : str
            `throughput`, or a latency: 0.5 is then twice the latency.
        """
        found = self.beside.get(metric)
        if found is None or metric in self.invalid:
            return None
        if self.readings[metric].metric.better == "higher":
            return found
        return Estimate(1 / found.median, 1 / found.high, 1 / found.low)

    def worst(self, metric: str) -> float:
        """The largest value of a metric over the launches; 0 where it was not measured."""
        reading = self.readings.get(metric)
        return max(reading.metric.samples) if reading is not None else 0.0


def cells_of(study: StudyResults) -> list[RedisCell]:
    """Every cell that was measured, from all DRAM down, by size and share of reads."""
    found: dict[tuple[int, int, str], dict[str, ProgramReading]] = {}
    for reading in readings_of(study):
        if reading.point.workload == REQUESTS:
            found.setdefault(_key(reading.point), {})[reading.metric.name] = reading
    cells = []
    for (value_bytes, read_percent, pattern), readings in found.items():
        first = next(iter(readings.values()))
        cells.append(
            RedisCell(
                value_bytes, read_percent, pattern, first.ratio or pattern, first.dram_share or 0.0, readings
            )
        )
    cells.sort(key=lambda cell: (cell.value_bytes, -cell.read_percent, -cell.dram_share))
    noise = {metric: _noise(cells, metric) for metric in ("throughput", *LATENCIES)}
    return [replace(cell, beside=_beside(cell, cells, noise)) for cell in cells]


def _noise(cells: Sequence[RedisCell], metric: str) -> tuple[float, int]:
    """Spread of launches of the same, pooled over all cells [natural logarithm], and its degrees of freedom.

    Of three launches alone an interval would be far too narrow, or far too wide.
    """
    squares, freedom = 0.0, 0
    for cell in cells:
        logs = _logs(cell, metric)
        if len(logs) > 1:
            squares += stdev(logs) ** 2 * (len(logs) - 1)
            freedom += len(logs) - 1
    return (math.sqrt(squares / freedom) if freedom else 0.0), freedom


def _beside(
    cell: RedisCell, cells: Sequence[RedisCell], noise: Mapping[str, tuple[float, int]]
) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    kind = (cell.value_bytes, cell.read_percent)
    base = [each for each in cells if each.is_baseline and (each.value_bytes, each.read_percent) == kind]
    if cell.is_baseline or not base:
        return found
    for metric, (pooled, freedom) in noise.items():
        mine, theirs = _logs(cell, metric), _logs(base[0], metric)
        if min(len(mine), len(theirs)) < _FEW:
            continue
        # Whatever varies more than the pool keeps its own spread.
        errors = [max(stdev(logs), pooled) / math.sqrt(len(logs)) for logs in (mine, theirs)]
        reach = quantile(_CONFIDENCE, freedom) * math.hypot(*errors)
        middle = median(mine) - median(theirs)
        low, centre, high = (math.exp(middle + shift) for shift in (-reach, 0.0, reach))
        found[metric] = Estimate(centre, low, high)
    return found


def _logs(cell: RedisCell, metric: str) -> list[float]:
    """Natural logarithms of the launches; empty where one has no logarithm."""
    reading = cell.readings.get(metric)
    samples = () if reading is None else reading.metric.samples
    return [math.log(value) for value in samples] if samples and min(samples) > 0 else []


def dumps_of(study: StudyResults) -> list[dict[str, ProgramReading]]:
    """The readings of each dump, by the name of the metric."""
    found: dict[tuple[int, int, str], dict[str, ProgramReading]] = {}
    for reading in readings_of(study):
        if reading.point.workload == DUMP:
            found.setdefault(_key(reading.point), {})[reading.metric.name] = reading
    return [found[key] for key in sorted(found, key=lambda key: (key[0], -(_share(found[key]))))]


def redis_frame(study: StudyResults, prices: Prices | None = None) -> pd.DataFrame:
    """Make a row for each cell: what was measured, beside all DRAM, where the pages were, what it costs.

    Parameters
    ----------
    study : StudyResults
        The study.
    prices : Prices, optional
        Prices of the memory.
    """
    rows = []
    for cell in cells_of(study):
        row: dict[str, object] = {
            "values": cell.value_bytes, "reads": cell.read_percent, "ratio": cell.ratio,
            "pattern": cell.pattern, "dram_share": cell.dram_share,
        }  # fmt: skip
        for name in ("throughput", *LATENCIES):
            reading = cell.readings.get(name)
            if reading is None:
                continue
            row[f"{name} [{reading.metric.unit}]"] = reading.metric.median
            row |= _say_beside(name, cell)
        first = next(iter(cell.readings.values()))
        row |= {
            "way": first.way_taken, "misplaced_share": first.misplaced_share,
            "misplaced_before": _misplaced_before(first), "client_busy": cell.worst("client_busy"),
            "invalid": "; ".join(cell.invalid.values()) or None, "launches": len(first.metric.samples),
        }  # fmt: skip
        if prices is not None:
            row["price_of_all_dram"] = prices.of(cell.dram_share) / prices.dram
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.set_index(["values", "reads", "ratio"]) if rows else frame


def dumps_frame(study: StudyResults) -> pd.DataFrame:
    """Make a row for each dump: what the fork and the copies on write cost, and where the pages were."""
    rows = []
    for readings in dumps_of(study):
        first = next(iter(readings.values()))
        row: dict[str, object] = {
            "values": first.point.definition.parameters["value_bytes"],
            "ratio": first.ratio,
            "pattern": first.point.pattern,
            "way": first.way_taken,
        }
        row |= {f"{name} [{each.metric.unit}]": each.metric.median for name, each in readings.items()}
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.set_index(["values", "ratio"]) if rows else frame


def _say_beside(name: str, cell: RedisCell) -> dict[str, object]:
    of_dram, known = cell.readings[name].of_dram, cell.beside.get(name)
    return {
        f"{name} of DRAM": None if of_dram is None else of_dram.median,
        f"{name} low": None if known is None else known.low,
        f"{name} high": None if known is None else known.high,
    }


def _misplaced_before(reading: ProgramReading) -> float | None:
    looks = [each.before for each in reading.launches if each.before is not None]
    shares = [found.misplaced / max(1, found.in_place + found.misplaced) for found in looks]
    return max(shares, default=None)


def _key(point: ProgramPoint) -> tuple[int, int, str]:
    values = point.definition.parameters
    return int(values["value_bytes"]), int(values["read_percent"]), point.pattern or ""


def _share(readings: Mapping[str, ProgramReading]) -> float:
    return next(iter(readings.values())).dram_share or 0.0


def by_requests(cells: Sequence[RedisCell]) -> dict[tuple[int, int], list[RedisCell]]:
    """The cells of each size of values and share of reads."""
    found: dict[tuple[int, int], list[RedisCell]] = {}
    for cell in cells:
        found.setdefault((cell.value_bytes, cell.read_percent), []).append(cell)
    return found
