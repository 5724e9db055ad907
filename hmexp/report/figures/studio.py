"""The figures of a large run, half of them drawn by a second process while this one writes the tables.

A small run is drawn sooner here: the second process has matplotlib to import first.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from matplotlib.figure import Figure

from hmexp.process import Child, ChildError, answer_once
from hmexp.report.figures.gallery import all_figures, save
from hmexp.report.run.results import Results
from hmexp.store.records import PointRecord, RunRecord

_LOG: Final = logging.getLogger(__name__)
#: What the second process draws: less than half, because it starts later.
_SHARE: Final = 0.45
_TIMEOUT_SECONDS: Final = 120.0


class Order(msgspec.Struct, frozen=True):
    """What the second process draws: some figures of a part of a run, into a folder."""

    run: RunRecord
    records: tuple[PointRecord, ...]
    note: str | None
    folder: str
    stems: tuple[str, ...]


@contextmanager
def drawing(shown: Results, figures: Mapping[str, Figure], folder: Path) -> Iterator[list[str]]:
    """Draw figures into a folder: as many as are worth it meanwhile, the others at the end of the block.

    Parameters
    ----------
    shown : Results
        What they are of.
    figures : mapping of str to Figure
        By the stem of their files' names.
    folder : Path
        Where `STEM.svg` and `STEM.png` go, each whole or not at all.

    Yields
    ------
    list of str
        Stems that the second process draws.
    """
    given = _given_away(figures) if shown.note is not None and _cpus() > 1 else []
    order = Order(
        shown.run, tuple(point.record for point in shown.points), shown.note, str(folder), tuple(given)
    )
    with ThreadPoolExecutor(max_workers=1) as pool:
        child = Child(module=__name__, timeout_seconds=_TIMEOUT_SECONDS)
        answer = pool.submit(child.ask, msgspec.json.encode(order)) if given else None
        yield given
        for stem, figure in figures.items():
            if stem not in given:
                save(figure, folder, stem)
        if answer is None:
            return
        try:
            answer.result()
        except ChildError as error:
            _LOG.warning("the process that draws figures %s; drawing them here instead", error.reason)
            for stem in given:
                save(figures[stem], folder, stem)


def _given_away(figures: Mapping[str, Figure]) -> list[str]:
    """The stems of the last figures that are about half of the work."""
    work = {stem: len(figure.findobj(include_self=False)) for stem, figure in figures.items()}
    left = _SHARE * sum(work.values())
    given: list[str] = []
    for stem in reversed(list(figures)):
        if work[stem] <= left:
            left -= work[stem]
            given.append(stem)
    return given


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _draw(question: bytes) -> bytes:
    order = msgspec.json.decode(question, type=Order)
    shown = Results.from_records(order.records, order.run, order.note)
    for stem, figure in all_figures(shown, order.stems).items():
        save(figure, Path(order.folder), stem)
    return b""


if __name__ == "__main__":
    answer_once(_draw)
