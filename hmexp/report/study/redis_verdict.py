"""May a Redis live on hybrid memory? A verdict for each ratio, its price, and the sentence that began this.

The sentence is hmexp's reason for being: slow memory may replace a part of the memory of a program that needs
much of it and little bandwidth, of writes above all, such as *a Redis that reads much and writes little*.
That meets its performance and costs less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from hmexp.report.model.prices import Prices
from hmexp.report.study.program import readings_of
from hmexp.report.study.program_verdict import KEEP, say_slowed, unjudged
from hmexp.report.study.redis import DECIDING, RedisCell, cells_of
from hmexp.report.study.results import StudyResults
from hmexp.units import format_size

Answer = Literal["yes", "no", "open"]
#: A Redis that reads much: from this share of GET on [%].
MUCH: Final = 95
#: The control that should suffer: up to this share of GET [%].
LITTLE: Final = 50


def judge(cells: Sequence[RedisCell], keep: float = KEEP) -> Answer:
    """Whether all these cells keep that part of the speed on DRAM alone, in throughput and p99.

    Parameters
    ----------
    cells : sequence of RedisCell
        Of one ratio.
    keep : float
        Part of the throughput that must be kept; the p99 may grow by its inverse.

    Returns
    -------
    str
        ``yes`` and ``no`` where the intervals say so, else ``open``.
    """
    speeds = [cell.speed(metric) for cell in cells for metric in DECIDING]
    if any(speed is not None and speed.high < keep for speed in speeds):
        return "no"
    if speeds and all(speed is not None and speed.low >= keep for speed in speeds):
        return "yes"
    return "open"


def redis_verdicts(study: StudyResults, prices: Prices | None = None, keep: float = KEEP) -> list[str]:
    """Say for each ratio what it does to a Redis; or why nothing is judged.

    Parameters
    ----------
    study : StudyResults
        The study.
    prices : Prices, optional
        Prices of the memory.
    keep : float
        Part of the throughput that must be kept; the p99 may grow by its inverse.
    """
    why_not = unjudged_redis(study)
    if why_not is not None:
        return [why_not]
    cells = cells_of(study)
    found: list[str] = say_slowed(study)
    for cell in cells:
        found += [] if cell.is_baseline else [_say_cell(cell)]
    found += [f"Not valid: {_say_place(cell)}: {why}." for cell in cells for why in cell.invalid.values()]
    return [*found, *_sentence(cells, prices, keep)]


def unjudged_redis(study: StudyResults) -> str | None:
    """Why this study says nothing of a Redis on hybrid memory; None if it does."""
    if study.run.one_node and study.title.timing_valid:
        return (
            "No verdict: this machine has one node with memory, so no Redis on hybrid memory was measured. "
            "What is shown is the Redis in DRAM."
        )
    return unjudged(study, readings_of(study))


def _say_place(cell: RedisCell) -> str:
    return f"{cell.ratio}, values of {format_size(cell.value_bytes)}, {cell.read_percent} % reads"


def _say_cell(cell: RedisCell) -> str:
    words = []
    for metric in DECIDING:
        reading, change = cell.readings.get(metric), cell.beside.get(metric)
        if reading is None or reading.of_dram is None:
            continue
        if change is None or metric in cell.invalid:
            words.append(f"{metric} × {reading.of_dram.median:.2f} (not judged)")
        else:
            words.append(f"{metric} × {change.median:.2f} [{change.low:.2f}, {change.high:.2f}]")
    return f"{_say_place(cell)}: {', '.join(words) or 'nothing to compare with'}."


def _sentence(cells: Sequence[RedisCell], prices: Prices | None, keep: float) -> list[str]:
    """The judgement of the sentence, ratio by ratio."""
    reading_much = [cell for cell in cells if cell.read_percent >= MUCH and not cell.is_baseline]
    if not reading_much:
        return [f"The sentence is not judged: nothing with {MUCH} % of reads or more was measured."]
    ratios = dict.fromkeys(cell.ratio for cell in sorted(reading_much, key=lambda c: -c.dram_share))
    answers = {ratio: judge([c for c in reading_much if c.ratio == ratio], keep) for ratio in ratios}
    shares = {cell.ratio: cell.dram_share for cell in reading_much}
    terms = f"at least {keep:.0%} of the throughput, and a p99 of at most {1 / keep:.0%} of that in DRAM"
    lines = [f"A Redis of {MUCH} % reads or more is to keep {terms}."]
    for ratio, answer in answers.items():
        word = {"yes": "it does", "no": "it does not", "open": "open; more launches narrow the intervals"}[
            answer
        ]
        lines.append(f"{ratio}: {word}{_say_price(shares[ratio], prices)}.")
    held = [ratio for ratio, answer in answers.items() if answer == "yes"]
    lines.append(_conclude(held, answers, shares))
    return [*lines, *_control(cells)]


def _say_price(share: float, prices: Prices | None) -> str:
    if prices is None:
        return ""
    return f"; its memory costs {prices.of(share) / prices.dram:.0%} of all DRAM's"


def _conclude(held: Sequence[str], answers: dict[str, Answer], shares: dict[str, float]) -> str:
    if held:
        least = min(held, key=lambda ratio: shares[ratio])
        return (
            f"The sentence holds here at {', '.join(held)}: slow memory may replace up to "
            f"{1 - shares[least]:.0%} of the memory of this Redis."
        )
    if all(answer == "no" for answer in answers.values()):
        return "The sentence does not hold here at any ratio: keep this Redis in DRAM."
    return "Whether the sentence holds here is open."


def _control(cells: Sequence[RedisCell]) -> list[str]:
    """Whether writes suffer more, as they should where writing is what is slow."""
    lines = []
    for cell in cells:
        if cell.read_percent > LITTLE or cell.is_baseline:
            continue
        others = [
            each
            for each in cells
            if (each.ratio, each.value_bytes) == (cell.ratio, cell.value_bytes) and each.read_percent >= MUCH
        ]
        mine = cell.speed("throughput")
        theirs = others[0].speed("throughput") if others else None
        if mine is None or theirs is None:
            continue
        change = mine.median / theirs.median
        reach = math.exp(math.hypot(math.log(mine.high / mine.low), math.log(theirs.high / theirs.low)) / 2)
        low, high = change / reach, change * reach
        word = (
            "suffers more" if high < 1 else "suffers less" if low > 1 else "does not differ beyond the noise"
        )
        lines.append(
            f"Control: {_say_place(cell)} {word}: it keeps × {change:.2f} [{low:.2f}, {high:.2f}] of what "
            f"{others[0].read_percent} % reads keep of their throughput."
        )
    return lines
