"""Kill workers, scheduler and gatherer of a fleet at random: is a record lost, or a launch measured twice?

Every process is an ordinary one: `dask scheduler`, `dask worker` and `hmexp fleet`, on loopback. Whatever has
died is started again by the same command. A kill comes when something was stored since the one before:
it falls on work. At the end each launch that a host has finished must be stored, once.

    python benchmarks/fleet_kills.py [--kills 100] [--hosts 3] [--seed 0] [--minutes 60]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "tests" / "fleet" / "plugin.py"
SWEEP = (
    "--size", "1MiB", "--patterns", "0", "--operations", "read", "latency", "--samples", "1",
    "--sample-seconds", "0.001", "--precision", "0", "--emulate", "none", "--threads", "1",
)  # fmt: skip
WHO = ("worker", "scheduler", "gatherer")


class Stage:
    """A scheduler, workers and a gatherer, each started again when it has died."""

    def __init__(self, folder: Path, hosts: int, launches: int) -> None:
        self.folder, self.hosts = folder, hosts
        self.results, self.ledger = folder / "results", folder / "ledger"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.gather = [
            "-m", "hmexp", "fleet", "--scheduler", self.address, "--workers-are-hosts", "--expect",
            str(hosts), "--patience", "600", "--", "sweep", *SWEEP, "--launches", str(launches), "--results",
            str(self.results),
        ]  # fmt: skip
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {
            "HMEXP_TEST_FLEET_LEDGER": str(self.ledger),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
        }

    def over(self) -> bool:
        """Whether the gatherer has ended, and its fleet is finished and reported.

        A kill may still meet the process that has done so: the same command would begin another fleet.
        """
        gatherer = self.processes.get("gatherer")
        if gatherer is None or gatherer.poll() is None:
            return False
        records = [json.loads(file.read_bytes()) for file in self.results.glob("fleet-*/fleet.json")]
        return gatherer.poll() == 0 or any(record["reported"] for record in records)

    def keep_up(self) -> bool:
        """Start what is not running; return whether the fleet is over."""
        done = self.over()
        port = self.address.rpartition(":")[2]
        words = {
            "scheduler": ["-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
            **{
                f"worker {number}": [
                    "-m", "dask", "worker", self.address, "--no-nanny", "--nthreads", "1", "--name",
                    f"host-{number}", "--resources", "hmexp=1", "--no-dashboard", "--memory-limit", "0",
                    "--local-directory", str(self.folder / "dask"), "--preload", str(PLUGIN),
                ]
                for number in range(self.hosts)
            },
            "gatherer": self.gather,
        }  # fmt: skip
        for name, command in words.items():
            process = self.processes.get(name)
            if (process is None or process.poll() is not None) and not (done and name == "gatherer"):
                log = (self.folder / f"{name}.log").open("ab")
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=self.environment, cwd=self.folder,
                )  # fmt: skip
                log.close()
        return done

    def kill(self, who: str, draw: random.Random) -> None:
        """Kill one process, without a warning."""
        names = [name for name in self.processes if name.startswith(who)]
        self.processes[draw.choice(sorted(names))].send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """End all that was started."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def stored(self) -> list[tuple[str, str, int, str]]:
        """Every line of every launches.jsonl: host, point, launch, status."""
        found = []
        for file in self.results.glob("fleet-*/hosts/*/launches.jsonl"):
            for line in file.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    record = json.loads(line)
                    found.append((file.parent.name, record["point_id"], record["launch"], record["status"]))
        return found

    def finished(self) -> list[tuple[str, str, int]]:
        """Every launch that a host has finished and had on its disk: host, point, launch."""
        if not self.ledger.exists():
            return []
        lines = [json.loads(line) for line in self.ledger.read_text(encoding="utf-8").splitlines()]
        return [(host, point, launch) for _, host, point, launch, _ in lines]


def run_once(kills: int, hosts: int, launches: int, seed: int, deadline: float) -> dict[str, int]:
    """One fleet from its first launch to its end, under so many kills at most."""
    draw = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="hmexp-fleet-kills-"))
    stage = Stage(folder, hosts, launches)
    count: collections.Counter[str] = collections.Counter()
    progress, since = -1, time.monotonic()
    try:
        while not stage.keep_up() and time.monotonic() < deadline:
            time.sleep(draw.uniform(0.05, 0.4))
            now = len(stage.stored()) + len(stage.finished())
            if (now <= progress and time.monotonic() - since < 60) or sum(count.values()) >= kills:
                continue
            time.sleep(draw.uniform(0, 1.5))
            who = draw.choice(WHO)
            stage.kill(who, draw)
            count[who] += 1
            progress, since = now, time.monotonic()
            print(f"  {sum(count.values())} kills ({who}), {now} lines", flush=True)
        ended = stage.over()
    finally:
        stage.stop()
    good = [each[:3] for each in stage.stored() if each[3] == "ok"]
    finished = stage.finished()
    found = {
        **count,
        "fleets": int(ended),
        "stored": len(set(good)),
        # Of a fleet that was not finished in time, the last ones are on their hosts still.
        "lost": len(set(finished) - set(good)) if ended else 0,
        "stored twice": len(good) - len(set(good)),
        "measured twice": len(finished) - len(set(finished)),
        "failed": len(stage.stored()) - len(good),
    }
    wrong = found["lost"] or found["stored twice"] or found["measured twice"] or found["failed"]
    if wrong or not ended:
        print(f"  see {folder}")
    else:
        shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--launches", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    deadline = time.monotonic() + options.minutes * 60
    total: collections.Counter[str] = collections.Counter()
    seed = options.seed
    while (made := sum(total[who] for who in WHO)) < options.kills and time.monotonic() < deadline:
        total.update(run_once(options.kills - made, options.hosts, options.launches, seed, deadline))
        seed += 1
        print(dict(total), flush=True)
    made = sum(total[who] for who in WHO)
    wrong = total["lost"] or total["stored twice"] or total["measured twice"]
    print(f"{made} kills: {total['lost']} lost, {total['stored twice']} stored twice, "
          f"{total['measured twice']} measured twice, of {total['stored']} launches")  # fmt: skip
    sys.exit(1 if wrong or made < options.kills else 0)


if __name__ == "__main__":
    main()
