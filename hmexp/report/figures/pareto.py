"""What a ratio costs against what it does: the figure that says what to buy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hmexp.report.figures import style
from hmexp.report.model.cost import Market, Offer
from hmexp.report.model.mixtures import bandwidth_gbps, latency_ns
from hmexp.report.model.predictions import endpoints
from hmexp.report.model.prices import Prices
from hmexp.report.run.numbers import digits
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation

STEM: Final = "cost_performance"
TITLE: Final = "Cost and performance"
CAPTION: Final = """\
What to buy? Each dot is a measured ratio at the prices that were given, its bar the 95 % interval. A filled
dot is Pareto-optimal: nothing that costs no more is better. A hollow one may be dominated, for the intervals
overlap; a small grey one is dominated. The line is the model from the measured ends, for every ratio
between."""
#: Two rows of four fit a sheet of paper.
_COLUMNS: Final = 4
_MOST_PANELS: Final = 8
#: What the two lines beside a dot take: where dots are closer, there is one, the ratio.
_LABEL_INCHES: Final = 0.5


@style.styled()
def cost_performance(results: Results, found: Sequence[Market], prices: Prices) -> Figure:
    """Draw what was measured against its price, a panel for each operation and set of parameters."""
    shown = found[:_MOST_PANELS]
    slow = f"{results.slow_name} {prices.say(prices.slow)}"
    subtitle = f"prices as given: DRAM {prices.say(prices.dram)}, {slow} per GiB"
    if len(found) > len(shown):
        subtitle += f"; {len(found) - len(shown)} more sets of parameters are not drawn"
    columns = max(1, min(_COLUMNS if len(shown) > 4 else 3, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    size = (style.panels_width(4.3, columns), 2.9 * rows + 0.2)
    figure = style.framed(results, TITLE, subtitle, size, key=_key())
    panels = figure.subplots(rows, columns, squeeze=False)
    if not shown:
        style.say_nothing(panels[0][0], "No point was measured that could be priced.")
        return figure
    every = [axes for row in panels for axes in row]
    for axes, market in zip(every, shown, strict=False):
        _draw(axes, market, results, prices, size[0] / columns - 1.0)
    for axes in every[len(shown) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, market: Market, results: Results, prices: Prices, room_inches: float) -> None:
    latency = any(offer.point.unit == "ns" for offer in market.offers)
    title = say_operation(market.operation).capitalize() + (f", {market.where}" if market.where else "")
    axes.set_title(title)
    axes.set_ylabel("ns per access (less is better)" if latency else "GB/s of payload")
    axes.set_xlabel(f"price per GiB{f' [{prices.currency}]' if prices.currency else ''}")
    axes.grid(visible=True, which="major")
    _draw_model(axes, market, results, prices)
    front = market.front
    axes.plot(
        [o.price for o in front], [o.point.value.median for o in front], color=style.MUTED, linewidth=0.9,
        linestyle=(0, (1, 2)), zorder=2,
    )  # fmt: skip
    prices_of = sorted(offer.price for offer in market.offers)
    apart = _LABEL_INCHES * (prices_of[-1] - prices_of[0]) / room_inches
    for offer in market.offers:
        near = sum(abs(offer.price - price) < apart for price in prices_of)
        _draw_offer(axes, offer, alone=near < 2)
    axes.margins(x=0.12)
    top = max(offer.point.value.shown[1] for offer in market.offers)
    axes.set_ylim(0, top * 1.25)  # room for two lines above the highest


def _draw_model(axes: Axes, market: Market, results: Results, prices: Prices) -> None:
    mixed = [offer.point for offer in market.offers if 0 < offer.point.share < 1]
    ends = next((pair for point in mixed if (pair := endpoints(point, results)) is not None), None)
    if ends is None or min(end.value.median for end in ends) <= 0:
        return
    shares = np.linspace(0, 1, 201)
    model = latency_ns if market.operation == "latency" else bandwidth_gbps
    if market.operation != "latency" and ends[0].unit == "ns":
        return
    values = model(shares, ends[0].value.median, ends[1].value.median)
    costs = shares * prices.dram + (1 - shares) * prices.slow
    axes.plot(costs, values, color=style.FAINT, linewidth=1.4, zorder=1.5)


def _draw_offer(axes: Axes, offer: Offer, *, alone: bool) -> None:
    point = offer.point
    if offer.standing == "beaten":
        axes.plot([offer.price], [point.value.median], "o", color=style.MUTED, markersize=3, zorder=3)
    else:
        style.draw_estimate(axes, offer.price, point.value, style.INK, "o")
        if offer.standing == "undecided":
            axes.plot([offer.price], [point.value.median], "o", color=style.PAPER, markersize=3.4, zorder=5)
    text = point.ratio or "?"
    if offer.standing == "front" and offer.of_dram is not None and alone:
        text += f"\n{digits(offer.of_dram.median)}×"
    beaten = offer.standing == "beaten"
    axes.annotate(
        text, (offer.price, point.value.shown[1]), xytext=(0, 5), textcoords="offset points", ha="center",
        va="bottom", size=8, color=style.MUTED if beaten else style.INK,
        weight="normal" if beaten else "bold",
    )  # fmt: skip


def _key() -> style.Key:
    return (
        [
            Line2D([], [], color=style.INK, linestyle="none", marker="o", markersize=5.5),
            Line2D(
                [], [], color=style.INK, linestyle="none", marker="o", markersize=5.5,
                markerfacecolor=style.PAPER,
            ),
            Line2D([], [], color=style.MUTED, linestyle="none", marker="o", markersize=3),
            Line2D([], [], color=style.FAINT),
        ],
        ["Pareto-optimal (× all DRAM)", "may be dominated", "dominated", "model from the measured ends"],
    )  # fmt: skip
