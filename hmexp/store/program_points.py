"""A program as a point: what is asked of a launch, and what it has measured."""

from __future__ import annotations

from typing import Literal

from hmexp.store.program_records import PlacementSample, ProgramRun
from hmexp.store.schema import Stored, Tagged
from hmexp.store.workload_records import WorkloadRecord


class ProgramPoint(Tagged, frozen=True, kw_only=True, gc=False, tag="program"):
    """A program, run in one way with one pattern.

    Parameters
    ----------
    workload : str
        Name of the workload.
    pattern : str or None
        Nodes in order, such as `0,2,2`; None where the way takes none.
    granule_bytes : int
        Bytes in a row from one entry of the pattern [bytes].
    way : str
        How its memory gets there, such as `follow` or `node`.
    settle_seconds : float
        How long the pages may take to be where the way promises, before the window [s].
    folder : str
        Folder of the workload file, where a command names it as `{here}`; else empty.
    definition : WorkloadRecord
        How it is started, loaded, measured and stopped.
    """

    workload: str
    pattern: str | None = None
    granule_bytes: int
    way: str
    settle_seconds: float = 120.0
    folder: str = ""
    definition: WorkloadRecord


class MetricValues(Stored, frozen=True, kw_only=True, gc=False):
    """What was read off the launches for one metric.

    Parameters
    ----------
    name : str
        Name of the metric.
    unit : str
        Unit of the values in this table.
    better : str
        Whether `higher` or `lower` is better.
    samples : tuple of float
        Its value in each launch, in their order [unit].
    median : float
        Median of the launches [unit].
    ci_low : float or None
        Lower end of the 95 % interval over launches; None of one launch, and where a value is not above 0
        [unit].
    ci_high : float or None
        Upper end of that interval [unit].
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    samples: tuple[float, ...]
    median: float
    ci_low: float | None = None
    ci_high: float | None = None


class ClientRecord(Stored, frozen=True, kw_only=True, gc=False):
    """The client that measured.

    Parameters
    ----------
    elapsed_seconds : float
        How long it ran [s].
    cpu_seconds : float
        What it used of the CPUs [s].
    threads : int
        Threads of it that work, by the workload.
    busy : float
        Part of the time of its threads that they used a CPU.
    """

    elapsed_seconds: float
    cpu_seconds: float
    threads: int
    busy: float


class ProgramLaunch(Stored, frozen=True, kw_only=True, gc=False):
    """What one launch of a program has of its own.

    Parameters
    ----------
    phases : dict of str to float
        How long each step took: `prepare`, `start`, `ready`, `load`, `settle`, `measure`, `stop` [s].
    before : PlacementSample or None
        Where the pages were before the window; None if the window is the program's whole life.
    after : PlacementSample or None
        Where the pages were after the window; None if nobody could look.
    client : ClientRecord or None
        The client; None if there was none.
    unread : str or None
        What is missing of the placement: why it was looked at within the window, or what was gone; None if
        nothing is.
    run : ProgramRun
        How the program was started and how it ended.
    """

    phases: dict[str, float]
    before: PlacementSample | None = None
    after: PlacementSample | None = None
    client: ClientRecord | None = None
    unread: str | None = None
    run: ProgramRun


class ProgramResult(Tagged, frozen=True, kw_only=True, gc=False, tag="program"):
    """What was measured of a program.

    Parameters
    ----------
    metrics : tuple of MetricValues
        The metrics of the workload; the first decides.
    launches : tuple of ProgramLaunch
        The launches, in their order.
    """

    metrics: tuple[MetricValues, ...]
    launches: tuple[ProgramLaunch, ...]
