"""The files that are made of a study's records: tables as CSV, figures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from hmexp.report.figures import gallery as figures
from hmexp.report.page.program import program_parts
from hmexp.report.page.study import PageParts, render_study
from hmexp.report.study.curves import best_frame, curves_frame
from hmexp.report.study.curves_figures import best_ratio, family_figures
from hmexp.report.study.first.curves import curves_page
from hmexp.report.study.first.granularity import granularity_page
from hmexp.report.study.first.matrix import matrix_page
from hmexp.report.study.first.placers import placers_page
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
#: What each study's page adds to what all have.
PAGES: Final[Mapping[str, Callable[[StudyResults], PageParts]]] = {
    "placers": lambda study: PageParts(placers_page(study)),
    "granularity": lambda study: PageParts(granularity_page(study)),
    "curves": lambda study: PageParts(curves_page(study)),
    "matrix": lambda study: PageParts(matrix_page(study)),
    "program": program_parts,
    "predict": program_parts,
    "redis": program_parts,
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
    frames = {stem: make(study) for stem, make in TABLES.get(study.name, {}).items()}
    written = [
        write_atomically(run_dir / f"{stem}.csv", frame.to_csv(lineterminator="\n"))
        for stem, frame in frames.items()
    ]
    drawn = {stem: draw(study) for stem, draw in FIGURES.get(study.name, {}).items()}
    drawn |= EACH[study.name](study) if study.name in EACH else {}
    for stem, figure in drawn.items():
        written += figures.save(figure, run_dir / "figures", stem)
    if study.name in TEXTS:
        written += [write_atomically(run_dir / name, text) for name, text in TEXTS[study.name](study).items()]
    if study.name in PAGES:
        svgs = {stem: figures.read_svg(run_dir / "figures", stem) for stem in drawn}
        page = render_study(study, PAGES[study.name](study), svgs, frames)
        written.append(write_atomically(run_dir / REPORT, page))
    return tuple(written)
