"""Ratios of nodes, such as 1:2: reading them, and spreading their entries evenly over a pattern."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import numpy as np

from hmexp.errors import PatternError

#: Longest pattern, the same limit as that of the kernel module.
MAX_ENTRIES: Final = 1 << 20
EXAMPLES: Final = "write node ids with commas, such as 0,2,2, or a ratio such as 1:2"
_RATIO: Final = re.compile(r"\s*\d+(\s*:\s*\d+)+\s*", re.ASCII)


def is_ratio(text: str) -> bool:
    """Whether a text is a ratio, not a pattern."""
    return _RATIO.fullmatch(text) is not None


def parse_ratio(text: str, nodes: tuple[int, ...]) -> dict[int, int]:
    """Read a ratio such as ``1:2`` as weights of `nodes`.

    Raises
    ------
    PatternError
        If it is no ratio, has not one number for each node, or is zero throughout.
    """
    if not is_ratio(text):
        raise PatternError(f"ratio {text!r} is not whole numbers with colons", "write a ratio such as 1:2")
    words = [word.strip() for word in text.split(":")]
    if len(words) != len(nodes):
        if len(nodes) < 2:
            there = f"there is only node {nodes[0]}" if nodes else "there is no node"
            raise PatternError(
                f"ratio {text!r} needs {len(words)} nodes, and {there}",
                "name the nodes that there are; sweep, find, measure and curves can emulate a slow one",
            )
        raise PatternError(
            f"ratio {text!r} has {len(words)} numbers, and there are {len(nodes)} nodes to spread over "
            f"({', '.join(map(str, nodes))})",
            "name the nodes with a pattern such as 0,2,2",
        )
    if any(len(word.lstrip("0")) > len(str(MAX_ENTRIES)) for word in words):
        raise PatternError(f"ratio {text!r} has a number above {MAX_ENTRIES}")
    weights = dict(zip(nodes, map(int, words), strict=True))
    if not any(weights.values()):
        raise PatternError(f"ratio {text!r} is zero throughout", "write a ratio such as 1:2")
    return weights


def spread(ratio: Mapping[int, int]) -> tuple[int, ...]:
    """Spread nodes as evenly as possible over a cycle of entries.

    The cycle is built one entry at a time by Tijdeman's rule: of the nodes whose share of the
    entries so far has run ahead of what they got, the one that would be late first is next.
    No prefix of the cycle is then further than ``1 - 1/(2k - 2)`` entries from the share of any
    of its k nodes, and no rule does better. For two nodes this is the perfectly balanced word.
    The cycle is turned to start with the first node of `ratio`.

    Source: R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980).

    Parameters
    ----------
    ratio : mapping of int to int
        Weight of each node; a common divisor is taken out, and a node of weight 0 is left out.

    Raises
    ------
    PatternError
        If a weight is negative, or all are zero, or the cycle would be too long.
    """
    for node, weight in ratio.items():
        if isinstance(weight, bool) or not isinstance(weight, int):
            raise PatternError(
                f"node {node} has the weight {weight!r}, which is not a whole number",
                "multiply all weights until they are whole: {0: 3, 1: 4} for {0: 1.5, 1: 2}",
            )
        if weight < 0:
            raise PatternError(f"node {node} has the negative weight {weight}")
    weights = {node: weight for node, weight in ratio.items() if weight > 0}
    if not weights:
        raise PatternError("the ratio has no node with a weight above zero", EXAMPLES)
    divisor = math.gcd(*weights.values())
    weights = {node: weight // divisor for node, weight in weights.items()}
    length = sum(weights.values())
    if length > MAX_ENTRIES:
        raise PatternError(f"the ratio makes a pattern of {length} entries, more than {MAX_ENTRIES}")
    if len(weights) == 2:
        return _balanced_word(*weights.items())
    behind = Fraction(1, max(2 * len(weights) - 2, 1))
    counts = dict.fromkeys(weights, 0)
    cycle = []
    for step in range(1, length + 1):
        lag = {node: Fraction(step * weight, length) - counts[node] for node, weight in weights.items()}
        chosen = min(
            (node for node in weights if lag[node] >= behind),
            key=lambda node: (1 - behind - lag[node]) / weights[node],
        )
        counts[chosen] += 1
        cycle.append(chosen)
    first = cycle.index(next(iter(weights)))
    return tuple(cycle[first:] + cycle[:first])


def _balanced_word(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, ...]:
    """The cycle of `spread` for two nodes with their weights, all at once."""
    (node, weight), (other, rest) = first, second
    length = weight + rest
    steps = np.arange(length + 1, dtype=np.int64)
    # Of `weight` in `length`, the entries so far that are the first node's: rounded, half upwards.
    counts = (2 * steps * weight + length) // (2 * length)
    mine = np.diff(counts) > 0
    word = np.where(np.roll(mine, -int(np.argmax(mine))), node, other)
    return tuple(word.tolist())
