"""The record of a launch before anything is known of it."""

from __future__ import annotations

import os

from hmexp.experiment.kinds import find_kind
from hmexp.experiment.task import Task
from hmexp.store.parts import MachineState
from hmexp.store.records import LaunchRecord
from hmexp.store.run import now
from hmexp.system.provenance import timing_validity


def empty_record(task: Task) -> LaunchRecord:
    """The record of a launch of which nothing is known yet: a failure, until it is measured."""
    valid, note = timing_validity()
    prepared = find_kind(task.parameters).prepare(task)
    emulated = prepared.emulated and (task.emulation is not None or task.calibrating)
    profile = task.emulation.profile.name if emulated and task.emulation is not None else None
    return LaunchRecord(
        point_id=task.point_id,
        launch=task.launch,
        status="failed",
        parameters=task.parameters,
        modelled_pages=prepared.modelled_pages,
        dram_share=prepared.dram_share,
        model=prepared.model,
        emulated=emulated,
        profile=profile,
        timing_valid=valid,
        timing_note=note,
        started=now(),
        machine=MachineState(load_average=os.getloadavg(), cpus=task.cpus),
    )
