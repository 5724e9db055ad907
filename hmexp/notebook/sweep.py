"""What the notebooks call: a sweep in a few short cells.

A face: it shows, and leaves the work to the layers below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd
from IPython.core.getipython import get_ipython

from hmexp.errors import HmexpError, SweepError
from hmexp.experiment.engine import Outcome
from hmexp.progress import notebook_display
from hmexp.report.figures import gallery as figures
from hmexp.report.model import tables
from hmexp.report.page import inline
from hmexp.report.page.html import write_report
from hmexp.report.page.inline_html import Html
from hmexp.report.run.results import Results
from hmexp.sweep.checks import require_known
from hmexp.sweep.explanation import explain
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology
from hmexp.units import format_size

#: What papermill writes at the top of the cell that it puts behind the parameters.
_INJECTED: Final = "# Parameters\n"
_DPI: Final = 110
_PROOF: Final = (
    "operation", "pattern", "threads", "status", "median", "unit", "samples", "proof_ok", "pages_found",
    "modelled_pages", "misplaced_before", "misplaced_after", "numa_maps_agrees",
)  # fmt: skip


class Sweep:
    """A sweep as the notebook sees it: made from the notebook's parameters, run once, shown.

    Raises
    ------
    HmexpError
        From the constructor, if a parameter cannot be used; nothing was written then.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        names = SweepParameters.names()
        refuse_unknown(names)
        given = _changed({name: namespace[name] for name in names if name in namespace})
        self.topology = read_topology(libnuma=LibNuma.load())
        self.plan: SweepPlan = make_plan(SweepParameters.from_mapping(given), self.topology)
        self.outcome: Outcome | None = None

    def __repr__(self) -> str:
        lines = [self.plan.headline, *(f"Note: {note}" for note in self.plan.notes)]
        lines.append(f"{len(self.plan.points)} points of {format_size(self.plan.points[0].size_bytes)} each.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        kind = "#8a5a00" if self.plan.emulate else "#1b5e20"
        head, *rest = str(self).split("\n")
        return (
            f'<div style="border-left:4px solid {kind};padding:.4em .8em"><b>{escape(head)}</b>'
            + "".join(f"<br>{escape(line)}" for line in rest)
            + "</div>"
        )

    def nodes(self) -> pd.DataFrame:
        """The nodes of this machine, and the emulated one."""
        rows: list[dict[str, object]] = [
            {
                "node": node.id,
                "kind": str(node.kind),
                "CPUs": len(node.cpus),
                "memory": format_size(node.total_bytes),
                "free": format_size(node.free_bytes),
                "in this sweep": self._role(node.id),
            }
            for node in self.topology.nodes
        ]
        if self.plan.emulate is not None:
            rows.append(
                {
                    "node": self.plan.emulate.node,
                    "kind": f"EMULATED {self.plan.emulate.profile.name}",
                    "CPUs": 0,
                    "memory": f"on node {self.plan.backing_node}",
                    "free": "",
                    "in this sweep": self._role(self.plan.emulate.node),
                }
            )
        return pd.DataFrame(rows).set_index("node")

    def _role(self, node: int) -> str:
        if node in self.plan.dram_nodes:
            return "DRAM"
        return "slow" if node in self.plan.slow_nodes else "not used"

    def explain(self) -> Html:
        """What the sweep will do: points, memory, what cannot be measured, and an estimated time."""
        text = str(explain(self.plan))
        return Html(f"<pre>{escape(text)}</pre>", text)

    def run(self) -> None:
        """Measure what is missing, with a progress bar, and write the report."""
        self.outcome = run_sweep(self.plan, notebook_display(), report=write_report)
        print(f"Report: {self.outcome.path / 'report.html'}")

    @property
    def path(self) -> Path:
        """The run directory.

        Raises
        ------
        SweepError
            If the sweep was not run yet.
        """
        if self.outcome is None:
            raise not_run("sweep")
        return self.outcome.path

    def status(self) -> Html:
        """What the run is: emulated or not, how much of it was measured, what failed."""
        return inline.status(Results.load(self.path))

    def table(self) -> Html:
        """All patterns, a column for each operation, with intervals."""
        return inline.table(Results.load(self.path))

    def points(self) -> pd.DataFrame:
        """All points with everything that belongs to them: what `points.csv` has."""
        return tables.frame_of(Results.load(self.path))

    def proof(self) -> pd.DataFrame:
        """Each point with its number and its proof; `points` has the other columns."""
        frame = self.points()
        return frame[[name for name in _PROOF if frame[name].notna().any()]].round(3)

    def figure(self, stem: str) -> inline.Picture | Html:
        """A figure of the report by the name of its file, or a line saying that this run has none."""
        # The one that is asked for: to draw all of them takes as long as some launches.
        draw = figures.wanted_figures(Results.load(self.path)).get(stem)
        if draw is not None:
            return inline.Picture(stem, figures.png_bytes(draw(), _DPI))
        text = f"No figure {stem}: this sweep measured nothing for it."
        return Html(f"<p>{escape(text)}</p>", text)

    def advice(self) -> Html:
        """What the run says about ratios, in words."""
        return inline.words(Results.load(self.path))

    def require_complete(self) -> None:
        """Raise SweepError if a point failed: the notebook, and papermill with it, must not end well then."""
        if self.outcome is None:
            raise not_run("sweep")
        self.outcome.require_complete()


def not_run(what: str) -> SweepError:
    """The error of a notebook whose cell that measures was passed over."""
    return SweepError(f"the {what} was not run yet", f"run the cell with `{what}.run()` first")


def _changed(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was changed in the notebook's cell, or set by papermill: the rest is the preset's."""
    usual = SweepParameters()
    injected = injected_names(notebook_history())

    def asked(name: str) -> bool:
        # A value that cannot be used is somebody's, too; it is refused with all others.
        try:
            only = SweepParameters.from_mapping({name: given[name]})
        except HmexpError:
            return True
        return name == "preset" or bool(getattr(only, name) != getattr(usual, name))

    return {name: value for name, value in given.items() if name in injected or asked(name)}


def refuse_unknown(names: Iterable[str]) -> None:
    """Refuse what papermill has set in this notebook besides its parameters.

    Raises
    ------
    ParameterError
        Naming each unknown one and what may have been meant.
    """
    require_known(injected_names(notebook_history()), names)


def injected_names(history: Sequence[str]) -> list[str]:
    """Names that papermill has set.

    Papermill only warns of a parameter that the notebook does not have, and continues with the
    defaults: a mistyped name would quietly measure something else.

    Parameters
    ----------
    history : sequence of str
        Sources of the cells run so far.
    """
    names = []
    for source in history:
        if source.startswith(_INJECTED):
            for statement in ast.parse(source).body:
                if isinstance(statement, ast.Assign):
                    names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return names


def notebook_history() -> Sequence[str]:
    """Sources of the cells that this notebook has run so far."""
    shell = get_ipython()
    return [] if shell is None else [str(source) for source in shell.user_ns.get("In", [])]
