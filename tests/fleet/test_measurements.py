"""What a fleet measures: the files that parameters name travel with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hmexp.errors import ParameterError
from hmexp.fleet import host as hosts
from hmexp.fleet.folder import FleetPlan
from hmexp.fleet.measurements import files_of
from hmexp.fleet.messages import HostPlan, MakePlan, encode, read_answer
from hmexp.program.parameters import ProgramParameters
from hmexp.store.program_points import ProgramPoint

WORKLOAD = """
title = "a program that adds numbers"
about = "Python adds numbers"
needs = ["python3"]

[program]
command = "python3 -c 'print(sum(range(1000)))'"

[[metrics]]
name = "elapsed"
unit = "s"
better = "lower"
source = "elapsed"
"""


def parameters(workload: object) -> dict[str, Any]:
    return ProgramParameters.from_mapping({"workload": str(workload), "patterns": "0"}).to_record()


def test_a_host_plans_a_workload_whose_file_it_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "adding.toml"
    file.write_text(WORKLOAD)
    given = parameters(file)
    files = files_of(given)
    file.unlink()
    question = MakePlan(measurement="program", parameters=given, files=files)
    plan = read_answer(hosts.answer(encode(question)), HostPlan, "h")
    for point in plan.points:
        program = point.task.parameters
        assert isinstance(program, ProgramPoint)
        assert program.workload == "adding" and program.definition.title == "a program that adds numbers"


def test_a_changed_file_is_another_fleet(tmp_path: Path) -> None:
    file = tmp_path / "adding.toml"
    plans = []
    for text in (WORKLOAD, WORKLOAD.replace("1000", "2000"), WORKLOAD):
        file.write_text(text)
        given = parameters(file)
        plans.append(FleetPlan("program", given, shared=True, files=files_of(given)).hash)
    assert plans[0] == plans[2] != plans[1]


def test_a_workload_that_needs_what_is_beside_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(WORKLOAD.replace("python3 -c", "python3 {here}/x.py -c"))
    with pytest.raises(ParameterError, match="beside it"):
        files_of(parameters(file))


@pytest.mark.parametrize(("workload", "reason"), [("nosuch", "unknown"), ("./no.toml", "cannot be read")])
def test_a_workload_that_does_not_exist_is_refused_before_a_host_is_asked(workload: str, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        files_of(parameters(workload))


def test_what_names_no_file_has_none() -> None:
    assert files_of(parameters("sort")) == {} == files_of({"patterns": ("0",)})
