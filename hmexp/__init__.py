"""hmexp: experiments on hybrid memory.

>>> import hmexp
>>> pattern = hmexp.Pattern.parse("0")
>>> with hmexp.allocate("16MiB", pattern) as region:
...     region.placement().ok
True
"""

from __future__ import annotations

import importlib
from typing import Any, Final

__version__ = "0.2.0"

#: What people need, by the module that it lives in. Imported when it is first asked for: a worker starts anew
#: for every launch and needs few of them. `python tools/front_door.py` writes `__init__.pyi` from this table.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    # Memory that follows a pattern.
    "hmexp.pattern": ("Pattern",),
    "hmexp.memory.region": ("Region", "allocate"),
    "hmexp.memory.placement": ("Placement",),
    "hmexp.memory.emulation": ("Emulation", "EmulationRequest"),
    "hmexp.measure.host": ("emulate",),
    "hmexp.system.topology": ("Node", "Topology", "read_topology"),
    # One measurement, now.
    "hmexp.measure.bandwidth": ("measure_bandwidth",),
    "hmexp.measure.latency": (
        "NodeSplit", "measure_latency", "measure_node_latencies", "measure_store_latency",
    ),
    "hmexp.measure.injection": ("Injection",),
    "hmexp.measure.loaded": ("measure_loaded_latency",),
    "hmexp.measure.rings": ("RingPlan",),
    "hmexp.measure.sampling": ("Sampling",),
    "hmexp.measure.walk": ("Walk",),
    "hmexp.measure.point": ("MeasuredPoint", "measure_point"),
    "hmexp.measure.measurement": ("Measurement",),
    "hmexp.measure.statistics": ("Summary",),
    "hmexp.measure.curve": ("LoadedCurve", "LoadedPoint"),
    "hmexp.measure.knee": ("Knee",),
    # Many, stored in a run directory.
    "hmexp.sweep.parameters": ("SweepParameters",),
    "hmexp.sweep.plan": ("SweepPlan", "make_plan"),
    "hmexp.sweep.explanation": ("Explanation", "explain"),
    "hmexp.sweep.run": ("run_sweep",),
    "hmexp.measure.need": ("Requirement", "parse_need"),
    "hmexp.sweep.find": ("Find", "make_find"),
    "hmexp.study.experiment": ("Study",),
    "hmexp.study.placers": ("PlacerParameters", "make_placer_study"),
    "hmexp.study.granularity": ("GranuleParameters", "make_granule_study"),
    "hmexp.program.parameters": ("ProgramParameters",),
    "hmexp.program.experiment": ("make_program_study",),
    "hmexp.program.predict": ("PredictParameters", "make_prediction"),
    "hmexp.program.workload.files": ("Workload", "find_workload"),
    "hmexp.program.redis.parameters": ("RedisParameters",),
    "hmexp.program.redis.study": ("make_redis_study",),
    "hmexp.machine.matrix.plan": ("MatrixParameters", "make_matrix"),
    "hmexp.experiment.engine": ("Outcome", "run_experiment"),
    "hmexp.campaign.run": ("run_campaign",),
    # Programs that are not ours.
    "hmexp.program.launch.request": ("StartOptions",),
    "hmexp.program.launch.ways": ("start",),
    # What was stored, read and shown.
    "hmexp.store.program_records": ("ProgramRun",),
    "hmexp.store.programs": ("read_program",),
    "hmexp.store.records": ("LaunchRecord", "PointRecord", "RunRecord"),
    "hmexp.store.reader": ("read_points", "read_run"),
    "hmexp.report.run.dataset": ("Dataset", "load"),
    "hmexp.machine.matrix.value": ("Matrix",),
    "hmexp.report.page.html": ("write_report",),
    "hmexp.report.comparison.outcome": ("Comparison",),
    "hmexp.report.comparison.verdicts": ("compare",),
    "hmexp.report.model.prices": ("Prices",),
    "hmexp.program.move.follower": ("FollowOptions", "follow"),
    "hmexp.program.move.moves": ("move_program", "undo_move"),
    "hmexp.store.following_records": ("Following",),
    # Programs of anybody.
    "hmexp.program.placement": ("ProgramPlacement", "read_placement"),
    "hmexp.errors": (
        "CapacityError", "EmulationError", "HmexpError", "MeasurementError", "ParameterError", "PatternError",
        "PlacementError", "PlacerUnavailableError", "ProgramError", "StoreError", "SweepError",
    ),
}  # fmt: skip
_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # each name is written once, above


#: Names of before 0.3, which scripts may still have.
_RENAMED = dict.fromkeys(("run_study", "run_matrix", "run_program", "run_find"), "run_experiment")


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        import warnings

        warnings.warn(f"hmexp.{name} is hmexp.{_RENAMED[name]} now", DeprecationWarning, stacklevel=2)
        name = _RENAMED[name]
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
