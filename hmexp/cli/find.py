"""The command ``hmexp find``: the cheapest ratio that keeps what is needed, in few launches."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import say_plan
from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json, say, shown_display
from hmexp.cli.question import add_needs, read_question
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.cli.sweep import add_sweep, take_sweep
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.report.model.decision import Decision
    from hmexp.report.model.question import Question
    from hmexp.report.run.results import Results
    from hmexp.store.parts import SearchRecord
    from hmexp.sweep.find import Find

#: What a search chooses itself, or has no use for.
_LEFT_OUT: Final = ("operations", "only", "without", "repeat", "retry-unstable")


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.sweep.find import RATIOS

    add_needs(parser)
    add_sweep(parser, _LEFT_OUT, patterns=RATIOS)
    add_json(parser, "the decision and what it took")


def _run(options: argparse.Namespace) -> int:
    from hmexp.experiment.engine import run_experiment
    from hmexp.report.page.html import write_report
    from hmexp.sweep.find import make_find

    question = read_question(options)
    _require_saving(question)
    find = make_find(question.needs, take_sweep(options), this_machine())
    say_plan(find.plan, options)
    if options.explain:
        _explain(find)
        return ExitStatus.OK

    def report(path: Path) -> None:
        write_report(path, question=question)

    outcome = run_experiment(find, shown_display(), say, report)
    _conclude(outcome.path, question, as_json=options.json)
    return ExitStatus.OK


def _require_saving(question: Question) -> None:
    prices = question.prices
    if prices is not None and prices.slow >= prices.dram:
        raise ParameterError(
            f"slow memory at {prices.say(prices.slow)} per GiB costs no less than DRAM at "
            f"{prices.say(prices.dram)}: no ratio saves anything, and nothing was measured",
            "check the two prices, or leave them out",
        )


def _explain(find: Find) -> None:
    from hmexp.report.run.point import short_pattern
    from hmexp.store.run import find_run, resolve_results
    from hmexp.sweep.explanation import estimate
    from hmexp.sweep.pace import find_pace

    plan, most = find.plan, find.most_launches
    # Refuses what measuring would refuse.
    find_run(resolve_results(plan.parameters.results), plan.parameters.run, find.describe().plan)
    print(f"{len(find.candidates)} ratios to choose from, from the least DRAM up:")
    print(f"  {'  '.join(short_pattern(candidate.pattern) for candidate in find.candidates)}")
    whole = estimate(plan, plan.points, find_pace(plan))
    print(
        f"At most {most} launches, of the {plan.launches} of the whole grid, if all DRAM keeps every need; "
        f"the whole grid would take {whole}."
    )


def _conclude(path: Path, question: Question, *, as_json: bool) -> None:
    from hmexp.report.model.decided import require_decided
    from hmexp.report.model.decision import decide
    from hmexp.report.model.decision_words import say_verdict
    from hmexp.report.page.first import to_json
    from hmexp.report.run.results import Results

    results = Results.load(path)
    decision = decide(results, question)
    search = results.run.search
    assert search is not None
    if as_json:
        print_json(_describe(path, decision, results, search) | {"decision": to_json(decision, results)})
    else:
        print(" ".join(say_verdict(decision, results)))
        print(
            f"{search.launches} launches, of the {search.grid_launches} of the whole grid; "
            f"{len(search.looked_at)} of {len(search.patterns)} ratios measured."
        )
        print(f"Report: {path / 'report.html'}")
    require_decided(decision, results)


def _describe(path: Path, decision: Decision, results: Results, search: SearchRecord) -> dict[str, Any]:
    return {
        "run": results.run.name,
        "report": str(path / "report.html"),
        "labels": list(results.labels),
        "verdict": decision.verdict,
        "search": search,
    }


COMMAND = Command(
    "find",
    "find the cheapest ratio that keeps what is needed, in few launches",
    "Find the ratio with the least DRAM that keeps every --need. The ratios of --patterns are halved again "
    "and again; each is launched until whole 95 % intervals decide, or it has --launches of each point, "
    "and the rest of the grid is not measured. Where all DRAM does not keep the needs for certain, the "
    "ratios are measured from the least DRAM up. The report has the answer on its first page. Safe to "
    "interrupt: run it again to resume.",
    "Examples:\n\n"
    "  hmexp find --need 'read>=90' --need 'latency<=1.5x'\n"
    "  hmexp find --need 'mix>=85' --emulate 2=cxl-expander --launches 8\n"
    "  hmexp find --needs needs.toml --explain\n\n"
    "JSON: an object with run, report, labels, verdict (yes, no or cannot say), search (needs, patterns, "
    "looked_at, launches, grid_launches, open, noise) and decision (as of `hmexp report`).\n\n"
    + describe_statuses("if a point failed, the time was over, or noise forbids an answer"),
    _add_options,
    _run,
)
