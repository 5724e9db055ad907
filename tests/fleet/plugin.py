"""A preload of Dask's workers, for tests: it gives a local host other facts, numbers, a version or a clock.

Production code reads nothing of this. The file is named in `DASK_DISTRIBUTED__WORKER__PRELOAD`, or with
`dask worker --preload`, and does what `HMEXP_TEST_FLEET` says: JSON, an object for each worker by its name.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from distributed import Worker

    from hmexp.experiment.task import Task
    from hmexp.fork_server import ForkServer
    from hmexp.store.records import LaunchRecord

WISHES = "HMEXP_TEST_FLEET"
#: A file that gets a line for each launch that a host has finished and has on its disk.
LEDGER = "HMEXP_TEST_FLEET_LEDGER"


def dask_setup(worker: Worker) -> None:
    """See `distributed.preloading`."""
    name = str(worker.name)
    wishes = json.loads(os.environ.get(WISHES, "{}")).get(name, {})
    if "facts" in wishes:
        _have_facts(wishes["facts"])
    if "factor" in wishes:
        _have_numbers(name, float(wishes["factor"]), wishes.get("seconds", 0.0))
    if "schema" in wishes:
        _have_schema(int(wishes["schema"]))
    if "clock" in wishes:
        _have_clock(float(wishes["clock"]))
    if "trap" in wishes:
        _have_trap(wishes["trap"])
    if LEDGER in os.environ:
        _keep_ledger(name, os.environ[LEDGER])


def _have_facts(facts: dict[str, Any]) -> None:
    """Have the provenance of a plan say something else of this machine."""
    import hmexp.sweep.plan as plan
    from hmexp.store.provenance import Provenance

    collect = plan.collect

    def injected() -> Provenance:
        known = msgspec.to_builtins(collect())
        return msgspec.convert(known | facts, Provenance)

    plan.collect = injected


def _have_numbers(name: str, factor: float, seconds: float) -> None:
    """Replace the samples of launches by ones of a known speed; all else of a launch is real."""
    import hmexp.fleet.host as host

    measure = host.launch

    def slowed(task: Task, timeout_seconds: float, server: ForkServer | None = None) -> LaunchRecord:
        record = measure(task, timeout_seconds, server)
        time.sleep(seconds)
        draw = random.Random(f"{name} {task.point_id} {task.launch}")
        share = record.dram_share or 0.0
        found = record.result
        samples = tuple(100 * factor * (0.5 + share) * draw.gauss(1, 0.01) for _ in found.samples)
        middle = sorted(samples)[len(samples) // 2]
        faked = msgspec.structs.replace(found, samples=samples, median=middle, ci_low=middle, ci_high=middle)
        return msgspec.structs.replace(record, result=faked)

    host.launch = slowed


def _have_schema(schema: int) -> None:
    import hmexp.fleet.host as host

    host.SCHEMA = schema


def _have_clock(ahead: float) -> None:
    import hmexp.fleet.host as host

    host.time = SimpleNamespace(time=lambda: time.time() + ahead)


class Trap:
    """An object that makes a folder wherever it is unpickled."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self._folder,)


def _have_trap(folder: str) -> None:
    """Be a host that answers with a pickled object."""
    import hmexp.fleet.host as host

    host.answer = lambda _question: Trap(folder)


def _keep_ledger(name: str, file: str) -> None:
    import hmexp.fleet.host as host

    keep = host.Spool.keep

    def noted(self: Any, point: str, launch: int, record: bytes) -> None:
        keep(self, point, launch, record)
        line = json.dumps([str(self._folder.parent.name), name, point, launch, os.getpid()])
        with Path(file).open("a", encoding="utf-8") as ledger:
            ledger.write(line + "\n")

    host.Spool.keep = noted
