"""Fleets whose hosts are network namespaces with a cable each, over TLS: cables are pulled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hmexp.store.fleet import read_fleet
from tests.fleet.network import HEAD, Network, require_namespaces, within
from tests.fleet.test_cluster import PLUGIN, SWEEP, make_certificates

pytestmark = pytest.mark.slow

ADDRESS = f"tls://{HEAD}:8786"
HOSTS = 3
LAUNCHES = 4


def wait_for(what: Callable[[], object], patience: float = 120) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


@dataclass
class Rack:
    """A scheduler on the head and a worker on each host, which are started again when they have ended."""

    network: Network
    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    gatherer: subprocess.Popen[bytes] | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, namespace: str, log: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                [*within(namespace), sys.executable, "-m", *words], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env=self.environment, cwd=self.folder,
            )  # fmt: skip

    def keep_up(self) -> None:
        """Start again what has ended, as systemd would."""
        commands = {
            "scheduler": (
                self.network.head, "dask", "scheduler", "--protocol", "tls", "--host", HEAD, "--port", "8786",
                "--no-dashboard",
            ),
            **{
                f"worker {number}": (
                    name, "dask", "worker", ADDRESS, "--no-nanny", "--nthreads", "1", "--name", str(number),
                    "--resources", "hmexp=1", "--no-dashboard", "--memory-limit", "0", "--local-directory",
                    str(self.folder / "dask"), "--preload", str(PLUGIN),
                )
                for number, name in enumerate(self.network.hosts)
            },
        }  # fmt: skip
        while not self.ended.wait(0.2):
            for name, (namespace, *words) in commands.items():
                if name not in self.processes or self.processes[name].poll() is not None:
                    self.processes[name] = self.run(namespace, f"{name}.log", *words)

    def gather(self, patience: int) -> subprocess.Popen[bytes]:
        """Start what the keeper does not start again."""
        self.gatherer = self.run(
            self.network.head, "gatherer.log", "hmexp", "fleet", "--scheduler", ADDRESS,
            "--workers-are-hosts", "--expect", str(HOSTS), "--patience", str(patience), "--", *SWEEP,
            "--launches", str(LAUNCHES), "--results", str(self.folder / "results"),
        )  # fmt: skip
        return self.gatherer

    @property
    def said(self) -> str:
        return (self.folder / "gatherer.log").read_text()

    @property
    def fleet(self) -> Path:
        return next((self.folder / "results").glob("fleet-*"))

    @property
    def states(self) -> dict[str, str]:
        return {host.name: host.state for host in read_fleet(self.fleet).hosts}

    def stored(self, host: str) -> list[tuple[str, int]]:
        """Each whole line of the launches of a host: point and launch."""
        found = []
        for file in (self.folder / "results").glob(f"fleet-*/hosts/{host}/launches.jsonl"):
            for line in file.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    record = json.loads(line)
                    found.append((record["point_id"], record["launch"]))
        return found

    def require_each_once(self) -> None:
        """Every launch is stored once, and none was finished twice."""
        for number in range(HOSTS):
            stored = self.stored(f"host-{number}")
            assert sorted(launch for _, launch in stored) == list(range(LAUNCHES))
        ledger = (self.folder / "ledger").read_text().splitlines()
        launches = Counter(tuple(json.loads(line)[1:4]) for line in ledger)
        assert len(launches) == HOSTS * LAUNCHES and set(launches.values()) == {1}

    def stop(self, keeper: threading.Thread) -> None:
        self.ended.set()
        keeper.join()
        for process in (*self.processes.values(), *filter(None, [self.gatherer])):
            process.kill()
            process.wait()


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    require_namespaces()
    environment = os.environ | make_certificates(tmp_path / "certificates") | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "MPLCONFIGDIR": str(tmp_path / "mpl"),
        # A dead connection is noticed after 12 s, not 30: less is too low for Dask.
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
        "HMEXP_TEST_FLEET_LEDGER": str(tmp_path / "ledger"),
        # A launch takes long enough for a cable to be pulled in the middle of one.
        "HMEXP_TEST_FLEET": json.dumps({str(n): {"factor": 1.0, "seconds": 1.0} for n in range(HOSTS)}),
    }  # fmt: skip
    with Network(HOSTS) as network:
        made = Rack(network, tmp_path, environment)
        keeper = threading.Thread(target=made.keep_up)
        keeper.start()
        try:
            yield made
        finally:
            made.stop(keeper)


def test_a_cable_that_is_pulled_in_mid_launch_and_put_back_costs_nothing_that_was_finished(
    rack: Rack,
) -> None:
    gatherer = rack.gather(patience=120)
    wait_for(lambda: rack.stored("host-0") and rack.stored("host-1"))
    # Host 0 is away for less than it takes to be noticed, host 1 until it was given up.
    rack.network.pull(0)
    rack.network.pull(1)
    time.sleep(1)
    rack.network.plug(0)
    wait_for(lambda: "Host host-1 is gone" in rack.said)
    rack.network.plug(1)
    assert gatherer.wait(180) == 0, rack.said
    assert "Host host-1 is back" in rack.said
    assert rack.states == {f"host-{number}": "measured" for number in range(HOSTS)}
    rack.require_each_once()


def test_a_host_that_never_comes_back_is_lost_by_name_and_the_same_command_resumes(rack: Rack) -> None:
    gatherer = rack.gather(patience=10)
    wait_for(lambda: rack.stored("host-2"))
    rack.network.pull(2)
    assert gatherer.wait(180) == 1, rack.said
    assert "host-2 (lost): host host-2 was lost and did not come back within 10 s" in " ".join(
        rack.said.split()
    )
    assert rack.states == {"host-0": "measured", "host-1": "measured", "host-2": "lost"}
    assert len(rack.stored("host-0")) == len(rack.stored("host-1")) == LAUNCHES
    assert 0 < len(rack.stored("host-2")) < LAUNCHES
    rack.network.plug(2)
    assert rack.gather(patience=120).wait(180) == 0, rack.said
    assert rack.states["host-2"] == "measured"
    rack.require_each_once()
