"""Whether a search for a ratio has an answer."""

from __future__ import annotations

from hmexp.errors import SweepError
from hmexp.report.model.decision import Decision
from hmexp.report.run.results import Results


def require_decided(decision: Decision, results: Results) -> None:
    """Raise for a search that has no answer: points failed, the time was over, or noise forbids one.

    Parameters
    ----------
    decision : Decision
        What the run says.
    results : Results
        The run of a search.

    Raises
    ------
    SweepError
        With what to do.
    """
    search = results.run.search
    assert search is not None
    failed = [point for point in results.not_ok if point.status != "ok"]
    if search.open == "failures" or failed:
        first = f", the first for: {failed[0].why}" if failed else ""
        raise SweepError(
            f"the search was not completed: {len(failed)} points failed or were skipped{first}",
            "remove what is in the way, and run the same command again",
        )
    if search.open == "time":
        raise SweepError(
            "the time was over before the search was decided",
            "run the same command again with a new --budget, or without one: it resumes",
        )
    if decision.verdict == "cannot say":
        raise SweepError(
            f"noise forbids an answer: {len(search.noise)} ratios stayed inconclusive with "
            f"{results.run.parameters.get('launches')} launches of each point",
            "use a quieter machine (`hmexp doctor`), or more --launches",
        )
