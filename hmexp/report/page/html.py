"""One file that says it all: `report.html`, and the tables and figures beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from markupsafe import Markup
from matplotlib.figure import Figure

from hmexp.report.figures import gallery as figures
from hmexp.report.figures import pareto, style
from hmexp.report.figures.captions import CAPTIONS, TITLES, absent_figures
from hmexp.report.figures.strips import strips_of
from hmexp.report.model import cost as offers
from hmexp.report.model.advice import KEEP, advise, cautions
from hmexp.report.model.decision import Decision, decide
from hmexp.report.model.overview import overview
from hmexp.report.model.predictions import predict
from hmexp.report.model.prices import Prices
from hmexp.report.model.question import Question
from hmexp.report.model.tables import model_source, write_csv, write_points, write_samples
from hmexp.report.page.commands import commands
from hmexp.report.page.first import first_page
from hmexp.report.page.rows import failed_row, point_row
from hmexp.report.page.second import Work
from hmexp.report.page.templates import render_template
from hmexp.report.run.excerpt import MOST_FAILURES, excerpt
from hmexp.report.run.numbers import MISSING, digits
from hmexp.report.run.results import Results
from hmexp.store.files import write_atomically
from hmexp.store.machine import NodeRecord
from hmexp.store.reader import collector_paused
from hmexp.store.validity import FUNCTIONAL_ONLY, LAB_PLUGIN
from hmexp.units import format_size

_COST: Final = "cost.csv"
_MOST_CPUS: Final = 16
_STARTS: Final = {"fork": "forked from one that has imported everything", "exec": "Python started anew"}


def write_report(
    run_dir: Path, prices: Prices | None = None, keep: float = KEEP, question: Question | None = None
) -> Path:
    """Write `report.html`, `points.csv`, `samples.csv` and `figures/` of a run.

    Everything is made from `points.jsonl` and `run.json`; each file is replaced whole or not at all.

    Parameters
    ----------
    run_dir : Path
        The run's directory.
    prices : Prices, optional
        Of memory: then the report also says what each ratio costs, and writes `cost.csv`.
    keep : float
        Share of all DRAM's bandwidth that the cheapest ratio is to keep.
    question : Question, optional
        What the first page answers, instead of `prices` and `keep`.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    StoreError
        If the run cannot be read, or a file cannot be written.
    """
    with collector_paused():
        results = Results.load(run_dir)
        return write_report_of(results, run_dir, decide(results, question or Question((), keep, prices)))


def write_report_of(results: Results, run_dir: Path, decision: Decision) -> Path:
    """Write what `write_report` writes, of a run that was read and judged already."""
    prices, keep = decision.question.prices, decision.question.keep
    shown = excerpt(results)
    wanted = figures.wanted_figures(shown)
    found = offers.markets(shown, prices) if prices is not None else []
    if prices is not None and found:
        wanted[pareto.STEM] = partial(pareto.cost_performance, shown, found, prices)
    folder = run_dir / "figures"
    Work(
        [
            partial(write_points, results, run_dir / "points.csv"),
            *(partial(_save, draw, folder, stem) for stem, draw in wanted.items()),
            partial(write_samples, results, run_dir / "samples.csv"),
            partial(_write_costs, results, run_dir, prices),
        ]
    ).carry_out()
    drawn = {stem: figures.read_svg(folder, stem) for stem in wanted}
    said = offers.sentences(found, shown, prices, keep) if prices is not None else []
    page = render(results, drawn, decision, said, shown)
    return write_atomically(run_dir / "report.html", page)


def _save(draw: Callable[[], Figure], folder: Path, stem: str) -> None:
    figures.save(draw(), folder, stem)


def _write_costs(results: Results, run_dir: Path, prices: Prices | None) -> None:
    if prices is not None:
        write_csv(offers.frame_of(offers.markets(results, prices), prices), run_dir / _COST)
        return
    # Of other prices, from an earlier report: beside this one they would be taken for its own.
    for stale in (_COST, f"figures/{pareto.STEM}.svg", f"figures/{pareto.STEM}.png"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (run_dir / stale).unlink()


def render(
    results: Results,
    svgs: Mapping[str, str],
    decision: Decision,
    costs: Sequence[str] = (),
    shown: Results | None = None,
) -> str:
    """Make the page.

    Parameters
    ----------
    results : Results
        The run.
    svgs : dict of str to str
        The text of each figure's SVG file, by stem.
    decision : Decision
        What the first page says.
    costs : sequence of str
        What is to be said of prices.
    shown : Results, optional
        The part of a large run that is shown, if it was chosen already.
    """
    shown = excerpt(results) if shown is None else shown
    advice = replace(advise(shown), cautions=tuple(cautions(results)))
    predictions = predict(shown)
    drawn = {stem: _figure(stem, svg, shown) for stem, svg in svgs.items()}
    varying = {n for op in shown.operations for n in shown.varying(shown.select(op))}
    return render_template(
        "template.html.j2",
        results=results,
        first=first_page(decision, results),
        note=shown.note,
        costs=costs,
        functional_only=FUNCTIONAL_ONLY,
        lab_plugin=LAB_PLUGIN,
        counts=_counts(results),
        advice=advice,
        overview=overview(shown),
        placement=drawn.pop("placement_strips", None),
        figures=list(drawn.values()),
        varying=bool(varying),
        common=style.common_parameters(shown, shown.ok),
        points=[point_row(point, predictions.get(point.point_id), varying) for point in shown.ok],
        failed=[failed_row(point) for point in results.not_ok[:MOST_FAILURES]],
        strips=strips_of(shown),
        model_source=model_source(predictions),
        method=_method(results),
        nodes=[_node(node) for node in results.run.nodes],
        emulation=_emulation(results),
        provenance=list(flatten(_plain(results.run.provenance))),
        raw_run=msgspec.json.format(msgspec.json.encode(results.run), indent=2).decode(),
        commands=commands(results, decision.question),
        absent=absent_figures(svgs),
    )


def _counts(results: Results) -> dict[str, int]:
    planned = max(results.run.points or 0, len(results.points))
    return {
        "planned": planned,
        "ok": len(results.ok),
        "failed": len(results.not_ok),
        "unfinished": results.unfinished,
        "samples": sum(len(point.samples) for point in results.ok),
    }


def _figure(stem: str, svg: str, results: Results) -> dict[str, Any]:
    title, caption = TITLES.get(stem, stem), CAPTIONS.get(stem, "").replace("\n", " ")
    spoken = ". ".join([title, *results.labels, caption])
    # Safe: matplotlib escapes the text it draws, and inline_svg escapes the description.
    markup = Markup(figures.inline_svg(svg, stem, spoken))
    return {"stem": stem, "title": title, "caption": caption, "svg": markup}


def _plain(record: msgspec.Struct | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(record) or {}
    return found


def _method(results: Results) -> dict[str, str]:
    def spread(numbers: Iterable[float | int]) -> str:
        known = sorted(set(numbers))
        if not known:
            return "no"
        return f"{known[0]:g}" if len(known) == 1 else f"{known[0]:g} to {known[-1]:g}"

    return {
        "samples": spread(len(p.samples) for p in results.ok),
        "launches": spread(p.launches for p in results.ok),
        "seconds": spread(p.loop.sample_seconds for p in results.ok if p.loop is not None),
        "start": " or ".join(
            text
            for start, text in _STARTS.items()
            if any(launch.start == start for p in results.ok for launch in p.record.launches)
        ),
        "shapes": ", ".join(
            f"{one.name} for {one.operation} by {one.threads} thread{'s'[: one.threads > 1]}"
            + (f" ({one.ratio:.2f} of plain)" if one.ratio else "")
            for one in results.run.shapes or ()
            if one.shape != "plain"
        ),
    }


def _node(node: NodeRecord) -> dict[str, str]:
    cpus = list(map(str, node.cpus))
    shown = ", ".join(cpus if len(cpus) <= _MOST_CPUS else [*cpus[:_MOST_CPUS], "…"])
    return {
        "id": str(node.id),
        "kind": node.kind,
        "cpus": f"{len(cpus)} ({shown})" if cpus else "none",
        "total": format_size(node.total_bytes or 0),
        "free": format_size(node.free_bytes or 0),
    }


def _emulation(results: Results) -> dict[str, Any] | None:
    found = results.emulation
    if found is None:
        return None
    speeds = [(f"node {node}", speed) for node, speed in sorted(found.nodes.items())]
    speeds.append(("this host's memory, measured", found.host))
    return {
        "profile": found.profile,
        "backing": results.backing,
        "speeds": [
            (name, [digits(value) for value in (speed.read_gbps, speed.write_gbps, speed.latency_ns)])
            for name, speed in speeds
        ],
        "scale": ", ".join(f"{name} × {digits(value)}" for name, value in found.scale.items()),
    }


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Write a tree of facts as one line each: `settings.numa_balancing`, `0`."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield from flatten({str(number): item for number, item in enumerate(value)}, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value)) or MISSING
        else:
            yield f"{prefix}{name}", MISSING if value is None else str(value)
