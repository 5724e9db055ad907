"""The pages of a process, seen by frames where this user may see them."""

from __future__ import annotations

from functools import cache

from hmexp.native.foreign import Blocks, Sight
from hmexp.program.look.target import explain_refusal
from hmexp.system.frames import read_memory_blocks


def open_sight(pid: int) -> Sight:
    """Open what the pages of a process are seen by: `Sight.scan` then looks at any range.

    Raises
    ------
    ProgramError
        If the process has ended, or is not for this user to see; with what is needed.
    """
    try:
        return Sight(pid, _read_blocks())
    except OSError as error:
        raise explain_refusal(pid, error) from error


@cache
def _read_blocks() -> Blocks:
    return read_memory_blocks() or Blocks()
