"""Whether a placement survives what programs do: fork and write, drop and touch again, huge pages."""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from hmexp import native
from hmexp.decoding import decode
from hmexp.errors import MeasurementError
from hmexp.measure.setup import look, open_mapping
from hmexp.memory.placers import Placer
from hmexp.native import PageMapping
from hmexp.pattern import Pattern
from hmexp.process import describe_end
from hmexp.store.evidence import PlacementRecord
from hmexp.store.results import Behaviour
from hmexp.system.smaps import read_huge_bytes
from hmexp.system.sysfs import read_text

#: Longest time that a child may take to write its pages [s].
_CHILD_SECONDS: Final = 120


class _Answer(msgspec.Struct, frozen=True):
    found: PlacementRecord | None = None
    error: str | None = None


def after_fork(placer_name: str, pattern: Pattern, size_bytes: int) -> Behaviour:
    """Fork, have the child write every page, and look at the pages of both.

    Returns
    -------
    Behaviour
        ``shared``: whether the parent sees what the child wrote; ``child`` and ``parent``: where their
        pages are then.
    """
    placer, mapping = open_mapping(placer_name, pattern, size_bytes)
    try:
        placer.place(mapping, pattern)
        found = _ask_child(lambda: _write_all(placer, mapping, pattern))
        return Behaviour(
            shared=bool(mapping.array()[0] == 1), child=found, parent=look(placer, mapping, pattern)
        )
    finally:
        mapping.close()


def after_drop(placer_name: str, pattern: Pattern, size_bytes: int) -> Behaviour:
    """Drop all pages with ``MADV_DONTNEED``, touch them again, and look where they are."""
    placer, mapping = open_mapping(placer_name, pattern, size_bytes)
    try:
        placer.place(mapping, pattern)
        native.advise(mapping, mmap.MADV_DONTNEED)
        native.populate(mapping)
        return Behaviour(again=look(placer, mapping, pattern))
    finally:
        mapping.close()


def with_huge_pages(placer_name: str, pattern: Pattern, size_bytes: int) -> Behaviour:
    """Place where transparent huge pages are allowed, which hmexp itself forbids for small granules.

    Returns
    -------
    Behaviour
        ``placed``: where the pages are; ``huge_bytes``: how much of the region is huge pages;
        ``setting``: the machine's own, without which the advice does nothing.
    """
    placer, mapping = open_mapping(placer_name, pattern, size_bytes)
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    try:
        native.advise(mapping, mmap.MADV_HUGEPAGE)
        placer.place(mapping, pattern)
        return Behaviour(
            placed=look(placer, mapping, pattern),
            huge_bytes=read_huge_bytes(mapping.address, mapping.size_bytes),
            setting=read_text(setting),
        )
    finally:
        mapping.close()


BEHAVIOURS: Final[Mapping[str, Callable[[str, Pattern, int], Behaviour]]] = {
    "fork": after_fork,
    "drop": after_drop,
    "huge": with_huge_pages,
}


def _write_all(placer: Placer, mapping: PageMapping, pattern: Pattern) -> PlacementRecord:
    native.populate(mapping)  # as a write to each page
    mapping.array()[0] = 1
    return look(placer, mapping, pattern)


def _ask_child(work: Callable[[], PlacementRecord]) -> PlacementRecord:
    """What `work` returns in a forked child of this process.

    Raises
    ------
    MeasurementError
        If the child failed, with its words, or died, with the signal.
    """
    begin, end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_CHILD_SECONDS)
        answer = _Answer(error="it ended early")
        try:
            answer = _Answer(found=work())
        except Exception as error:  # noqa: BLE001 - the child must not continue the parent's work
            answer = _Answer(error=f"{type(error).__name__}: {error}")
        finally:
            os.close(begin)
            with os.fdopen(end, "wb") as stream:
                stream.write(msgspec.json.encode(answer))
            os._exit(0)
    os.close(end)
    with os.fdopen(begin, "rb") as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if text:
        answer = decode(text, _Answer)
    else:
        answer = _Answer(error=f"it {describe_end(os.waitstatus_to_exitcode(status))}")
    if answer.found is None:
        raise MeasurementError(f"the forked child could not write its pages: {answer.error}")
    return answer.found
