"""What a worker is asked to do."""

from __future__ import annotations

import msgspec

from hmexp.decoding import decode
from hmexp.store.machine import EmulationRecord
from hmexp.store.parameters import PointParameters
from hmexp.store.schema import Stored


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
    """

    point_id: str
    parameters: PointParameters
    launch: int = 0
    emulation: EmulationRecord | None = None
    calibrating: bool = False
    dram_nodes: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()


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
