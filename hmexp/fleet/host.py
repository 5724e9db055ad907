"""What runs on a host: one function that Dask calls, with JSON in and JSON out.

The function runs in a worker of Dask, and each launch in a process of its own, by the ordinary launcher.
Nothing
is raised across Dask: an error is an answer, too, so that the gatherer has no pickled object to read.
"""

from __future__ import annotations

import os
import time
from functools import singledispatch
from pathlib import Path
from typing import Any, Final

import msgspec

from hmexp.errors import HmexpError
from hmexp.experiment.launcher import WORKER, launch
from hmexp.experiment.protocol import Experiment
from hmexp.fleet.measurements import make_experiment
from hmexp.fleet.messages import (
    VERSION,
    Calibrate,
    Calibrated,
    FleetError,
    Forget,
    Greet,
    Greeting,
    HostPlan,
    HostPoint,
    HostQuestion,
    MakePlan,
    Measure,
    Message,
    Records,
    Refusal,
    TellKept,
    encode,
    read_question,
)
from hmexp.fleet.spool import Spool, slot
from hmexp.fork_server import ForkServer
from hmexp.store.records import RunRecord
from hmexp.store.schema import SCHEMA
from hmexp.store.writer import encode as encode_record
from hmexp.store.writer import encode_run
from hmexp.sweep.run import SweepExperiment
from hmexp.sweep.shapes import name_shapes
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
#: Forks the launches of this process; it lives as long as the worker of Dask does.
_server: Final = ForkServer(WORKER)


def answer(question: bytes) -> bytes:
    """Answer a gatherer.

    Parameters
    ----------
    question : bytes
        A message of `hmexp.fleet.messages`, as JSON.
    """
    try:
        asked = read_question(question)
        if isinstance(asked, HostQuestion):
            _require_same(asked)
        return encode(_answer(asked))
    except HmexpError as error:
        return encode(Refusal(reason=error.message, remedy=error.remedy))
    except Exception as error:  # noqa: BLE001 - a bug is an answer too: a pickled exception is none
        return encode(Refusal(reason=f"{type(error).__name__}: {error}"))


def _require_same(asked: HostQuestion) -> None:
    if (asked.version, asked.schema) != (VERSION, SCHEMA):
        raise FleetError(
            f"it has hmexp {VERSION} with schema {SCHEMA}, the gatherer has {asked.version} with "
            f"schema {asked.schema}",
            "install the same hmexp on both",
        )


@singledispatch
def _answer(asked: Message) -> Message:
    raise FleetError(f"{type(asked).__name__} is not a question")


@_answer.register
def _greet(_asked: Greet) -> Message:
    return Greeting(
        name=os.uname().nodename,
        boot=_BOOT.read_text(encoding="ascii").strip(),
        version=VERSION,
        schema=SCHEMA,
        now=time.time(),
    )


@_answer.register
def _plan(asked: MakePlan) -> Message:
    plan = _experiment(asked)
    ranks = plan.ranks(plan.points)
    return HostPlan(
        run=msgspec.Raw(encode_run(_describe(plan))),
        points=tuple(
            HostPoint(
                task=plan.task(point, None, 0),
                launches=point.launches,
                alike=point.alike,
                rank=ranks[point.id],
                text=str(point),
            )
            for point in plan.points
        ),
        added=tuple(sorted(plan.added)),
        baselines=dict(plan.baselines),
        options=plan.options,
    )


def _describe(plan: Experiment[Any]) -> RunRecord:
    """What the run of this host says of it at first, with the shapes of its loops."""
    shapes = name_shapes(plan.plan) if isinstance(plan, SweepExperiment) else None
    return msgspec.structs.replace(plan.describe(), shapes=shapes)


@_answer.register
def _calibrate(asked: Calibrate) -> Message:
    found = _experiment(asked).calibrate(lambda _text: None, lambda _text: None)
    if found is None:
        return Calibrated()
    emulation, launches = found
    return Calibrated(emulation=emulation.to_record(), calibration=tuple(launches))


@_answer.register
def _tell_kept(asked: TellKept) -> Message:
    with slot(asked.whose.host):
        return Records(launches=tuple(map(msgspec.Raw, Spool(asked.whose.fleet, asked.whose.host).all())))


@_answer.register
def _forget(asked: Forget) -> Message:
    with slot(asked.whose.host):
        Spool(asked.whose.fleet, asked.whose.host).clear()
    return Records()


@_answer.register
def _measure(asked: Measure) -> Message:
    task = asked.task
    with slot(asked.whose.host):
        spool = Spool(asked.whose.fleet, asked.whose.host)
        spool.drop_others(task.point_id, task.launch)
        known = spool.find(task.point_id, task.launch)
        if known is not None:
            return Records(launches=(msgspec.Raw(known),))
        record = launch(task, asked.timeout_seconds, _server if asked.start == "fork" else None)
        text = encode_record(record)
        if record.status == "ok":
            spool.keep(task.point_id, task.launch, text)
        return Records(launches=(msgspec.Raw(text),))


def _experiment(asked: MakePlan) -> Experiment[Any]:
    topology = read_topology(libnuma=LibNuma.load())
    return make_experiment(asked.measurement, asked.parameters, topology, asked.files)
