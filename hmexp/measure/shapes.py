"""Shapes of loops: their names, and how far apart the places are that a loop goes along at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.walk import require_vectors
from hmexp.native import PLAIN, SHAPES, Operation, Shape
from hmexp.pattern import Pattern

#: The shape is chosen by measurement.
AUTO: Final = "auto"
#: How far places are apart, more or less, and how far at most to fit a pattern [bytes].
_DISTANCE_BYTES: Final = 1 << 20
_MOST_BYTES: Final = 4 << 20
#: Added to every distance: lines of two places never have the same last twelve bits of their addresses,
#: by which a CPU takes a load for one that has to wait for a store; rounded up to whole turns [bytes].
_SHIFT_BYTES: Final = 384
_SHIFT_ALONE_BYTES: Final = 1152
#: What lies between two streams, at least: equally placed lines then are in other banks [bytes].
_GAP_BYTES: Final = (1 << 20) + (1 << 16)
#: A gap is left out where it would be more than this part of a stream.
_GAP_PART: Final = 32


@dataclass(frozen=True)
class Way:
    """A shape at a vector width.

    Parameters
    ----------
    shape : Shape
        How the loop walks.
    vector_bits : int
        Width of its loads and stores [bits].
    """

    shape: Shape
    vector_bits: int

    @property
    def name(self) -> str:
        """Such as ``places4-256``."""
        return f"{self.shape.name}-{self.vector_bits}"

    def distance_bytes(self, pattern: Pattern) -> int:
        """How far its places are apart in a region of a pattern; 0 if it has one place [bytes].

        About a mebibyte, and shifted by a part of the pattern's period, so that the places are spread over
        it: at every moment they stand on the nodes in about the pattern's shares, and never in step on the
        same one. Of a period that is too long for that they stand where the pattern has them.
        """
        places = self.shape.places
        if places == 1:
            return 0
        turn, alone = self.shape.turn_bytes, len(pattern.distinct_nodes) == 1
        usual = _SHIFT_ALONE_BYTES if alone else _SHIFT_BYTES
        shift = self.shape.shift_bytes or -(-usual // turn) * turn
        period = pattern.period_bytes
        part = period // places // turn * turn
        if alone or part > _MOST_BYTES:
            return _DISTANCE_BYTES + shift
        periods = max(0, round((_DISTANCE_BYTES - part) / period))
        return periods * period + part + shift


def gap_bytes(way: Way, pattern: Pattern, unit_bytes: int, part_bytes: int) -> int:
    """What lies between the streams of an operation [bytes].

    Parameters
    ----------
    way : Way
        The plain loop has its streams one behind the other.
    pattern : Pattern
        Of the region.
    unit_bytes : int
        Of a pattern of several nodes the gap is a number of such units: streams stand alike in it [bytes].
    part_bytes : int
        How long a stream may be at most [bytes].
    """
    unit = native.PAGE_BYTES if len(pattern.distinct_nodes) == 1 else unit_bytes
    gap = -(-_GAP_BYTES // unit) * unit
    return 0 if way.shape.name == PLAIN or gap * _GAP_PART > part_bytes else gap


def find_way(name: str, operation: Operation, bits: int | None = None) -> Way:
    """The shape of that name for an operation.

    Parameters
    ----------
    name : str
        Such as ``places4`` or ``places4-256``.
    operation : Operation
        That will walk in it; one without such a shape walks plainly.
    bits : int, optional
        Vector width, where the name says none; the widest if not given [bits].

    Raises
    ------
    ParameterError
        If there is no such shape, or this CPU does not have the width.
    """
    word, _, width = require_shape(name).partition("-")
    if word == AUTO:
        raise ParameterError(f"shape {name!r} is chosen before a measurement, not in it", "name a shape")
    shape = SHAPES[word]
    found = require_vectors(int(width) if width else bits, operation)
    return Way(shape if shape.able(operation.name, found) else SHAPES[PLAIN], found)


def require_shape(text: str) -> str:
    """Refuse what is neither a shape nor a way of choosing one, whatever the operation.

    Raises
    ------
    ParameterError
        With the names that there are.
    """
    word, dash, width = text.partition("-")
    if text == AUTO or (word in SHAPES and (not dash or width in map(str, native.VECTOR_BITS))):
        return text
    raise ParameterError(
        f"shape {text!r} is unknown",
        f"use {AUTO} (what this CPU likes best), or one of: {', '.join(SHAPES)}; or one of them at a vector "
        f"width, such as places4-256",
    )


def ways_of(operation: Operation) -> tuple[Way, ...]:
    """All that this CPU may like best for an operation, the plain one at the widest vectors first.

    Narrow vectors, too: there are CPUs with AVX-512 whose copies are a third faster with 128 bits.
    """
    widest = require_vectors(None, operation)
    widths = [bits for bits in reversed(native.VECTOR_BITS) if min(widest, 128) <= bits <= widest]
    return tuple(
        Way(shape, bits) for bits in widths for shape in SHAPES.values() if shape.able(operation.name, bits)
    )
