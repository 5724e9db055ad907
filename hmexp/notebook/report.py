"""What `notebooks/report.ipynb` calls: the reports of runs, made of their stored records.

A face: it shows, and leaves the work to the layers below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from IPython.display import display

from hmexp.errors import ParameterError
from hmexp.markup import Fragment, badge, element, join, listing, muted
from hmexp.notebook.sweep import refuse_unknown
from hmexp.report.figures import gallery as figures
from hmexp.report.model import tables
from hmexp.report.page import inline
from hmexp.report.page.inline import Picture
from hmexp.report.page.inline_html import Html
from hmexp.report.run.excerpt import excerpt
from hmexp.report.run.results import Results
from hmexp.store.run import LATEST, resolve_results
from hmexp.system.portrait import draw_nodes, show_nodes

_PARAMETERS: Final = ("runs", "results", "figures")
_EXAMPLE: Final = "example"
_DPI: Final = 110
_MOST_FAILURES: Final = 50
_HEADING: Final = "margin:.8em 0 .3em"
_PROOF: Final = (
    "operation", "pattern", "threads", "median", "unit", "samples", "proof_ok", "pages_found",
    "modelled_pages", "misplaced_before", "misplaced_after", "absent_pages", "numa_maps_agrees",
)  # fmt: skip


class Report:
    """The runs that the notebook's parameters name.

    Raises
    ------
    HmexpError
        From the constructor, if a parameter is unknown, or a run cannot be read.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        refuse_unknown(_PARAMETERS)
        self._figures = _texts("figures", namespace.get("figures", "all"))
        folder = resolve_results(str(namespace.get("results", "auto")))
        paths = [find_run(text, folder) for text in _texts("runs", namespace.get("runs", "auto"))]
        self.runs: dict[Path, Results] = {path: _load(path) for path in dict.fromkeys(paths)}

    def __repr__(self) -> str:
        return "\n".join(f"{path}: {results}" for path, results in self.runs.items())

    def _repr_html_(self) -> str:
        every = self.runs.items()
        return join(join([element("h4", path.name, style=_HEADING), _fragment(run)]) for path, run in every)

    def advice(self) -> None:
        """Show what each run says about ratios, in words."""
        self._show_each(lambda results: [inline.words(excerpt(results))])

    def tables(self) -> None:
        """Show all patterns of each run, a column for each operation."""
        self._show_each(lambda results: [inline.table(excerpt(results))])

    def figures(self) -> None:
        """Show the figures of each run, or those that were asked for."""
        self._show_each(self._draw)

    def machines(self) -> None:
        """Show the nodes that each run was measured on."""
        self._show_each(lambda results: [_machine(results)])

    def failures(self) -> None:
        """Show what was not measured, and why."""
        self._show_each(lambda results: [_failures(results)])

    def proof(self) -> None:
        """Show each point with its number and its proof."""
        self._show_each(lambda results: [_proof(results)])

    def frame(self) -> pd.DataFrame:
        """All points of all runs as one table, a row each, as `points.csv` has them."""
        frames = []
        for path, results in self.runs.items():
            frame = tables.frame_of(results)
            frame.attrs.clear()  # what one run says of its model is not so of the others
            frame.insert(0, "run", path.name)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def _show_each(self, parts_of: Any) -> None:
        for path, results in self.runs.items():
            if len(self.runs) > 1:
                display(Html(_heading(path, results), path.name))
            for part in parts_of(results):
                display(part)

    def _draw(self, results: Results) -> Iterable[Html | Picture]:
        draw = figures.wanted_figures(excerpt(results))
        wanted = tuple(draw) if self._figures == ("all",) else self._figures
        for stem in wanted:
            if stem in draw:
                yield Picture(stem, figures.png_bytes(draw[stem](), _DPI))
            else:
                there = ", ".join(draw) or "none"
                text = f"No figure {stem}: this run measured nothing for it. It has {there}."
                yield Html(muted(text), text)


def find_run(text: str, folder: Path) -> Path:
    """The folder of a run by its path, or by its name under `folder`.

    Raises
    ------
    ParameterError
        If there is no such run, with the names of those that are there.
    """
    names = [LATEST, _EXAMPLE] if text == "auto" else [text]
    for name in names:
        for path in (Path(name).expanduser(), folder / name):
            if (path / "run.json").is_file():
                return path.resolve()
    there = sorted(path.parent.name for path in folder.glob("*/run.json"))
    raise ParameterError(
        f"run {text!r} is neither the folder of a run nor the name of one under {folder}",
        f"there are: {', '.join(there)}" if there else "measure one: make sweep",
    )


def _load(path: Path) -> Results:
    results = Results.load(path)
    study = results.run.study
    if study is not None:
        raise ParameterError(
            f"run {path.name!r} is a study of {study}, not a sweep",
            f"show it by the parameter records of notebooks/{study}.ipynb",
        )
    return results


def _texts(name: str, value: Any) -> tuple[str, ...]:
    items: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ParameterError(f"{name} is an empty list", f"give at least one of {name}")
    for item in items:
        if isinstance(item, bool) or not isinstance(item, str | int):
            raise ParameterError(f"{name} {item!r} is not a text")
    return tuple(map(str, items))


def _heading(path: Path, results: Results) -> Fragment:
    labels = [badge(label, "caution") for label in results.labels]
    return element("h4", join([path.name, *labels], " "), style=_HEADING)


def _fragment(results: Results) -> Fragment:
    # What an object shows of itself is HTML that is escaped already.
    return Fragment(results._repr_html_())


def _machine(results: Results) -> Html:
    nodes = show_nodes(results.run.nodes, results.emulation)
    return Html(draw_nodes(nodes, results.run.notes), f"{len(nodes)} nodes")


def _failures(results: Results) -> Html:
    failed = results.not_ok
    if not failed and not results.unfinished:
        text = f"All {len(results.ok)} points were measured and proven."
        return Html(element("div", badge("✓", "good"), " ", text), text)
    lines = [f"{p.status}: {p.pattern} {p.operation}: {p.why}" for p in failed[:_MOST_FAILURES]]
    if len(failed) > len(lines):
        lines.append(f"and {len(failed) - len(lines)} more")
    if results.unfinished:
        lines.append(f"{results.unfinished} points are not measured yet")
    return Html(
        join([badge(f"{len(failed)} points failed or were skipped", "bad"), listing(lines)]), "\n".join(lines)
    )


def _proof(results: Results) -> pd.DataFrame:
    frame = tables.frame_of(results)
    return frame[[name for name in _PROOF if frame[name].notna().any()]].round(3)
