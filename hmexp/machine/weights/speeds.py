"""What the CPUs of one node draw from each node with memory, for any share of reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from hmexp.errors import ParameterError


@dataclass(frozen=True)
class Reach:
    """Bandwidths between the CPUs of one node and the memory of another.

    Parameters
    ----------
    read_gbps, write_gbps : float or None
        Payload of loads alone, and of stores alone; None where that was not measured [GB/s].
    mixes : tuple of (float, float)
        Share of the payload that is read, and what was measured at it [GB/s]; any number of them.

    Raises
    ------
    ParameterError
        If a bandwidth is not a finite number above 0, or a share is not between 0 and 1.
    """

    read_gbps: float | None
    write_gbps: float | None
    mixes: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for gbps in (self.read_gbps, self.write_gbps, *(gbps for _share, gbps in self.mixes)):
            if gbps is not None and not (math.isfinite(gbps) and gbps > 0):
                raise ParameterError(
                    f"bandwidth {gbps!r} is not a finite number of GB/s above 0", "measure the node again"
                )
        for share, _gbps in self.mixes:
            require_share(share)

    def at(self, reads: float) -> float:
        """Bandwidth at a share of reads [GB/s].

        A byte that is read and one that is written each occupy the node for a time; those add up. Between
        two measured mixes the time of a byte is taken from the straight line between them, so that a link
        that carries both directions at once (CXL) counts with what it was measured to carry.

        Parameters
        ----------
        reads : float
            Share of the payload that is read, from 0 to 1.

        Raises
        ------
        ParameterError
            If the share is not between 0 and 1, or nothing was measured on one side of it.
        """
        require_share(reads)
        ends = ((0.0, self.write_gbps), (1.0, self.read_gbps))
        known = dict(self.mixes) | {share: gbps for share, gbps in ends if gbps is not None}
        if reads in known:
            return known[reads]
        for (below, slow), (above, fast) in pairwise(sorted(known.items())):
            if below <= reads <= above:
                along = (reads - below) / (above - below)
                return 1 / ((1 - along) / slow + along / fast)
        missing = "write" if reads < min(known, default=1.0) else "read"
        raise ParameterError(
            f"{reads:.0%} reads need the {missing} bandwidth, which was not measured",
            f"measure {missing}, too: `hmexp matrix`, or a sweep with --operations read write",
        )

    @property
    def slower_gbps(self) -> float:
        """The smaller of what is known of loads alone and stores alone; 0 if neither is [GB/s]."""
        return min((gbps for gbps in (self.read_gbps, self.write_gbps) if gbps is not None), default=0.0)


#: What is known of a machine: by initiator (the node of the CPUs), then by node with memory.
Reaches = Mapping[int, Mapping[int, Reach]]


def require_share(reads: float) -> float:
    """Refuse what is not a share.

    Raises
    ------
    ParameterError
        Naming the value.
    """
    if not 0 <= reads <= 1:  # also true for NaN
        raise ParameterError(
            f"share of reads {reads!r} is not between 0 and 1",
            "0.75 is three of four bytes; 1 is reads alone",
        )
    return reads


def bandwidths(reaches: Reaches, reads: float, nodes: Iterable[int]) -> dict[int, dict[int, float]]:
    """Bandwidth of each node for each initiator, at a share of reads [GB/s].

    Parameters
    ----------
    reaches : mapping of int to mapping of int to Reach
        By initiator and node.
    reads : float
        Share of the payload that is read.
    nodes : iterable of int
        Nodes that weights are wanted for.

    Raises
    ------
    ParameterError
        If an initiator was not measured against one of the nodes.
    """
    wanted = tuple(dict.fromkeys(nodes))
    found: dict[int, dict[int, float]] = {}
    for initiator, row in reaches.items():
        missing = [node for node in wanted if node not in row]
        if missing:
            raise ParameterError(
                f"node {missing[0]} was not measured from the CPUs of node {initiator}",
                "measure the whole matrix with `hmexp matrix`, or leave the node out with --nodes",
            )
        found[initiator] = {node: row[node].at(reads) for node in wanted}
    return found
