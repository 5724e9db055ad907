"""What the person who decides wants to know of a run: needs, prices, how much memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hmexp.measure.need import Requirement, parse_need
from hmexp.report.model.advice import KEEP
from hmexp.report.model.prices import Prices
from hmexp.store.records import RunRecord
from hmexp.units import format_size, parse_size


@dataclass(frozen=True)
class Question:
    """What the person who decides wants to know.

    Parameters
    ----------
    needs : tuple of Requirement
        What a ratio has to keep; empty for `keep` of every bandwidth.
    keep : float
        Share of all DRAM's bandwidth, where no need is given.
    prices : Prices or None
        Of memory.
    capacity_bytes : int or None
        How much memory is to be bought [bytes].
    """

    needs: tuple[Requirement, ...] = ()
    keep: float = KEEP
    prices: Prices | None = None
    capacity_bytes: int | None = None

    def options(self) -> list[str]:
        """The options of `hmexp report` that ask it."""
        words = [word for need in self.needs for word in ("--need", str(need))]
        if self.keep != KEEP:
            words += ["--keep", f"{self.keep * 100:g}"]
        if self.capacity_bytes is not None:
            rounded = format_size(self.capacity_bytes)
            whole = parse_size(rounded) == self.capacity_bytes
            words += ["--capacity", rounded if whole else str(self.capacity_bytes)]
        if self.prices is not None:
            words += ["--price-dram", f"{self.prices.dram:g}", "--price-slow", f"{self.prices.slow:g}"]
            words += ["--currency", self.prices.currency] if self.prices.currency else []
        return words


def question_of(run: RunRecord, given: Question | None = None) -> Question:
    """The question that a run is asked: what was given, or the needs of its own search if that names none.

    Parameters
    ----------
    run : RunRecord
        The run; one that `hmexp find` made has the needs that it was made for.
    given : Question, optional
        What was asked.
    """
    asked = given or Question()
    if asked.needs or asked.keep != KEEP or run.search is None:
        return asked
    return replace(asked, needs=tuple(map(parse_need, run.search.needs)))
