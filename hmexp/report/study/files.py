"""The files that are made of a study's records: tables as CSV, figures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from hmexp.report.figures import gallery as figures
from hmexp.report.page.program import render_program
from hmexp.report.study.curves import best_frame, curves_frame
from hmexp.report.study.curves_figures import best_ratio, family_figures
from hmexp.report.study.granularity import granules_frame
from hmexp.report.study.granularity_figures import granularity, translation_cost
from hmexp.report.study.matrix import cells_frame, disagreements_frame
from hmexp.report.study.matrix_figures import heat_map
from hmexp.report.study.mess import mess_files
from hmexp.report.study.prediction import prediction_frame
from hmexp.report.study.prediction_figures import slowdown_curve
from hmexp.report.study.program import programs_frame
from hmexp.report.study.program_figures import program_metrics
from hmexp.report.study.redis import dumps_frame, redis_frame
from hmexp.report.study.redis_figures import redis_beside_dram, redis_dumps, redis_latency
from hmexp.report.study.results import StudyResults
from hmexp.report.study.setup_costs import costs_frame, far_frame
from hmexp.report.study.setup_figures import mappings_against_size, misplacement, setup_costs
from hmexp.store.files import write_atomically

#: What each study has, by the stem of the file's name.
FIGURES: Final[Mapping[str, Mapping[str, Callable[[StudyResults], Figure]]]] = {
    "placers": {
        "setup_costs": setup_costs,
        "misplacement": misplacement,
        "mappings_against_size": mappings_against_size,
    },
    "granularity": {"granularity": granularity, "translation_cost": translation_cost},
    "curves": {"best_ratio": best_ratio},
    "matrix": {"matrix": heat_map},
    "program": {"program": program_metrics},
    "predict": {"predict": slowdown_curve, "program": program_metrics},
    "redis": {
        "redis_beside_dram": redis_beside_dram,
        "redis_latency": redis_latency,
        "redis_dumps": redis_dumps,
    },
}
TABLES: Final[Mapping[str, Mapping[str, Callable[[StudyResults], pd.DataFrame]]]] = {
    "placers": {"placers": costs_frame, "one_tebibyte": far_frame},
    "granularity": {"granules": granules_frame},
    "curves": {"curves": curves_frame, "best_ratio": best_frame},
    "matrix": {"matrix": cells_frame, "disagreements": disagreements_frame},
    "program": {"program": programs_frame},
    "predict": {"predict": prediction_frame, "program": programs_frame},
    "redis": {"requests": redis_frame, "dumps": dumps_frame},
}
#: Studies with a figure for each of something, by the stems of the files' names.
EACH: Final[Mapping[str, Callable[[StudyResults], Mapping[str, Figure]]]] = {"curves": family_figures}
#: Studies with files of another form, by their names.
TEXTS: Final[Mapping[str, Callable[[StudyResults], Mapping[str, str]]]] = {"curves": mess_files}
#: Studies with a page of their own: made of the figure of that stem.
PAGES: Final[Mapping[str, tuple[str, Callable[[StudyResults, str], str]]]] = {
    "program": ("program", render_program),
    "predict": ("predict", render_program),
}
REPORT: Final = "report.html"


def write_study(run_dir: Path) -> tuple[Path, ...]:
    """Write every table and figure of a study beside its records.

    Raises
    ------
    StoreError
        If `run_dir` is not the run of a study.
    """
    study = StudyResults.load(run_dir)
    folder = run_dir / "figures"
    written = [
        write_atomically(run_dir / f"{stem}.csv", make(study).to_csv(lineterminator="\n"))
        for stem, make in TABLES.get(study.name, {}).items()
    ]
    for stem, draw in FIGURES.get(study.name, {}).items():
        written += figures.save(draw(study), folder, stem)
    if study.name in EACH:
        for stem, figure in EACH[study.name](study).items():
            written += figures.save(figure, folder, stem)
    if study.name in TEXTS:
        written += [write_atomically(run_dir / name, text) for name, text in TEXTS[study.name](study).items()]
    page = PAGES.get(study.name)
    if page is not None:
        stem, render = page
        svg = (folder / f"{stem}.svg").read_text(encoding="utf-8")
        written.append(write_atomically(run_dir / REPORT, render(study, svg)))
    return tuple(written)
