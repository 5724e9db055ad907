"""Which memory policy lays a program out by a pattern, and how exactly.

A policy that is set before exec is inherited. The kernel spreads the pages of an anonymous mapping by their
virtual page number: interleaving takes the nodes in turn, weighted interleaving gives the first node as many
pages in a row as its weight, then the next, in the order of their numbers. So a pattern of that form is laid
out exactly, and any other only in its ratio.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from hmexp.errors import StartError
from hmexp.memory.placers.weighted import MAX_WEIGHT
from hmexp.native.spawn import Inheritance, TaskPolicy
from hmexp.pattern import Pattern
from hmexp.store.program_records import Promise
from hmexp.units import format_size

#: Granules from here on may be one huge page each, which a policy places as a whole.
HUGE_BYTES: Final = 2 << 20


@dataclass(frozen=True)
class PolicyPlan:
    """A memory policy for a program.

    Parameters
    ----------
    inherits : Inheritance
        The policy and its nodes.
    weights : dict of int to int
        The weights of weighted interleave, by node; empty for another policy.
    promise : str
        `exact` or `ratio`.
    why : str
        What the policy is, and why it does no better, in a sentence.
    """

    inherits: Inheritance
    promise: Promise
    why: str
    weights: dict[int, int] = field(default_factory=dict)


def plan_policy(pattern: Pattern, page_bytes: int, *, weighted: bool = True) -> PolicyPlan:
    """Find the policy for a pattern.

    Parameters
    ----------
    pattern : Pattern
        Of real nodes.
    page_bytes : int
        Size of a page [bytes].
    weighted : bool
        Whether weights can be set here.

    Raises
    ------
    StartError
        If no policy has the pattern's ratio.
    """
    without_huge = pattern.granule_bytes < HUGE_BYTES
    nodes = tuple(sorted(pattern.distinct_nodes))
    runs = _runs(pattern, page_bytes)
    even = Inheritance(TaskPolicy.EVENLY, nodes, without_huge)
    if runs is not None and set(runs.values()) == {1}:
        return PolicyPlan(even, "exact", _say("interleave", nodes, "exact by virtual page number"))
    ratio = pattern.ratio()
    equal = set(ratio.values()) == {1}
    if runs is not None and weighted and max(runs.values()) <= MAX_WEIGHT:
        inherits = Inheritance(TaskPolicy.WEIGHTED, nodes, without_huge)
        how = f"with weights {_list(runs)}, exact by virtual page number"
        return PolicyPlan(inherits, "exact", _say("weighted interleave", nodes, how), runs)
    reason = _why_not_exact(pattern, exists=runs is not None)
    if equal:
        return PolicyPlan(even, "ratio", _say("interleave", nodes, f"the ratio only: {reason}"))
    if not weighted:
        raise StartError(
            f"interleaving without weights has equal shares, and pattern {pattern} has {_list(ratio)}",
            "use a pattern of equal shares, or another way: --via follow, --via preload",
        )
    if max(ratio.values()) > MAX_WEIGHT:
        raise StartError(
            f"the kernel's weights are at most {MAX_WEIGHT}, and pattern {pattern} needs "
            f"{max(ratio.values())}",
            "use a simpler ratio, or another way: --via follow, --via preload",
        )
    inherits = Inheritance(TaskPolicy.WEIGHTED, nodes, without_huge)
    how = f"with weights {_list(ratio)}, the ratio only: {reason}"
    return PolicyPlan(inherits, "ratio", _say("weighted interleave", nodes, how), dict(sorted(ratio.items())))


def _runs(pattern: Pattern, page_bytes: int) -> dict[int, int] | None:
    """Pages in a row on each node, where the pattern has the kernel's form; None where it has not."""
    period = _period(pattern.nodes)
    if len(set(period)) == 1:
        return {period[0]: 1}
    if pattern.granule_bytes >= HUGE_BYTES or list(period) != sorted(period):
        return None
    pages = pattern.granule_pages(page_bytes)
    return {node: len(tuple(run)) * pages for node, run in groupby(period)}


def _period(nodes: tuple[int, ...]) -> tuple[int, ...]:
    """The shortest pattern that repeats to the same."""
    count = len(nodes)
    for length in range(1, count + 1):
        if count % length == 0 and nodes == nodes[:length] * (count // length):
            return nodes[:length]
    return nodes


def _why_not_exact(pattern: Pattern, *, exists: bool) -> str:
    if pattern.granule_bytes >= HUGE_BYTES:
        return f"a policy spreads pages, not granules of {format_size(pattern.granule_bytes)}"
    if exists:
        return f"a granule of {format_size(pattern.granule_bytes)} needs weights that cannot be set here"
    in_order = ",".join(map(str, sorted(_period(pattern.nodes))))
    return f"the kernel takes nodes in the order of their numbers, as in {in_order}, not {pattern}"


def _say(name: str, nodes: tuple[int, ...], how: str) -> str:
    where = f"nodes {','.join(map(str, nodes))}" if len(nodes) > 1 else f"node {nodes[0]}"
    return f"{name} over {where}, {how}"


def _list(weights: dict[int, int]) -> str:
    return ":".join(str(weight) for _, weight in sorted(weights.items()))
