"""What the notebooks of the studies call: `notebooks/placers.ipynb`, `notebooks/curves.ipynb` and others.

A face: it shows, and leaves the work to the layers below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Final

import pandas as pd

from hmexp.experiment.engine import Outcome, run_experiment
from hmexp.notebook.sweep import not_run, refuse_unknown
from hmexp.program.experiment import make_program_study
from hmexp.program.parameters import ProgramParameters
from hmexp.program.redis.parameters import RedisParameters
from hmexp.program.redis.study import make_redis_study
from hmexp.progress import notebook_display
from hmexp.report.figures import gallery as figures
from hmexp.report.page import inline
from hmexp.report.page.inline_html import Html
from hmexp.report.study.files import EACH, FIGURES, TABLES, write_study
from hmexp.report.study.results import StudyResults
from hmexp.store.run import resolve_results
from hmexp.study.curves import CurveParameters, make_curves
from hmexp.study.experiment import Study
from hmexp.study.granularity import GranuleParameters, make_granule_study
from hmexp.study.placers import PlacerParameters, make_placer_study
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import Topology, read_topology

#: Of pictures in a notebook.
DPI: Final = 110
#: The notebooks' own parameter beside those of their study: a run to show instead of measuring one.
RECORDS: Final = "records"

Maker = Callable[[Any, Topology], Study]


class StudyNotebook:
    """A study as a notebook sees it: made from its parameters, run once or loaded, shown.

    Raises
    ------
    HmexpError
        From the constructor, if a parameter cannot be used; nothing was written then.
    """

    #: Parameters of the notebook beside those of its study.
    more: ClassVar[tuple[str, ...]] = (RECORDS,)

    def __init__(self, name: str, namespace: Mapping[str, Any]) -> None:
        self.name = name
        kind, make = _KINDS[name]
        names = tuple(kind().to_record())
        refuse_unknown((*names, *self.more))
        given = {key: namespace[key] for key in names if key in namespace}
        parameters = kind.from_mapping(given)
        self.outcome: Outcome | None = None
        self._path: Path | None = None
        records = str(namespace.get(RECORDS, "none"))
        if records != "none":
            self._path = _find_run(records, given)
            self._results = StudyResults.load(self._path, name)
            self.headline = f"Records of {self._path.name}: {self._results.run.headline}"
            self.notes: tuple[str, ...] = self._results.run.notes
            return
        self.study = make(parameters, read_topology(libnuma=LibNuma.load()))
        self.headline, self.notes = self.study.headline, self.study.notes

    def __repr__(self) -> str:
        return "\n".join([self.headline, *(f"Note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        head, *rest = (escape(line) for line in str(self).split("\n"))
        text = "".join(f"<br>{line}" for line in rest)
        return f'<div style="border-left:4px solid #8a5a00;padding:.4em .8em"><b>{head}</b>{text}</div>'

    def run(self) -> None:
        """Measure what is missing, and write tables and figures; nothing, if records were given."""
        if self._path is not None and self.outcome is None:
            print("Nothing is measured: the records were given.")
            return
        self.outcome = run_experiment(self.study, notebook_display(), report=write_study)
        self._path = self.outcome.path
        print(f"Written: {self._path}")

    @property
    def results(self) -> StudyResults:
        """The records.

        Raises
        ------
        SweepError
            If the study was not run yet.
        """
        if self._path is None:
            raise not_run("study")
        return StudyResults.load(self._path, self.name)

    def status(self) -> Html:
        """What the run is: emulated or not, functional only or not, and what was skipped or failed."""
        results = self.results
        lines = [f"{len(results.records)} points, {len(results.not_ok)} failed or skipped", *results.labels]
        reasons = dict.fromkeys(f"{r.status}: {r.reason}" for r in results.not_ok)
        lines += [reason.replace("\n", " ") for reason in reasons]
        return Html("<br>".join(f"<b>{escape(line)}</b>" for line in lines), "\n".join(lines))

    def table(self, stem: str) -> pd.DataFrame:
        """A table of the study by the name of its file."""
        return TABLES[self.name][stem](self.results).round(3)

    def figure(self, stem: str) -> inline.Picture:
        """A figure of the study by the name of its file."""
        drawn = FIGURES[self.name][stem](self.results)
        return inline.Picture(stem, figures.png_bytes(drawn, DPI))

    def figures(self) -> Iterator[inline.Picture]:
        """The figures that the study has for each of something, such as the curves of each pattern."""
        for stem, drawn in EACH[self.name](self.results).items():
            yield inline.Picture(stem, figures.png_bytes(drawn, DPI))

    def require_complete(self) -> None:
        """Raise SweepError if a point failed: papermill must not end well then."""
        if self.outcome is not None:
            self.outcome.require_complete()
        elif self._path is None:
            raise not_run("study")


def _find_run(records: str, given: Mapping[str, Any]) -> Path:
    """A run by its folder, or by its name among the results."""
    folder = Path(records).expanduser()
    named = resolve_results(str(given.get("results", "auto"))) / records
    return folder if folder.is_dir() or not named.is_dir() else named


_KINDS: Final[Mapping[str, tuple[Any, Maker]]] = {
    "curves": (CurveParameters, make_curves),
    "placers": (PlacerParameters, make_placer_study),
    "granularity": (GranuleParameters, make_granule_study),
    "program": (ProgramParameters, make_program_study),
    "redis": (RedisParameters, make_redis_study),
}
