"""Shapes of a run's loops: chosen before its first launch, and kept to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from hmexp.experiment.progress import Progress
from hmexp.experiment.protocol import Experiment, P, count_launches
from hmexp.experiment.rounds import Watchers
from hmexp.native import PLAIN
from hmexp.store.run import RunDirectory
from hmexp.store.shapes import ShapeRecord


@runtime_checkable
class Shaping(Experiment[P], Protocol[P]):
    """An experiment whose loops may walk in other shapes than the plain one."""

    @property
    def shapes_asked(self) -> str:
        """What was asked of shapes: ``plain``, ``auto`` or a name."""

    def choose_shapes(
        self, show: Callable[[str], None], say: Callable[[str], None]
    ) -> tuple[ShapeRecord, ...]:
        """Choose a shape for each operation, page size and number of threads; none for plain ones."""


def settle_shapes(plan: Experiment[P], directory: RunDirectory, watchers: Watchers) -> None:
    """Have `run.json` say in which shapes the loops walk, before the first of them does.

    A run keeps the shapes that it began with: all points of a run are measured alike. One that was begun by
    an hmexp without shapes stays plain.
    """
    if not isinstance(plan, Shaping):
        return
    if directory.run.shapes is not None or directory.records() or directory.launches():
        _say_kept(plan.shapes_asked, directory, watchers.say)
        return

    def show(what: str) -> None:
        watchers.display.show(Progress(0, count_launches(plan), 0, None, what))

    shapes = plan.choose_shapes(show, watchers.say)
    directory.update(msgspec.structs.replace(directory.run, shapes=shapes))


def _say_kept(asked: str, directory: RunDirectory, say: Callable[[str], None]) -> None:
    """That shapes are those of the run's beginning, where something else is asked for now."""
    began = directory.run.parameters.get("shapes", PLAIN)
    if asked != began:
        say(
            f"The run keeps the shapes of loops that it began with (shapes {began}, not {asked}): its points "
            f"are measured alike."
        )
