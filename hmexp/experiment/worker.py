"""The worker: a fresh process that measures one launch of a point and prints one record.

It is given its task as JSON on standard input and prints the record as one line of JSON on standard
output; what a person should see goes to standard error. It dies with the process that started it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmexp import native
from hmexp.errors import PlacementError
from hmexp.experiment.point import Point
from hmexp.experiment.recording import recorded
from hmexp.measure.quantity import measure, predictable
from hmexp.memory.emulation import Emulation
from hmexp.memory.page_sizes import require_page_size
from hmexp.memory.region import allocate
from hmexp.store.run import now
from hmexp.store.schema import SCHEMA
from hmexp.sweep.access import read_access
from hmexp.system.provenance import timing_validity
from hmexp.system.settings import ending_in_order, repair, without_numa_balancing


@dataclass(frozen=True)
class Task:
    """What a worker is asked to do.

    Parameters
    ----------
    point : Point
        What to measure.
    emulation : Emulation or None
        The scaled profile that the run uses.
    calibrating : bool
        Measure the host inside the emulating loops, with nodes that cost nothing.
    dram_nodes : tuple of int
        Nodes of patterns that count as DRAM.
    cpus : tuple of int
        One CPU per thread.
    launch : int
        Which launch of the point this is, from 0.
    """

    point: Point
    emulation: Emulation | None
    calibrating: bool
    dram_nodes: tuple[int, ...]
    cpus: tuple[int, ...]
    launch: int = 0

    @property
    def point_id(self) -> str:
        """Id of the point."""
        return self.point.id

    def to_json(self) -> str:
        """The task as one line for `from_json`, with the process that is to be outlived by none."""
        return json.dumps(
            {
                "parent": os.getpid(),
                "point": self.point.to_record(),
                "emulation": None if self.emulation is None else self.emulation.to_record(),
                "calibrating": self.calibrating,
                "dram_nodes": self.dram_nodes,
                "cpus": self.cpus,
                "launch": self.launch,
            }
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """Read back what `to_json` wrote."""
        return cls(
            Point(**data["point"]),
            None if data["emulation"] is None else Emulation.from_record(data["emulation"]),
            bool(data["calibrating"]),
            tuple(data["dram_nodes"]),
            tuple(data["cpus"]),
            data["launch"],
        )

    def empty_record(self) -> dict[str, Any]:
        """The record of a launch of which nothing is known yet."""
        valid, note = timing_validity()
        pattern = self.point.parsed_pattern
        pages = pattern.pages_per_node(self.point.size_bytes // native.PAGE_BYTES, native.PAGE_BYTES)
        modelled = {node: count for node, count in pages.items() if count}
        dram = sum(count for node, count in modelled.items() if node in self.dram_nodes)
        model, name = None, predictable(self.point.operation)
        if self.emulation is not None and name is not None:
            model = {"value": self.emulation.predict(modelled, name, self.point.threads)}
        return {
            "schema": SCHEMA,
            "point_id": self.point.id,
            "launch": self.launch,
            "status": "failed",
            "reason": None,
            "error": None,
            "parameters": self.point.to_record(),
            "result": None,
            "setup": None,
            "settings": None,
            "proof": None,
            "modelled_pages": {str(node): count for node, count in modelled.items()},
            "dram_share": dram / sum(modelled.values()),
            "model": model,
            "emulated": self.emulation is not None or self.calibrating,
            "profile": None if self.emulation is None else self.emulation.profile.name,
            "timing_valid": valid,
            "timing_note": note,
            "started": now(),
            "elapsed_seconds": 0.0,
            "machine": {"load_average": list(os.getloadavg()), "cpus": list(self.cpus)},
        }


def run(task: Task) -> dict[str, Any]:
    """Measure a launch; whatever happens is a record."""
    record = task.empty_record()
    with recorded(record, _proof_of):
        with ExitStack() as stack:
            settings = stack.enter_context(without_numa_balancing())
            record["settings"] = {name: setting.to_record() for name, setting in settings.items()}
            region = stack.enter_context(
                allocate(
                    task.point.size_bytes,
                    task.point.parsed_pattern,
                    task.point.placer,
                    emulation=task.emulation,
                    calibrating=task.calibrating,
                    huge=require_page_size(task.point.parsed_pattern, task.point.page_bytes),
                )
            )
            record["settings"] |= region.setup.details.get("settings", {})
            record["setup"] = {
                "seconds": region.setup.seconds,
                "ns_per_page": region.setup.ns_per_page,
                "page_bytes": native.PAGE_BYTES,
                "details": dict(region.setup.details),
            }
            order, stride_bytes = read_access(task.point.access)
            measurement = measure(
                region,
                task.point.operation,
                task.point.threads,
                task.cpus,
                samples=task.point.samples,
                sample_seconds=task.point.sample_seconds,
                precision=task.point.precision,
                most_samples=task.point.most_samples,
                # Launches differ in the order of their random accesses, too.
                seed=1 + task.launch,
                order=order,
                stride_bytes=stride_bytes,
            )
        record["proof"] = {"before": measurement.before.to_record(), "after": measurement.after.to_record()}
        record["result"] = measurement.to_record()
        if measurement.noise is not None and measurement.noise.host_bound:
            # What the emulated nodes must show is not what was measured: no error is to be told from it.
            record["model"] = None
        record["status"] = "ok"
    return record


def _proof_of(error: PlacementError) -> dict[str, Any]:
    return {"proof": {"before": None, "after": None, error.stage or "before": error.placement}}


def serve(run_task: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read a task, have it done, print the record."""
    data = json.loads(sys.stdin.read())
    native.die_with_parent(data["parent"])
    # The record goes to the real standard output alone: a stray print must not damage it.
    out = os.dup(1)
    os.dup2(2, 1)
    with ending_in_order():
        for told in repair():
            print(f"hmexp: {told}")
        record = run_task(data)
    with os.fdopen(out, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(record, allow_nan=False) + "\n")


def main() -> None:
    """Read a task, measure, print the record."""
    serve(lambda data: run(Task.from_json(data)))


if __name__ == "__main__":
    # Run from the folder of a notebook, that folder must not hide the standard library.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    main()
    # The record is out and the pages are given back: taking the interpreter down would be waited for in vain.
    sys.stderr.flush()
    os._exit(0)
