"""The worker of studies: a fresh process that takes one point of a study and prints its record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hmexp.experiment.recording import recorded
from hmexp.experiment.worker import serve
from hmexp.measure.behaviour import BEHAVIOURS
from hmexp.measure.granularity import measure_windows
from hmexp.measure.setup import measure_mappings, measure_setup
from hmexp.memory.emulation import Emulation
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.study.study import StudyTask
from hmexp.system.settings import without_numa_balancing

Values = Mapping[str, Any]


def _pattern(values: Values) -> Pattern:
    return Pattern.parse(values["pattern"], values["granule_bytes"])


def _cost(values: Values, _: Emulation | None) -> dict[str, Any]:
    return measure_setup(values["placer"], _pattern(values), values["size_bytes"], values["pairs"])


def _mappings(values: Values, _: Emulation | None) -> dict[str, Any]:
    return {"regions": measure_mappings(_pattern(values), values["sizes_bytes"])}


def _behaviour(values: Values, _: Emulation | None) -> dict[str, Any]:
    return BEHAVIOURS[values["behaviour"]](values["placer"], _pattern(values), values["size_bytes"])


def _granule(values: Values, emulation: Emulation | None) -> dict[str, Any]:
    with allocate(
        values["size_bytes"],
        _pattern(values),
        values["placer"],
        # Pages of 2 MiB against small ones are compared on memory as it is.
        emulation=emulation if values["emulated"] else None,
        huge=values["huge"],
    ) as region:
        return measure_windows(
            region,
            values["window_bytes"],
            operation=values["operation"],
            threads=values["threads"],
            samples=values["samples"],
            sample_seconds=values["sample_seconds"],
        )


KINDS: Final[Mapping[str, Callable[[Values, Emulation | None], dict[str, Any]]]] = {
    "cost": _cost,
    "mappings": _mappings,
    "behaviour": _behaviour,
    "granule": _granule,
}


def run(task: StudyTask) -> dict[str, Any]:
    """Take a point; whatever happens is a record."""
    record = task.empty_record()
    if not task.point.parameters.get("emulated", False):
        record |= {"emulated": False, "profile": None}
    with recorded(record, lambda error: {"result": {"proof": error.placement}}):
        with without_numa_balancing() as settings:
            record["settings"] = {name: setting.to_record() for name, setting in settings.items()}
            record["result"] = KINDS[task.point.kind](task.point.parameters, task.emulation)
        record["status"] = "ok"
    return record


if __name__ == "__main__":
    # Run from the folder of a notebook, that folder must not hide the standard library.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    serve(lambda data: run(StudyTask.from_json(data)))
