"""Small integers for weighted interleave: the smallest whose bandwidth is within a tolerance of the best.

The model is that of nodes that work at once: a region of which node ``n`` has ``w_n`` pages of ``sum(w)`` is
done when the slowest of them is, so it has ``sum(w) / max(w_n / b_n)`` of bandwidth, and never more than the
CPUs can draw. Real weights would best be as the bandwidths are; the kernel takes whole ones from 1 to 255.

For several initiators the worst loss counts. A loss is at most ``L`` for each initiator ``i`` if and only if
``w_n <= sum(w) * b_in / ((1 - L) * best_i)`` for every node. Of these bounds the lowest counts, so all
initiators together are as one whose bandwidth of node ``n`` is ``min(b_in / best_i)``: the compromise is the
same problem with these, and is not an approximation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from hmexp.errors import ParameterError
from hmexp.memory.placers.weighted import MAX_WEIGHT

#: Part of the best bandwidth that smaller weights may cost.
TOLERANCE: Final = 0.01

Weights = Mapping[int, int]


@dataclass(frozen=True)
class Demand:
    """What weights are chosen for.

    Parameters
    ----------
    gbps : mapping of int to mapping of int to float
        Bandwidth of each node for each initiator [GB/s].
    draw_gbps : mapping of int to float
        What an initiator can draw from all nodes at once [GB/s]; one that is missing draws all they have.

    Raises
    ------
    ParameterError
        If there is no initiator or no node, the initiators have different nodes, or a bandwidth is not a
        finite number above 0.
    """

    gbps: Mapping[int, Mapping[int, float]]
    draw_gbps: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = list(self.gbps.values())
        if not rows or not rows[0]:
            raise ParameterError("there is no bandwidth to make weights of", "run `hmexp matrix` first")
        if any(set(row) != set(rows[0]) for row in rows):
            raise ParameterError("the initiators were not measured against the same nodes")
        for value in [*self.draw_gbps.values(), *(value for row in rows for value in row.values())]:
            if not 0 < value < float("inf"):
                raise ParameterError(f"bandwidth {value!r} is not a finite number of GB/s above 0")

    @property
    def nodes(self) -> tuple[int, ...]:
        """The nodes, ascending."""
        return tuple(sorted(next(iter(self.gbps.values()))))

    def best_gbps(self, initiator: int) -> float:
        """The most that an initiator can have, by any weights [GB/s]."""
        return float(self._best(initiator))

    def predict_gbps(self, weights: Weights, initiator: int) -> float:
        """What an initiator has of a region with these weights [GB/s]."""
        return float(self._value(weights, initiator))

    def loss(self, weights: Weights, initiator: int) -> float:
        """Part of `best_gbps` that these weights do not reach, from 0 to 1."""
        return float(1 - self._value(weights, initiator) / self._best(initiator))

    def worst_loss(self, weights: Weights) -> float:
        """The largest loss of any initiator."""
        return float(1 - min(self.standing(weights), Fraction(1)))

    def standing(self, weights: Weights) -> Fraction:
        """The smallest part of its best that any initiator has; exact."""
        return min(self._value(weights, each) / self._best(each) for each in self.gbps)

    def joint(self) -> dict[int, Fraction]:
        """The bandwidths of the one initiator that all of them together are as; parts of their best."""
        return {
            node: min(Fraction(row[node]) / self._best(initiator) for initiator, row in self.gbps.items())
            for node in self.nodes
        }

    def _best(self, initiator: int) -> Fraction:
        total = sum(map(Fraction, self.gbps[initiator].values()))
        return min(Fraction(total), self._limit(initiator, Fraction(total)))

    def _value(self, weights: Weights, initiator: int) -> Fraction:
        row = self.gbps[initiator]
        slowest = max(weight / Fraction(row[node]) for node, weight in weights.items())
        value = sum(weights.values()) / slowest
        return min(value, self._limit(initiator, value))

    def _limit(self, initiator: int, unlimited: Fraction) -> Fraction:
        return Fraction(self.draw_gbps[initiator]) if initiator in self.draw_gbps else unlimited


def plain_weights(demand: Demand) -> dict[int, int]:
    """Those of plain interleave."""
    return dict.fromkeys(demand.nodes, 1)


def choose_weights(
    demand: Demand, tolerance: float = TOLERANCE, rivals: tuple[Weights, ...] = ()
) -> dict[int, int]:
    """The weights with the smallest sum whose worst loss is within a tolerance of the smallest one.

    Parameters
    ----------
    demand : Demand
        The bandwidths.
    tolerance : float
        Part of the bandwidth that smaller weights may cost; 0 is as good as weights up to 255 can be.
    rivals : tuple of mapping of int to int
        Weights that the result must not be worse than, such as the kernel's own; plain interleave is
        always one.

    Returns
    -------
    dict of int to int
        A weight from 1 to 255 for each node, without a common divisor.

    Raises
    ------
    ParameterError
        If the tolerance is not a part from 0 up to 1.

    Notes
    -----
    Of all weights with a given sum those that are made by adding one at a time, always to the node that
    then has the smallest ``w_n / b_n``, have the smallest ``max(w_n / b_n)`` (exchanging one unit between
    two nodes cannot lower it). So each sum is tried once, in ascending order.
    """
    if not 0 <= tolerance < 1:
        raise ParameterError(
            f"tolerance {tolerance!r} is not a part from 0 up to 1", "0.01 allows a loss of 1 %"
        )
    speeds = demand.joint()
    most = min(sum(speeds.values()), Fraction(1))
    target = (1 - Fraction(tolerance)) * most
    for rival in (plain_weights(demand), *rivals):
        target = max(target, demand.standing(rival))
    weights = plain_weights(demand)
    best, best_value = dict(weights), Fraction(0)
    while True:
        slowest = max(weight / speeds[node] for node, weight in weights.items())
        value = min(sum(weights.values()) / slowest, Fraction(1))
        if value > best_value:
            best, best_value = dict(weights), value
        open_nodes = [node for node, weight in weights.items() if weight < MAX_WEIGHT]
        if best_value >= target or not open_nodes:
            return best
        weights[min(open_nodes, key=lambda node: (weights[node] + 1) / speeds[node])] += 1
