"""What the first page of an entry's report answers, in a sentence."""

from __future__ import annotations

from pathlib import Path

from hmexp.errors import HmexpError
from hmexp.store.reader import POINTS, RUN, read_run


def answer_of(run: Path) -> str | None:
    """The verdict of an entry's report; None of one without a report, or without ratios to choose from."""
    if not ((run / RUN).exists() and (run / POINTS).exists() and (run / "report.html").exists()):
        return None
    from hmexp.report.model.decision import decide
    from hmexp.report.model.decision_words import say_verdict
    from hmexp.report.run.results import Results
    from hmexp.report.study.program_verdict import answer
    from hmexp.report.study.results import StudyResults

    try:
        study = read_run(run).study
        if study is None:
            results = Results.load(run)
            return " ".join(say_verdict(decide(results), results))
        if study == "program":
            found = answer(StudyResults.load(run), "the program")
            return f"{found.verdict} {found.why}"
    except HmexpError:
        return None  # its status and its log say what is wrong with it
    return None
