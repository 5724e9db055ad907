"""What all commands that measure an experiment do: say what it will be, measure it, name what was written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hmexp.cli.output import say, shown_display

if TYPE_CHECKING:
    from hmexp.experiment.protocol import Experiment, P


class Announced(Protocol):
    """What can say in words what it will measure."""

    @property
    def headline(self) -> str:
        """What will be measured, in a sentence."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know before."""


def say_plan(plan: Announced, options: argparse.Namespace) -> None:
    """Say what will be measured, unless the command prints JSON."""
    if not getattr(options, "json", False):
        print(plan.headline)
        for note in plan.notes:
            print(f"note: {note}")


@contextmanager
def measured(study: Experiment[P], options: argparse.Namespace) -> Iterator[Path]:
    """Measure a study and write its report; the block shows the run directory that it is given.

    The names of the written files follow, unless the command prints JSON.

    Raises
    ------
    SweepError
        After the block, if a point failed, or none was measured.
    """
    # matplotlib and pandas take their time: not for every other command.
    from hmexp.experiment.engine import run_experiment
    from hmexp.report.study.files import write_study

    written: list[Path] = []
    outcome = run_experiment(study, shown_display(), say, lambda run: written.extend(write_study(run)))
    yield outcome.path
    if not getattr(options, "json", False):
        for path in written:
            print(f"Written: {path}")
    outcome.require_complete()
