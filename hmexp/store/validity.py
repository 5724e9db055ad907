"""What records are called whose times mean nothing, or mean something of a slowed node alone."""

from __future__ import annotations

from typing import Final

FUNCTIONAL_ONLY: Final = "functional only: software emulation, timings not valid"
#: How the note begins of what was measured beside a node that the lab's plugin slows.
LAB_PLUGIN: Final = "emulated: lab plugin"


def is_slowed_in_lab(note: str | None) -> bool:
    """Whether times that are not valid tell a slowed node from others, and nothing else.

    Parameters
    ----------
    note : str or None
        `timing_note` of a run or a point.
    """
    return note is not None and note.startswith(LAB_PLUGIN)


def label_untimed(note: str | None) -> str:
    """What must be written on every figure, table and page of times that are not valid."""
    if is_slowed_in_lab(note):
        return f"{LAB_PLUGIN}, times tell the slowed node from others and say nothing else"
    return FUNCTIONAL_ONLY
