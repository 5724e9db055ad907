"""What the first page of an entry's report answers, in a sentence."""

from __future__ import annotations

from pathlib import Path

from hmexp.errors import HmexpError
from hmexp.store.reader import POINTS, RUN, read_run


def answer_of(run: Path) -> str | None:
    """The verdict of an entry's report; None of one without a report."""
    if not ((run / RUN).exists() and (run / POINTS).exists() and (run / "report.html").exists()):
        return None
    from hmexp.report.model.decision import decide
    from hmexp.report.model.decision_words import say_verdict
    from hmexp.report.run.results import Results
    from hmexp.report.study.files import PAGES
    from hmexp.report.study.results import StudyResults

    try:
        study = read_run(run).study
        if study is None:
            results = Results.load(run)
            return " ".join(say_verdict(decide(results), results))
        if study in PAGES:
            first = PAGES[study](StudyResults.load(run)).first
            return f"{first.verdict} {first.why}"
    except HmexpError:
        return None  # its status and its log say what is wrong with it
    return None
