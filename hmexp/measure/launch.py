"""A launch: one measurement of a bandwidth on fresh pages, in this process or in a fresh one."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from hmexp.errors import HmexpError, MeasurementError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.measurement import Measurement
from hmexp.measure.operation import find_operation
from hmexp.measure.sampling import Sampling
from hmexp.measure.walk import Walk
from hmexp.memory.emulation import Emulation
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.process import Child, ChildError, answer_once
from hmexp.system.oom import OomKills
from hmexp.system.topology import Topology

#: A launch may fill a terabyte; what takes longer hangs [s].
TIMEOUT_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class LaunchRequest:
    """What a launch is asked to measure.

    Parameters
    ----------
    size, pattern, placer, emulation, huge
        Of the region, as for `allocate`.
    operation, threads, pinning, walk, sampling
        As for `measure_bandwidth`.
    """

    size: str | int
    pattern: Pattern
    placer: str
    emulation: Emulation | None
    huge: bool
    operation: str
    threads: int
    pinning: str | Sequence[int]
    walk: Walk
    sampling: Sampling

    def run(self, topology: Topology | None = None) -> Measurement:
        """Measure in this process."""
        with allocate(
            self.size, self.pattern, self.placer, emulation=self.emulation, topology=topology, huge=self.huge
        ) as region:
            return measure_bandwidth(
                region, self.operation, self.threads, pinning=self.pinning, walk=self.walk,
                sampling=self.sampling,
            )  # fmt: skip

    def to_record(self) -> dict[str, object]:
        """Give what was asked for, by name; what was left to hmexp is not there."""
        asked = {
            "pattern": str(self.pattern),
            "granule_bytes": self.pattern.granule_bytes,
            "size": str(self.size),
            "placer": self.placer,
            "operation": find_operation(self.operation).name,
            "threads": self.threads,
            "pinning": self.pinning if isinstance(self.pinning, str) else list(self.pinning),
            **asdict(self.walk),
            "samples": self.sampling.samples,
            "sample_seconds": self.sampling.seconds,
            "precision": self.sampling.precision,
            "most_samples": self.sampling.most,
        }
        return {name: value for name, value in asked.items() if value is not None}


def launch(request: LaunchRequest) -> Measurement:
    """Measure in a fresh process, which dies with this one.

    Raises
    ------
    HmexpError
        That of the process.
    MeasurementError
        If the process ended without an answer, or took longer than `TIMEOUT_SECONDS`; with its last words.
    """
    child, kills = Child("hmexp.measure.launch", TIMEOUT_SECONDS), OomKills.read()
    try:
        # What goes through these pipes is this program's own, on both sides.
        answer = pickle.loads(child.ask(pickle.dumps(request)))
    except ChildError as error:
        words = f": {error.last_words}" if error.last_words else ""
        raise MeasurementError(f"the process of a launch {kills.explain(error)}{words}") from error
    if isinstance(answer, HmexpError):
        raise answer
    assert isinstance(answer, Measurement)
    return answer


def answer(question: bytes) -> bytes:
    """Measure what a pickled request asks for, and pickle the measurement, or the error."""
    request = pickle.loads(question)
    try:
        return pickle.dumps(request.run())
    except HmexpError as error:
        return pickle.dumps(error)


if __name__ == "__main__":
    # Under its own name, so that what is pickled here is known by the same name there.
    from hmexp.measure.launch import answer as answer_launch

    answer_once(answer_launch)
