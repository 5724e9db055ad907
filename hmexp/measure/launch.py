"""A launch: one measurement of a bandwidth on fresh pages, in this process or in a fresh one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hmexp import native
from hmexp.errors import HmexpError, MeasurementError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.measurement import Measurement
from hmexp.memory.emulation import Emulation
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.system.topology import Topology


@dataclass(frozen=True)
class LaunchRequest:
    """What a launch is asked to measure.

    Parameters
    ----------
    size, pattern, placer, emulation, huge
        Of the region, as for `allocate`.
    op, threads, options
        As for `measure_bandwidth`.
    """

    size: str | int
    pattern: Pattern
    placer: str
    emulation: Emulation | None
    huge: bool
    op: str
    threads: int
    options: Mapping[str, Any]

    def run(self, topology: Topology | None = None) -> Measurement:
        """Measure in this process."""
        with allocate(
            self.size, self.pattern, self.placer, emulation=self.emulation, topology=topology, huge=self.huge
        ) as region:
            return measure_bandwidth(region, self.op, self.threads, **self.options)


def launch(request: LaunchRequest) -> Measurement:
    """Measure in a fresh process, which dies with this one.

    Raises
    ------
    HmexpError
        That of the process.
    MeasurementError
        If the process ended without an answer, with its last words.
    """
    # What goes through these pipes is this program's own, on both sides.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hmexp.measure.launch"],
        input=pickle.dumps((os.getpid(), request)),
        capture_output=True,
        check=False,
    )
    last_words = done.stderr.decode(errors="replace").strip()[-2000:]
    if done.returncode != 0:
        raise MeasurementError(
            f"the process of a launch ended with status {done.returncode}: {last_words or 'no words'}",
            "if it was killed, memory may have run out; see dmesg",
        )
    answer = pickle.loads(done.stdout)
    if isinstance(answer, HmexpError):
        raise answer
    assert isinstance(answer, Measurement)
    return answer


def main() -> None:
    """Read a request, measure, write the answer."""
    parent, request = pickle.loads(sys.stdin.buffer.read())
    native.die_with_parent(parent)
    # The answer goes to the real standard output alone: a stray print must not damage it.
    out = os.dup(1)
    os.dup2(2, 1)
    answer: Measurement | HmexpError
    try:
        answer = request.run()
    except HmexpError as error:
        answer = error
    with os.fdopen(out, "wb") as stream:
        stream.write(pickle.dumps(answer))


if __name__ == "__main__":
    # Run from a folder with files of the same names, it must not hide the standard library.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    # Under its own name, so that what is pickled here is known by the same name there.
    from hmexp.measure.launch import main as run_launch

    run_launch()
