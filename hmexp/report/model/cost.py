"""What a ratio costs and what it gives: prices of the user's own, and the ratios that none beats in both.

With ``x`` the share of DRAM and ``p`` prices per GiB, a GiB of the mixture costs
``C(x) = x p_d + (1 - x) p_n``. No price is known to hmexp: they change by the month, and by who buys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from hmexp.errors import ParameterError
from hmexp.measure.statistics import TOO_FEW
from hmexp.report.model.advice import KEEP, baseline, relative
from hmexp.report.model.predictions import endpoints
from hmexp.report.model.prices import Prices
from hmexp.report.run.numbers import percent
from hmexp.report.run.point import Estimate, Point, short_pattern
from hmexp.report.run.results import Results
from hmexp.report.run.wording import Series, say_series

if TYPE_CHECKING:
    import pandas as pd

Standing = Literal["front", "undecided", "beaten"]
LATENCY: Final = "latency"
COLUMNS: Final[dict[str, str]] = {
    "operation": "string", "parameters": "string", "pattern": "string", "ratio": "string",
    "dram_share": "Float64", "price_per_gib": "Float64", "price_of_all_dram": "Float64", "median": "Float64",
    "ci_low": "Float64", "ci_high": "Float64", "unit": "string", "of_all_dram": "Float64",
    "of_all_dram_low": "Float64", "of_all_dram_high": "Float64", "standing": "string", "emulated": "boolean",
}  # fmt: skip


@dataclass(frozen=True)
class Offer:
    """A measured ratio with its price.

    Parameters
    ----------
    point : Point
        What was measured.
    price : float
        Of the mixture [per GiB].
    of_dram : Estimate or None
        The measurement as a multiple of all DRAM's, with the widest interval that both allow.
    standing : str
        ``front``: nothing that costs no more is better. ``beaten``: something that costs no more is, beyond
        the intervals. ``undecided``: something that costs no more may be better, the intervals overlap.
    """

    point: Point
    price: float
    of_dram: Estimate | None
    standing: Standing


@dataclass(frozen=True)
class Market:
    """All offers of one operation and one set of parameters."""

    operation: str
    series: Series
    where: str
    offers: tuple[Offer, ...]
    base: Point | None

    @property
    def front(self) -> tuple[Offer, ...]:
        """The offers that no other beats, from the cheapest up."""
        return tuple(offer for offer in self.offers if offer.standing == "front")


def markets(results: Results, prices: Prices) -> list[Market]:
    """Price every measured point; those that differ in more than the pattern are never compared.

    Returns
    -------
    list of Market
        None of them if the timings of the run are not valid.
    """
    if not results.timing_valid:
        return []
    found = []
    for operation in dict.fromkeys(point.operation for point in results.ok):
        points = results.select(operation)
        varying = results.varying(points)
        for series in dict.fromkeys(point.series for point in points):
            group = [point for point in points if point.series == series]
            offers = _offers(group, prices)
            where = say_series(series, varying)
            found.append(Market(operation, series, where, offers, baseline(group)))
    return found


def _offers(group: Sequence[Point], prices: Prices) -> tuple[Offer, ...]:
    base = baseline(group)
    made = []
    for point in group:
        price = prices.of(point.share)
        of_dram = None if base is None else relative(point, base)
        rivals = [p for p in group if p is not point and prices.of(p.share) <= price * (1 + 1e-9)]
        made.append(Offer(point, price, of_dram, _standing(point, rivals)))
    return tuple(sorted(made, key=lambda offer: (offer.price, offer.point.pattern)))


def _standing(point: Point, rivals: Sequence[Point]) -> Standing:
    # In the order of "worse to better", whatever the unit.
    _, middle, high = _goodness(point)
    if any(_goodness(rival)[0] > high for rival in rivals):
        return "beaten"
    return "undecided" if any(_goodness(rival)[1] > middle for rival in rivals) else "front"


def _goodness(point: Point) -> tuple[float, float, float]:
    value = point.value
    if point.operation == LATENCY or point.unit == "ns":
        return -value.high, -value.median, -value.low
    return value.low, value.median, value.high


def frame_of(found: Sequence[Market], prices: Prices) -> pd.DataFrame:
    """Make the table of all offers, with the columns `COLUMNS`."""
    import pandas as pd  # late: a report needs no frame, and importing it takes half a second

    rows: list[dict[str, Any]] = [
        {
            "operation": market.operation,
            "parameters": market.where or None,
            "pattern": offer.point.pattern,
            "ratio": offer.point.ratio,
            "dram_share": offer.point.share,
            "price_per_gib": offer.price,
            "price_of_all_dram": offer.price / prices.dram,
            "median": offer.point.value.median,
            "ci_low": offer.point.value.low,
            "ci_high": offer.point.value.high,
            "unit": offer.point.unit,
            "of_all_dram": None if offer.of_dram is None else offer.of_dram.median,
            "of_all_dram_low": None if offer.of_dram is None else offer.of_dram.low,
            "of_all_dram_high": None if offer.of_dram is None else offer.of_dram.high,
            "standing": offer.standing,
            "emulated": offer.point.record.emulated,
        }
        for market in found
        for offer in market.offers
    ]
    data = {name: pd.array([row[name] for row in rows], dtype=kind) for name, kind in COLUMNS.items()}  # type: ignore[call-overload]
    return pd.DataFrame(data, columns=list(COLUMNS))


@dataclass(frozen=True)
class Choice:
    """The cheapest ratio that keeps a share of what all DRAM does.

    Parameters
    ----------
    offer : Offer or None
        The cheapest of those whose whole interval keeps it; None if only all DRAM does.
    undecided : tuple of Offer
        Cheaper ones whose interval spans the limit.
    needed_share : Estimate or None
        The least DRAM share that does, by the model from the measured ends, with the interval that theirs
        allow.
    """

    offer: Offer | None
    undecided: tuple[Offer, ...]
    needed_share: Estimate | None


def cheapest(market: Market, results: Results, keep: float = KEEP) -> Choice | None:
    """Choose among the measured ratios of a bandwidth; None if there is no all-DRAM point to compare with.

    Raises
    ------
    ParameterError
        If `keep` is not a share.
    """
    if not 0 < keep <= 1:
        raise ParameterError(f"keep {keep!r} is not a share above 0 and up to 1", "90 % is 0.9")
    if market.base is None or market.base.unit == "ns":
        return None
    known = [offer for offer in market.offers if offer.of_dram is not None and offer.point is not market.base]
    kept = [offer for offer in known if offer.of_dram is not None and offer.of_dram.low >= keep]
    best = min(kept, key=lambda offer: offer.price, default=None)
    top = math.inf if best is None else best.price
    unsure = tuple(
        offer
        for offer in known
        if offer.of_dram is not None and offer.of_dram.low < keep <= offer.of_dram.high and offer.price < top
    )
    return Choice(best, unsure, _needed_share(market, results, keep))


def _needed_share(market: Market, results: Results, keep: float) -> Estimate | None:
    mixed = [offer.point for offer in market.offers if 0 < offer.point.share < 1]
    ends = next((found for point in mixed if (found := endpoints(point, results)) is not None), None)
    if ends is None:
        return None
    dram, slow = (end.value for end in ends)

    # B_n / (1 - x) = keep B_d, the slow memory limits; from B(x) = min(B_d / x, B_n / (1 - x)).
    def share(of_slow: float, of_dram: float) -> float:
        return max(0.0, 1 - of_slow / (keep * of_dram)) if of_dram > 0 else 0.0

    return Estimate(
        share(slow.median, dram.median), share(slow.high, dram.low), share(slow.low, dram.high)
    )  # fmt: skip


def sentences(found: Sequence[Market], results: Results, prices: Prices, keep: float = KEEP) -> list[str]:
    """Say the cheapest choice of each bandwidth in words, with its intervals."""
    said: list[str] = []
    if prices.slow >= prices.dram:
        said.append(
            f"At these prices the {results.slow_name} memory costs no less than DRAM: "
            "no ratio is cheaper than all DRAM."
        )
    for market in found:
        choice = cheapest(market, results, keep)
        if choice is None:
            continue
        where = f" ({market.where})" if market.where else ""
        start = (
            f"Cheapest ratio that keeps at least {percent(keep)} of all-DRAM {market.operation} "
            f"bandwidth{where}: "
        )
        if choice.offer is None or choice.offer.price >= prices.dram:
            text = start + "all DRAM; no cheaper ratio that was measured does for certain"
        else:
            text = (
                start
                + f"{_name(choice.offer, results)}, {_kept(choice.offer)}, for {_price(choice.offer, prices)}"
            )
        if choice.undecided:
            parts = ", ".join(
                f"{_name(o, results)} ({_kept(o)}, {_price(o, prices)})" for o in choice.undecided
            )
            text += f". Cheaper, but undecided, for the interval spans {percent(keep)}: {parts}"
        if choice.needed_share is not None:
            need = choice.needed_share
            bounds = f"[{percent(need.low)}, {percent(need.high)}]"
            text += (
                f". The model needs {percent(need.median)} DRAM"
                f" {f'({TOO_FEW})' if need.says_nothing else bounds}; "
                "close to its optimum, machines stay 6 to 14 % below it"
            )
        said.append(text + ".")
    return said


def _name(offer: Offer, results: Results) -> str:
    point = offer.point
    if point.share == 0:
        return f"all {results.slow_name} (pattern {short_pattern(point.pattern)})"
    return f"DRAM:{results.slow_name} {point.ratio} (pattern {short_pattern(point.pattern)})"


def _kept(offer: Offer) -> str:
    of = offer.of_dram
    if of is None:
        return ""
    bounds = f"[{of.low * 100:.1f}, {of.high * 100:.1f}]"
    return f"{of.median * 100:.1f} % {f'({TOO_FEW})' if of.says_nothing else bounds}"


def _price(offer: Offer, prices: Prices) -> str:
    return f"{prices.say(offer.price)} per GiB, {percent(offer.price / prices.dram)} of all DRAM's price"
