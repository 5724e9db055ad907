"""The shapes that the core has loops in: how a loop walks, for the same loads and stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from hmexp.native.core import LINE_BYTES, ffi, lib
from hmexp.native.operations import OPERATIONS

#: The loop that every operation has, and the only one for pieces shorter than a shape's block.
PLAIN: Final = "plain"
#: Shapes whose places may stand nearer to each other within their pages, and how near: some CPUs (Zen 4, with
#: pages of 4 KiB) store a tenth faster so, others wait for stores that only seem to be in the way [bytes].
_NEAR: Final = {"places2": 128, "places4": 128, "places4x2": 128, "places4x4": 512}


@dataclass(frozen=True)
class Shape:
    """How a loop walks.

    Parameters
    ----------
    name : str
        What it is called in parameters and records.
    number : int
        Its place in the core's table.
    places : int
        Places that it goes along at once.
    lines : int
        Lines of each place in a turn.
    ahead_bytes, write_ahead_bytes : int
        How far loads, and lines that stores will write, are prefetched; 0 for not at all [bytes].
    shift_bytes : int
        How far its places are apart within their pages; 0 is as far as usual [bytes].
    """

    name: str
    number: int
    places: int
    lines: int
    ahead_bytes: int
    write_ahead_bytes: int
    shift_bytes: int = 0

    @property
    def turn_bytes(self) -> int:
        """What it takes of each place in a turn [bytes]."""
        return self.lines * LINE_BYTES

    def able(self, operation: str, bits: int) -> bool:
        """Whether this CPU can carry an operation out in it, at a vector width [bits]."""
        return int(lib.hm_shape_able(OPERATIONS[operation].number, bits, self.number)) == 0


def _read_table() -> dict[str, Shape]:
    rows = (lib.hm_shape(number) for number in range(lib.hm_shape_count()))
    found = (
        Shape(
            ffi.string(row.name).decode("ascii"), number, row.places, row.lines, row.ahead_bytes,
            row.write_ahead_bytes,
        )
        for number, row in enumerate(rows)
    )  # fmt: skip
    table = {shape.name: shape for shape in found}
    near = (replace(table[name], name=f"{name}n", shift_bytes=shift) for name, shift in _NEAR.items())
    return table | {shape.name: shape for shape in near}


#: Every shape by its name, the plain one first.
SHAPES: Final[Mapping[str, Shape]] = _read_table()
