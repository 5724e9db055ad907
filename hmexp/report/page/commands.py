"""The commands that make a run and its report again, as a person would type them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hmexp.report.model.question import Question, question_of
from hmexp.report.run.results import Results
from hmexp.store.run import resolve_results


def commands(results: Results, question: Question | None = None) -> list[str]:
    """Return the commands that repeat this sweep and remake this report, with what it was asked."""
    given = {k: v for k, v in results.run.parameters.items() if v is not None}
    asked = [] if question is None else question.options()
    if results.run.search is not None:
        return [
            _find_again(given, asked or question_of(results.run).options()),
            _report_again(results, asked),
        ]
    # JSON is YAML: one quoting for every type.
    parameters = f" -y {shlex.quote(json.dumps(given, ensure_ascii=False))}" if given else ""
    return [
        f"papermill notebooks/sweep.ipynb out.ipynb{parameters}",
        _report_again(results, asked),
    ]


def _report_again(results: Results, asked: Sequence[str]) -> str:
    return " ".join(["hmexp report", shlex.quote(_place(results)), *map(shlex.quote, asked)])


def _find_again(given: Mapping[str, Any], asked: Sequence[str]) -> str:
    """The command of a search, with every parameter that it had but where it went."""
    words = ["hmexp find", *map(shlex.quote, asked)]
    for name, value in given.items():
        if name in ("operations", "only", "without", "repeat", "retry_unstable", "results", "run"):
            continue
        values = value if isinstance(value, list | tuple) else [value]
        words += [f"--{name.replace('_', '-')}", *(shlex.quote(str(each)) for each in values)]
    return " ".join(words)


def _place(results: Results) -> str:
    """Where the run is, as a person would type it."""
    folder = results.folder
    if folder is None or folder.parent.resolve() == resolve_results("auto").resolve():
        return f"results/{results.name}"
    return str(folder.absolute())
