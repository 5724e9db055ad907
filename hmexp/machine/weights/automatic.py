"""The weights that the kernel makes of bandwidths by itself, for comparison.

Linux 6.16 and later derive weights from the firmware's HMAT (mm/mempolicy.c: `mempolicy_set_node_perf` takes
the smaller of a node's read and write bandwidth, `reduce_interleave_weights` makes weights of them). This is
that integer arithmetic, in Python, for any bandwidths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from hmexp.machine.weights.speeds import Reaches

#: The kernel's constant: about the sum of the weights before they are reduced.
WEIGHTINESS: Final = 32


def reduce_as_kernel(mbps: Mapping[int, int]) -> dict[int, int]:
    """Weights as the kernel's `reduce_interleave_weights` makes them.

    Parameters
    ----------
    mbps : mapping of int to int
        Bandwidth of each node with memory [MB/s]; 0 if it is not known.

    Returns
    -------
    dict of int to int
        A weight for each node: its share of the sum in parts of 32, rounded down, at least 1; then
        without their common divisor.
    """
    total = sum(mbps.values())
    weights = {
        node: WEIGHTINESS * each // total if each and total < WEIGHTINESS * each else 1
        for node, each in mbps.items()
    }
    divisor = math.gcd(*weights.values())
    return {node: weight // divisor for node, weight in weights.items()}


def automatic_weights(reaches: Reaches) -> dict[int, int]:
    """What the kernel would make of measured bandwidths, had the firmware reported these.

    Parameters
    ----------
    reaches : mapping of int to mapping of int to Reach
        By initiator and node. The kernel knows one bandwidth for each node, that of its best initiator.
    """
    best: dict[int, int] = {}
    for row in reaches.values():
        for node, reach in row.items():
            best[node] = max(best.get(node, 0), round(1000 * reach.slower_gbps))
    return reduce_as_kernel(best)
