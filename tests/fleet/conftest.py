"""A fleet without a network: the gatherer asks the function that Dask would call, in this process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hmexp.experiment.launch_records import empty_record
from hmexp.experiment.progress import NoDisplay
from hmexp.experiment.task import Task
from hmexp.fleet import host as hosts
from hmexp.fleet.folder import FleetFolder, FleetPlan, open_fleet
from hmexp.fleet.gather import Gatherer
from hmexp.fleet.messages import Message, encode, read_answer
from hmexp.fleet.roster import Roster
from hmexp.fork_server import ForkServer
from hmexp.store.fleet import HostRecord
from hmexp.store.records import LaunchRecord
from hmexp.store.results import Measured
from hmexp.sweep.parameters import SweepParameters

PARAMETERS = SweepParameters.from_mapping(
    {
        "size": "1MiB", "patterns": "0", "operations": ["read", "latency"], "launches": 2, "samples": 1,
        "sample_seconds": 0.001, "precision": 0, "emulate": "none", "threads": 1,
    }
).to_record()  # fmt: skip


@dataclass
class DirectLink:
    """Hosts that are asked without Dask; `answer` may be replaced by what a test needs."""

    roster: Roster
    answer: Callable[[bytes], object] = hosts.answer
    asked: list[Message] = field(default_factory=list)

    def ask(self, host: str, question: Message, wanted: type[Any]) -> Any:
        self.asked.append(question)
        return read_answer(self.answer(encode(question)), wanted, host)


@dataclass
class Scene:
    """A gatherer, and what it says."""

    results: Path
    link: DirectLink
    said: list[str] = field(default_factory=list)
    measured: list[tuple[str, int]] = field(default_factory=list)

    def open(self, name: str = "one") -> FleetFolder:
        plan = FleetPlan("sweep", PARAMETERS, shared=True)
        return open_fleet(self.results, name, plan, self.said.append)

    def gather(self, host: str = "host-a") -> HostRecord:
        with self.open() as folder:
            return Gatherer(folder, self.link, self.said.append).measure(host, NoDisplay())

    def lines(self, host: str = "host-a") -> list[LaunchRecord]:
        file = self.results / "one" / "hosts" / host / "launches.jsonl"
        if not file.exists():
            return []
        return [msgspec.json.decode(line, type=LaunchRecord) for line in file.read_bytes().splitlines()]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A gatherer beside a host whose launches take no time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said: list[str] = []
    made = Scene(tmp_path / "results", DirectLink(Roster(shared=True, say=said.append)), said)

    def launch(task: Task, timeout_seconds: float, server: ForkServer | None = None) -> LaunchRecord:
        made.measured.append((task.point_id, task.launch))
        value = random.Random(f"{task.point_id} {task.launch}").uniform(9, 11)
        result = Measured(unit="GB/s", samples=(value,), n=1, median=value)
        return msgspec.structs.replace(empty_record(task), status="ok", result=result)

    monkeypatch.setattr(hosts, "launch", launch)
    yield made
    hosts._server.close()
