"""The action ``hmexp runs trend``: points over many runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hmexp.cli.options import add_json
from hmexp.cli.output import print_json, say
from hmexp.cli.status import ExitStatus
from hmexp.cli.stored import add_results, add_run, results_of
from hmexp.errors import StoreError, SweepError

if TYPE_CHECKING:
    from hmexp.report.comparison.readings import StoredRun
    from hmexp.report.comparison.trend import Trend

#: What a trend may be narrowed to, and what it is called in a record.
_NARROW: Final = (
    ("operation", "such as read or latency"),
    ("ratio", "DRAM:slow, such as 1:2"),
    ("pattern", "such as 0,2,2"),
    ("placer", "such as first_touch"),
    ("threads", "a number"),
)


def add_trend(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    add_run(parser, "*")
    for name, text in _NARROW:
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"only points of this {name}, {text}")
    parser.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="only runs that have it; may be repeated"
    )
    parser.add_argument("--all", action="store_true", help="print every point, not only those that changed")
    add_results(parser)
    add_json(parser, "the trends")


def follow(options: argparse.Namespace) -> int:
    """Carry the action out."""
    from hmexp.report.comparison.trend import find_trends

    runs = _read_runs(options)
    wanted = {name: getattr(options, name) for name, _ in _NARROW if getattr(options, name) is not None}
    trends = find_trends(runs, wanted)
    if options.json:
        print_json([_trend_record(trend) for trend in trends])
    elif trends:
        _print_trends(trends, len(runs), every=options.all or len(trends) == 1)
    if not trends:
        what = ", ".join(f"{name} {value}" for name, value in wanted.items()) or "no condition"
        raise SweepError(
            f"no point of {len(runs)} runs matches: {what}", "`hmexp runs show RUN` lists what is in a run"
        )
    return ExitStatus.OK


def _read_runs(options: argparse.Namespace) -> list[StoredRun]:
    """The runs that were named, or all of the folder; what cannot be read is said, not passed over."""
    from hmexp.report.comparison.readings import StoredRun
    from hmexp.store.history import find_stored, list_runs
    from hmexp.store.reader import collector_paused

    results = results_of(options)
    with collector_paused():
        if options.runs:
            return [StoredRun.load(find_stored(results, name)) for name in options.runs]
        found = []
        for entry in list_runs(results, options.tag):
            try:
                found.append(StoredRun.load(entry.path))
            except StoreError as error:
                say(f"left out: {error.message}")
        return found


def _print_trends(trends: Sequence[Trend], runs: int, *, every: bool) -> None:
    from hmexp.report.run.numbers import digits

    few = [trend for trend in trends if not trend.enough]
    changed = [trend for trend in trends if trend.changed]
    for trend in trends if every else changed:
        names = [name for name in trend.reading.parameters if name not in ("operation", "pattern")]
        print(f"{trend.reading} ({trend.reading.describe(names)}), {trend.unit}")
        for step in trend.steps:
            mark = ""
            if step.change is not None:
                mark = f"  <- {'slower' if trend.is_worse(step) else 'faster'}: {step.change - 1:+.1%}"
            print(f"  {step.started:<25}  {digits(step.value, 4):>9}  {step.run}{mark}")
        for run, why in trend.left_out.items():
            print(f"  left out: {run}: {why}")
    print(
        f"{len(trends)} points over {runs} runs: the level of {len(changed)} changed beyond the noise from "
        "run to run (of those, 5 % at most are expected to be false)."
    )
    if few:
        from hmexp.report.comparison.shift import LEAST_VALUES

        print(f"{len(few)} are in fewer than {LEAST_VALUES} comparable runs, too few for a change to show.")


def _trend_record(trend: Trend) -> dict[str, Any]:
    return {
        "parameters": trend.reading.parameters,
        "ratio": trend.reading.ratio,
        "unit": trend.unit,
        "changed": trend.changed,
        "enough_runs": trend.enough,
        "chance": trend.chance,
        "runs": [msgspec.to_builtins(step) for step in trend.steps],
        "left_out": trend.left_out,
    }
