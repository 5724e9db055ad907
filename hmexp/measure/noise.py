"""What else happened while a sample was taken: disturbed samples are kept, and marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from hmexp.measure.statistics import median_of
from hmexp.store.evidence import NoiseRecord

#: Part of a sample's time that a thread may be off its CPU, or its CPU be stolen by the hypervisor. What
#: counts is the time: samples that were preempted without losing 0.5 % of it were 0.13 % slower than others.
LOST: Final = 0.005
STOLEN: Final = 0.01
#: A shorter sample measures the clock and the scheduler [s].
SHORTEST: Final = 0.001
#: Part of its time that a thread must wait for an emulated node, for the node to be what sets the speed.
BOUND: Final = 0.02


@dataclass(frozen=True)
class Noise:
    """Disturbances of each sample, over all its threads.

    Parameters
    ----------
    preempted : tuple of int
        Involuntary context switches.
    migrated : tuple of int
        Threads that ended on another CPU than they began on.
    off_cpu : tuple of float
        Largest part of the sample's time that a thread did not run.
    stolen : tuple of float
        Largest part that the hypervisor took from a thread's CPU; the kernel counts it in ticks.
    flags : tuple of tuple of str
        Of ``preempted`` and ``foreign`` (time was lost off the CPU, to another thread or otherwise),
        ``migrated``, ``steal``, ``short``.
    waited : float or None
        Part of the time that threads waited for emulated nodes, the median; None on real nodes.
    """

    preempted: tuple[int, ...]
    migrated: tuple[int, ...]
    off_cpu: tuple[float, ...]
    stolen: tuple[float, ...]
    flags: tuple[tuple[str, ...], ...]
    waited: float | None = None

    @classmethod
    def of(cls, samples: npt.NDArray[np.void], *, modelled: bool = False) -> Noise:
        """Judge samples of `native.SAMPLE`, shape ``(samples,)`` or ``(samples, threads)``."""
        taken = samples.reshape(len(samples), -1)
        span = np.maximum(taken["end_ns"] - taken["start_ns"], 1)
        preempted = taken["preempted"].sum(axis=1)
        migrated = taken["migrated"].sum(axis=1)
        off_cpu = (taken["off_cpu_ns"] / span).max(axis=1)
        stolen = (taken["stolen_ns"] / span).max(axis=1)
        marks = {
            "preempted": (preempted > 0) & (off_cpu > LOST),
            "migrated": migrated > 0,
            "foreign": (preempted == 0) & (off_cpu > LOST),
            "steal": stolen > STOLEN,
            "short": span.min(axis=1) < SHORTEST * 1e9,
        }
        flags = tuple(tuple(name for name, mark in marks.items() if mark[i]) for i in range(len(taken)))
        return cls(
            tuple(int(n) for n in preempted),
            tuple(int(n) for n in migrated),
            tuple(round(float(part), 4) for part in off_cpu),
            tuple(round(float(part), 4) for part in stolen),
            flags,
            float(median_of(taken["waited_ns"] / span)) if modelled else None,
        )

    @classmethod
    def join(cls, launches: Sequence[Self]) -> Self:
        """The disturbances of several launches, one after the other."""
        waited = [noise.waited for noise in launches if noise.waited is not None]
        return cls(
            tuple(chain.from_iterable(noise.preempted for noise in launches)),
            tuple(chain.from_iterable(noise.migrated for noise in launches)),
            tuple(chain.from_iterable(noise.off_cpu for noise in launches)),
            tuple(chain.from_iterable(noise.stolen for noise in launches)),
            tuple(chain.from_iterable(noise.flags for noise in launches)),
            float(median_of(waited)) if waited else None,
        )

    @classmethod
    def from_record(cls, record: NoiseRecord) -> Self:
        """Read back what `to_record` wrote."""
        return cls(
            record.preempted,
            record.migrated,
            record.off_cpu,
            record.stolen,
            record.flags,
            record.waited_for_model,
        )

    @property
    def disturbed(self) -> int:
        """How many samples have a mark."""
        return sum(bool(marks) for marks in self.flags)

    @property
    def host_bound(self) -> bool:
        """Whether threads hardly waited for emulated nodes: the speed is then that of the host."""
        return self.waited is not None and self.waited < BOUND

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know."""
        lines = []
        if self.disturbed:
            counted = Counter(mark for marks in self.flags for mark in marks)
            named = ", ".join(f"{mark} {count}" for mark, count in counted.items())
            lines.append(
                f"{self.disturbed} of {len(self.flags)} samples were disturbed ({named}); all are kept"
            )
        if self.waited is not None and self.host_bound:
            lines.append(
                f"the threads waited for the emulated nodes only {self.waited:.1%} of the time: this is the "
                f"speed of the host, not of the model"
            )
        return tuple(lines)

    def to_record(self) -> NoiseRecord:
        """The disturbances as they are stored."""
        return NoiseRecord(
            preempted=self.preempted,
            migrated=self.migrated,
            off_cpu=self.off_cpu,
            stolen=self.stolen,
            flags=self.flags,
            disturbed=self.disturbed,
            waited_for_model=self.waited,
            warnings=self.warnings,
        )
