"""What `notebooks/find.ipynb` calls: the cheapest ratio that keeps what is needed, in few launches."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from hmexp.errors import ParameterError
from hmexp.experiment.engine import run_experiment
from hmexp.measure.need import parse_need
from hmexp.notebook.redis import read_prices
from hmexp.notebook.sweep import not_run, refuse_unknown
from hmexp.progress import notebook_display
from hmexp.report.figures import gallery as figures
from hmexp.report.model.decided import require_decided
from hmexp.report.model.decision import Decision, decide
from hmexp.report.model.first_page import FirstPage, Kept
from hmexp.report.model.question import Question
from hmexp.report.page import inline
from hmexp.report.page.first import first_page
from hmexp.report.page.html import write_report
from hmexp.report.page.inline_html import Html
from hmexp.report.run.results import Results
from hmexp.sweep.find import make_find
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology

#: Parameters of the notebook that are those of a sweep.
SWEEP: Final = (
    "patterns", "size", "threads", "launches", "samples", "sample_seconds", "budget", "emulate", "results",
    "run",
)  # fmt: skip
_OWN: Final = ("needs", "prices")
_DPI: Final = 110


class FindNotebook:
    """A search as its notebook sees it: made from its parameters, run once, shown.

    Raises
    ------
    HmexpError
        From the constructor, if a parameter cannot be used; nothing was written then.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        refuse_unknown((*_OWN, *SWEEP))
        needs = namespace.get("needs", [])
        if isinstance(needs, str):
            raise ParameterError(f"needs {needs!r} is one text", f"write a list of texts: [{needs!r}]")
        prices = read_prices(str(namespace.get("prices", "none")))
        self.question = Question(tuple(map(parse_need, needs)), prices=prices)
        given = {name: namespace[name] for name in SWEEP if name in namespace}
        if list(given.get("patterns", ())) == ["auto"]:
            del given["patterns"]  # those of a search
        self.search = make_find(self.question.needs, given, read_topology(libnuma=LibNuma.load()))
        self._path: Path | None = None

    def __repr__(self) -> str:
        lines = [self.search.plan.headline, *(f"Note: {note}" for note in self.search.plan.notes)]
        lines.append(
            f"{len(self.search.candidates)} ratios to choose from; at most {self.search.most_launches} "
            f"launches, where the whole grid takes {self.search.plan.launches}."
        )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *rest = (escape(line) for line in str(self).split("\n"))
        text = "".join(f"<br>{line}" for line in rest)
        return f'<div style="border-left:4px solid #8a5a00;padding:.4em .8em"><b>{head}</b>{text}</div>'

    def run(self) -> None:
        """Measure until whole intervals decide, and write the report."""
        outcome = run_experiment(
            self.search, notebook_display(), report=lambda run: write_report(run, question=self.question)
        )
        self._path = outcome.path
        print(f"Report: {outcome.path / 'report.html'}")

    @property
    def results(self) -> Results:
        """The run.

        Raises
        ------
        SweepError
            If nothing was searched yet.
        """
        if self._path is None:
            raise not_run("search")
        return Results.load(self._path)

    def answer(self) -> Html:
        """The question, the verdict and why, how far to trust it, and what it took."""
        results = self.results
        page = self._page(results)
        lines = [
            page.question,
            f"{page.verdict} {page.why}",
            *results.labels,
            *page.said,
            *(f"{ground.name}: {ground.text}." for ground in page.trust),
        ]
        html = "".join(f"<p>{escape(line)}</p>" for line in lines[2:])
        head = f"<p>{escape(lines[0])}</p><p><b>{escape(lines[1])}</b></p>"
        return Html(head + html, "\n".join(lines))

    def ratios(self) -> pd.DataFrame:
        """A row for each ratio, a column for each need: kept, not kept, inconclusive, or not looked at."""
        page = self._page(self.results)
        heads = [page.row_head, "pattern", "needs", *page.fact_heads, *page.heads]
        rows = [
            [line.ratio, line.pattern, f"{line.sign} {line.mark}", *line.facts, *map(_say, line.cells)]
            for line in page.lines
        ]
        return pd.DataFrame(rows, columns=heads).set_index(page.row_head)

    def figure(self, stem: str) -> inline.Picture | Html:
        """A figure of the report by the name of its file, or a line saying that this run has none."""
        # The one that is asked for: to draw all of them takes as long as some launches.
        draw = figures.wanted_figures(self.results).get(stem)
        if draw is not None:
            return inline.Picture(stem, figures.png_bytes(draw(), _DPI))
        text = f"No figure {stem}: this search measured nothing for it."
        return Html(f"<p>{escape(text)}</p>", text)

    def require_decided(self) -> None:
        """Raise SweepError if there is no answer: papermill must not end well then."""
        results = self.results
        require_decided(self._decision(results), results)

    def _decision(self, results: Results) -> Decision:
        return decide(results, self.question)

    def _page(self, results: Results) -> FirstPage:
        return first_page(self._decision(results), results)


def _say(cell: Kept) -> str:
    value = f"{cell.value} {cell.interval}".strip() or cell.reason
    return f"{cell.sign} {cell.mark}: {value}" if cell.mark else value
