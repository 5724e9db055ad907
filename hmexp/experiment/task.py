"""What a worker is asked to do."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hmexp.decoding import decode
from hmexp.native import PLAIN
from hmexp.store.machine import EmulationRecord
from hmexp.store.parameters import LoopPoint, PointParameters
from hmexp.store.schema import Stored
from hmexp.store.shapes import ShapeRecord


class Task(Stored, frozen=True, kw_only=True, gc=False):
    """What a worker is asked to do.

    Parameters
    ----------
    point_id : str
        Id of the point.
    parameters : PointParameters
        What to measure; their kind names the function that does.
    launch : int
        Which launch of the point this is, from 0.
    emulation : EmulationRecord or None
        Emulated nodes, scaled, that the run uses.
    calibrating : bool
        Measure the host inside the emulating loops, with nodes that cost nothing.
    dram_nodes : tuple of int
        Nodes of patterns that count as DRAM.
    cpus : tuple of int
        One for each thread; empty where the kind chooses its own.
    shape : str
        How the loops of a bandwidth walk.
    """

    point_id: str
    parameters: PointParameters
    launch: int = 0
    emulation: EmulationRecord | None = None
    calibrating: bool = False
    dram_nodes: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()
    shape: str = PLAIN


def in_shape(task: Task, shapes: Sequence[ShapeRecord] | None) -> Task:
    """A task whose loops walk in the shape that its run has for them."""
    point = task.parameters
    if not isinstance(point, LoopPoint):
        return task
    for record in shapes or ():
        if (record.operation, record.page_bytes, record.threads) == (
            point.operation, point.page_bytes, point.threads,
        ):  # fmt: skip
            return msgspec.structs.replace(task, shape=record.name)
    return task


def encode_task(task: Task) -> bytes:
    """Write a task as JSON."""
    return msgspec.json.encode(task)


def decode_task(text: bytes) -> Task:
    """Read back what `encode_task` wrote.

    Raises
    ------
    ValueError
        If it is not a task.
    """
    return decode(text, Task)
