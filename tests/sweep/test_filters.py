"""Filters: `only` and `without` choose points of the grid, and say so if they cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.point import SweepPoint
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import Node, NodeKind, Topology

GIB = 1 << 30
ONE = Topology((Node(0, NodeKind.DRAM, allowed_cpus(), 8 * GIB, 7 * GIB, {0: 10}),))


def plan(**values: Any) -> SweepPlan:
    given = {"size": "1MiB,2MiB", "access": ["sequential", "random_line"], "threads": 1}
    return make_plan(SweepParameters.from_mapping(given | values), ONE)


def asked(made: SweepPlan) -> list[SweepPoint]:
    return [point for point in made.points if point.id not in made.added]


def test_all_of_only_and_none_of_without() -> None:
    everything = asked(plan())
    assert len(everything) == 5 * 2 * 2 * 2 + 5 * 2
    chosen = asked(
        plan(only=["operation=read,latency", "size=2MiB"], without=["pattern=0 1:2", "access=random_line"])
    )
    assert chosen == [
        point for point in everything
        if point.operation in ("read", "latency") and point.size_bytes == 2 << 20
        and point.pattern not in ("0", "0,2,2") and point.access != "random_line"
    ]  # fmt: skip
    assert len(chosen) == 6
    assert asked(plan(only="all", without="none")) == everything


def test_what_is_left_has_its_all_dram_points() -> None:
    made = plan(without=["pattern=1:0"])
    assert {point.pattern for point in made.points if point.id in made.added} == {"0"}
    assert set(made.baselines) == {point.id for point in asked(made)}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"only": "colour=red"}, "'colour' is unknown.*a key of: pattern, operation"),
        ({"only": "read"}, "'read' is not a condition.*KEY=VALUE"),
        ({"only": "operation=copy"}, "no point has the operation 'copy'.*there are: read, write, latency"),
        ({"only": "operation="}, "no point has the operation ''"),
        ({"only": "pattern="}, "has no value"),
        ({"without": "size=3MiB"}, "no point has the size '3MiB'.*there are: 1MiB, 2MiB"),
        ({"without": "threads=many"}, "no point has the threads 'many'.*there are: 1"),
        ({"only": "pattern=9"}, "no point has the pattern '9'.*there are: 0 0,0,2,0"),
        ({"without": "operation=read,write,latency"}, "no point is left of 50"),
        ({"only": []}, "only is an empty list"),
    ],
)
def test_what_chooses_nothing_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        plan(**values)
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)


def test_the_command_refuses_it_before_anything_is_written(run_hmexp: Callable[..., Any]) -> None:
    done = run_hmexp("sweep", "--only", "operation=copy", "--results", "/nowhere/none")
    assert done.status == 2 and "no point has the operation 'copy'" in done.stderr
