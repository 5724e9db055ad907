"""What `notebooks/redis.ipynb` calls: the study of a Redis, its verdict, and controls to look at it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any, Final

import ipywidgets
import pandas as pd

from hmexp.errors import ParameterError
from hmexp.notebook.study import DPI, StudyNotebook
from hmexp.notebook.widgets import Play
from hmexp.report.figures import gallery as figures
from hmexp.report.model.prices import Prices
from hmexp.report.page.inline_html import Html
from hmexp.report.study.program_verdict import KEEP
from hmexp.report.study.redis import LATENCIES, cells_of, redis_frame
from hmexp.report.study.redis_figures import redis_metric
from hmexp.report.study.redis_verdict import redis_verdicts
from hmexp.units import format_size

_NONE: Final = "none"


class RedisNotebook(StudyNotebook):
    """The study of a Redis as its notebook sees it.

    Raises
    ------
    HmexpError
        From the constructor, if a parameter cannot be used; nothing was written then.
    """

    more = (*StudyNotebook.more, "prices", "keep")

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.prices = read_prices(str(namespace.get("prices", _NONE)))
        self.keep = _read_keep(namespace.get("keep", KEEP))
        super().__init__("redis", namespace)

    def requests(self) -> pd.DataFrame:
        """What each ratio did to each kind of requests; with prices, what its memory costs."""
        return redis_frame(self.results, self.prices).round(4)

    def verdict(self) -> Html:
        """What is to be said of each ratio, and of the sentence that began this."""
        lines = redis_verdicts(self.results, self.prices, self.keep)
        return Html("".join(f"<p>{escape(line)}</p>" for line in lines), "\n".join(lines))

    def explore(self) -> None:
        """Show any metric of any size of values, by controls where there is a person."""
        cells = cells_of(self.results)
        if not cells:
            print("Nothing was measured that could be shown.")
            return
        sizes = {format_size(cell.value_bytes): cell.value_bytes for cell in cells}
        controls = {
            "metric": ipywidgets.Dropdown(options=("throughput", *LATENCIES), description="metric:"),
            "size": ipywidgets.Dropdown(options=sizes, description="values:"),
        }
        Play(self._draw, controls).show()

    def _draw(self, metric: str, size: int) -> Html:
        png = figures.png_bytes(redis_metric(self.results, metric, size), DPI)
        coded = base64.b64encode(png).decode()
        return Html(f'<img alt="{metric}" src="data:image/png;base64,{coded}">', f"a picture of {metric}")


def read_prices(text: str) -> Prices | None:
    """Prices of DRAM and of slow memory per GiB, as ``10,3``; None for ``none``.

    Raises
    ------
    ParameterError
        If they are not two numbers above 0.
    """
    if text == _NONE:
        return None
    try:
        dram, slow = (float(word) for word in text.split(","))
    except ValueError as error:
        raise ParameterError(
            f"prices {text!r} is not two numbers", "give those of DRAM and of slow memory per GiB: 10,3"
        ) from error
    return Prices(dram, slow)


def _read_keep(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ParameterError(f"keep {value!r} is not a number between 0 and 1", "0.9 keeps 90 %")
    return float(value)
