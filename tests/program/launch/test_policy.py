"""Which policy a pattern gets, and how exactly."""

from __future__ import annotations

import pytest

from hmexp.errors import StartError
from hmexp.native.spawn import TaskPolicy
from hmexp.pattern import Pattern
from hmexp.program.launch.policy import plan_policy

PAGE = 4096
EVENLY, WEIGHTED = TaskPolicy.EVENLY, TaskPolicy.WEIGHTED


def kernel_nodes(weights: dict[int, int], pages: int) -> list[int]:
    """The node of each page as mm/mempolicy.c has it: first node first, by its weight."""
    turn = [node for node in sorted(weights) for _ in range(weights[node])]
    return [turn[page % len(turn)] for page in range(pages)]


@pytest.mark.parametrize(
    ("text", "granule", "policy", "weights", "promise"),
    [
        ("2", PAGE, EVENLY, {}, "exact"),
        ("2", 2 << 20, EVENLY, {}, "exact"),
        ("0,2", PAGE, EVENLY, {}, "exact"),
        ("0,1,2", PAGE, EVENLY, {}, "exact"),
        ("0,2,2", PAGE, WEIGHTED, {0: 1, 2: 2}, "exact"),
        ("0,2,2,0,2,2", PAGE, WEIGHTED, {0: 1, 2: 2}, "exact"),
        ("0,0,2,2", PAGE, WEIGHTED, {0: 2, 2: 2}, "exact"),
        ("0,2,2", 4 * PAGE, WEIGHTED, {0: 4, 2: 8}, "exact"),
        ("0,1,2,2", PAGE, WEIGHTED, {0: 1, 1: 1, 2: 2}, "exact"),
        # Another phase or order, and granules of huge pages: shares alone.
        ("2,0", PAGE, EVENLY, {}, "ratio"),
        ("2,0,2", PAGE, WEIGHTED, {0: 1, 2: 2}, "ratio"),
        ("0,2,0,2,2", PAGE, WEIGHTED, {0: 2, 2: 3}, "ratio"),
        ("0,2,2", 2 << 20, WEIGHTED, {0: 1, 2: 2}, "ratio"),
        ("0,2,2", 128 * PAGE, WEIGHTED, {0: 1, 2: 2}, "ratio"),
    ],
)  # fmt: skip
def test_the_policy_of_a_pattern(
    text: str, granule: int, policy: TaskPolicy, weights: dict[int, int], promise: str
) -> None:
    pattern = Pattern.parse(text, granule)
    plan = plan_policy(pattern, PAGE)
    assert (plan.inherits.policy, plan.weights, plan.promise) == (policy, weights, promise)
    assert plan.inherits.nodes == tuple(sorted(pattern.distinct_nodes))
    assert plan.inherits.without_huge is (granule < 2 << 20)
    if promise == "exact":
        pages = 3 * len(pattern.nodes) * granule // PAGE
        by_kernel = kernel_nodes(weights or dict.fromkeys(plan.inherits.nodes, 1), pages)
        assert by_kernel == list(pattern.page_nodes(0, pages, PAGE))
    else:
        assert "the ratio only: " in plan.why


def test_what_no_policy_can_do_is_refused() -> None:
    with pytest.raises(StartError, match="equal shares"):
        plan_policy(Pattern((0, 2, 2)), PAGE, weighted=False)
    assert plan_policy(Pattern((0, 0, 2, 2)), PAGE, weighted=False).promise == "ratio"
    with pytest.raises(StartError, match="at most 255"):
        plan_policy(Pattern((0,) * 256 + (2,)), PAGE)
