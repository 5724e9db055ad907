"""The records of a run: what is in `run.json`, `launches.jsonl` and `points.jsonl`, as types.

Everything that is stored is made of these structs and read back into them; `docs/records.md` is generated
from them. What is measured, by kind, is in `hmexp.store.results`; the machine in `hmexp.store.machine`.
"""

from __future__ import annotations

from typing import Literal

from hmexp.store.machine import Calibration, EmulationRecord, NodeRecord, Provenance
from hmexp.store.results import Proofs, Result, SetupTime
from hmexp.store.schema import SCHEMA, Remark, Stored, Tagged

Status = Literal["ok", "failed", "skipped"]


class LoopParameters(Tagged, frozen=True, kw_only=True, gc=False, tag="loop"):
    """A point of a sweep: one operation on one region.

    Parameters
    ----------
    pattern : str
        Nodes in order, such as `0,2,2`.
    granule_bytes : int
        Bytes in a row from one entry of the pattern [bytes].
    size_bytes : int
        Of the region [bytes].
    placer : str
        How the pages got there.
    operation : str
        What was measured.
    threads : int
        That did it.
    samples : int
        Asked for, of each launch, at least.
    sample_seconds : float
        Shortest time of a sample [s].
    emulate : str or None
        `NODE=PROFILE`, or None on real nodes.
    page_bytes : int or None
        Size of the pages that was asked for; None in records that do not say [bytes].
    launches : int
        Fresh processes, each with fresh pages.
    precision : float
        Half width of the interval, as a part of the median, at which a launch stops; 0: it does not.
    most_samples : int or None
        Cap on the samples of a launch.
    access : str or None
        Order of a bandwidth's accesses; None for latencies.
    cpu_node : str
        Node on whose CPUs the threads ran, or `near`.
    """

    pattern: str
    granule_bytes: int
    size_bytes: int
    placer: str
    operation: str
    threads: int
    samples: int = 0
    sample_seconds: float = 0.0
    emulate: str | None = None
    page_bytes: int | None = None
    launches: int = 1
    precision: float = 0.0
    most_samples: int | None = None
    access: str | None = None
    cpu_node: str = "near"


class CostParameters(Tagged, frozen=True, kw_only=True, gc=False, tag="cost"):
    """A point of the study of placers: what populating costs.

    Parameters
    ----------
    placer, pattern, granule_bytes, size_bytes
        As for a point of a sweep.
    pairs : int
        How often a placer and a plain mapping populate in turn.
    launch : int
        Which fresh process this is.
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int
    pairs: int
    launch: int


class MappingsParameters(Tagged, frozen=True, kw_only=True, gc=False, tag="mappings"):
    """A point of the study of placers: mappings of growing regions.

    Parameters
    ----------
    pattern, granule_bytes
        As for a point of a sweep.
    sizes_bytes : tuple of int
        Of the regions [bytes].
    """

    pattern: str
    granule_bytes: int
    sizes_bytes: tuple[int, ...]


class BehaviourParameters(Tagged, frozen=True, kw_only=True, gc=False, tag="behaviour"):
    """A point of the study of placers: whether a placement survives.

    Parameters
    ----------
    placer, pattern, granule_bytes, size_bytes
        As for a point of a sweep.
    behaviour : str
        What is done to it: `fork`, `drop`, `huge`.
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int
    behaviour: str


class GranuleParameters(Tagged, frozen=True, kw_only=True, gc=False, tag="granule"):
    """A point of the study of granularity.

    Parameters
    ----------
    placer, pattern, granule_bytes, size_bytes, operation, threads, samples, sample_seconds
        As for a point of a sweep.
    window_bytes : int
        Of the windows that are compared [bytes].
    huge : bool
        Whether the region was to be in pages of 2 MiB.
    emulated : bool
        Whether emulated nodes may be named.
    """

    placer: str
    pattern: str
    granule_bytes: int
    size_bytes: int
    window_bytes: int
    operation: str
    threads: int
    samples: int
    sample_seconds: float
    huge: bool = False
    emulated: bool = False


#: What a point is, by its kind. A new kind adds its struct here, and that of its result to `Result`.
Parameters = LoopParameters | CostParameters | MappingsParameters | BehaviourParameters | GranuleParameters


class Multiple(Stored, frozen=True, kw_only=True, gc=False):
    """A result as a multiple of the all-DRAM point's.

    Parameters
    ----------
    median, ci_low, ci_high : float
        Of the medians, with the 95 % interval.
    """

    median: float
    ci_low: float
    ci_high: float


class Model(Stored, frozen=True, kw_only=True, gc=False):
    """What emulated nodes must show.

    Parameters
    ----------
    value : float
        In the unit of the result.
    """

    value: float


class SettingRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A setting of the machine that was looked at, and perhaps set.

    Parameters
    ----------
    before, used : str or None
        What it was, and what it was while measuring.
    note : str or None
        Why it was not set.
    """

    before: str | None = None
    used: str | None = None
    note: str | None = None


class MachineState(Stored, frozen=True, kw_only=True, gc=False):
    """The machine when a launch began.

    Parameters
    ----------
    load_average : tuple of float
        Over 1, 5 and 15 minutes.
    cpus : tuple of int
        Given to the threads.
    """

    load_average: tuple[float, ...] = ()
    cpus: tuple[int, ...] = ()


class LaunchPart(Stored, frozen=True, kw_only=True, gc=False):
    """What each launch of a point has of its own, beside its samples.

    Parameters
    ----------
    launch : int
        Its number.
    purpose : str
        Why it was made: `planned`, `repeat`, `unstable` (a retry) or `budget` (there was time left).
    status, reason, error, started, elapsed_seconds, machine, setup
        As of the point.
    proof : Proofs or None
        Its own, without strips that equal the point's.
    """

    launch: int = 0
    purpose: str = "planned"
    status: Status = "ok"
    reason: str | None = None
    error: str | None = None
    started: str = ""
    elapsed_seconds: float = 0.0
    machine: MachineState | None = None
    setup: SetupTime | None = None
    proof: Proofs | None = None


class MeasuredRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What records of launches and of points have in common.

    Parameters
    ----------
    schema : int
        Of the record.
    point_id : str
        Hash of the parameters: what resuming goes by.
    status : str
        `ok`; `failed`; `skipped` (the placer is not available, or cannot do this).
    reason : str or None
        Why it is not `ok`, for people.
    error : str or None
        Kind of the error: `PlacementError`, `Timeout`, `Killed`, `Crashed` and so on.
    traceback : str or None
        Of an error that nobody foresaw.
    last_words : str or None
        What a killed or crashed worker wrote last.
    parameters : Parameters
        What the point is, by its kind.
    result : Result or None
        What was measured, by its kind; None unless `ok`.
    setup : SetupTime or None
        What making the region took; of several launches, the medians.
    settings : dict of str to SettingRecord
        Settings of the machine that were looked at, and set for the point.
    proof : Proofs or None
        Where every page was: of the first launch before, of the last one after.
    modelled_pages : dict of int to int or None
        Pages of each node of the pattern, emulated ones by their own number [pages].
    dram_share : float or None
        Share of the pages on nodes that count as DRAM.
    model : Model or None
        What the emulated nodes must show; None on real nodes, and where the host was slower than they are.
    emulated : bool
        Whether a speed in it is a software model's.
    profile : str or None
        Name of the emulation profile.
    timing_valid : bool
        False where the CPU itself is emulated in software: times mean nothing.
    timing_note : str or None
        Why.
    started : str
        UTC, ISO 8601.
    elapsed_seconds : float
        Of the worker [s].
    machine : MachineState or None
        The machine when it began.
    """

    schema: int = SCHEMA
    point_id: str
    status: Status
    reason: str | None = None
    error: str | None = None
    traceback: str | None = None
    last_words: str | None = None
    parameters: Parameters
    result: Result | None = None
    setup: SetupTime | None = None
    settings: dict[str, SettingRecord] = {}
    proof: Proofs | None = None
    modelled_pages: dict[int, int] | None = None
    dram_share: float | None = None
    model: Model | None = None
    emulated: bool = False
    profile: str | None = None
    timing_valid: bool = True
    timing_note: str | None = None
    started: str = ""
    elapsed_seconds: float = 0.0
    machine: MachineState | None = None

    @property
    def kind(self) -> str:
        """The kind of the point, such as `loop`."""
        return str(self.parameters.__struct_config__.tag)


class LaunchRecord(MeasuredRecord, frozen=True, kw_only=True, gc=False):
    """A line of `launches.jsonl`: one fresh process.

    Parameters
    ----------
    launch : int
        Its number within the point.
    purpose : str
        As for `LaunchPart`.
    """

    launch: int = 0
    purpose: str = "planned"


class PointRecord(MeasuredRecord, frozen=True, kw_only=True, gc=False):
    """A line of `points.jsonl`: a point, made of its launches.

    Parameters
    ----------
    added : bool
        Whether it was not asked for: an all-DRAM point, for others to be compared with.
    baseline_id : str or None
        Id of the all-DRAM point that it is compared with.
    of_dram : Multiple or None
        The result as a multiple of that point's.
    launches : tuple of LaunchPart
        What each launch has of its own; empty in records of schema 1 and of studies.
    """

    added: bool = False
    baseline_id: str | None = None
    of_dram: Multiple | None = None
    launches: tuple[LaunchPart, ...] = ()


class BudgetRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What a budget of time left undone.

    Parameters
    ----------
    asked : str
        Time that the last try had.
    not_measured, fewer_launches : tuple of str
        Ids of points without a launch, and with fewer launches than asked for.
    """

    asked: str
    not_measured: tuple[str, ...] = ()
    fewer_launches: tuple[str, ...] = ()


class RunRecord(Stored, frozen=True, kw_only=True, gc=False):
    """`run.json`: what a run is, and what became of it.

    Parameters
    ----------
    schema : int
        Of the record.
    name : str
        Of the run and its folder.
    plan : str
        Hash of all its points and of the profile: what an unfinished run is found by.
    study : str or None
        Name of the study; None for a sweep.
    title, headline : str
        Of the report, and whether the slow memory is real.
    notes : tuple of str
        What the reader should know before the first number.
    parameters : dict
        As they were given.
    points : int or None
        In the plan.
    added : tuple of str
        Ids of points that were not asked for: all-DRAM ones, to compare with.
    counts : dict of str to int
        Points by status, after the last try.
    budget : BudgetRecord or None
        What a budget of time left undone.
    started : str
        UTC, ISO 8601.
    finished : str or None
        None while points are missing or failed.
    reported : bool or None
        False while the report is being written; a run that was killed there is resumed.
    dram_nodes, slow_nodes : tuple of int
        Nodes of the patterns that count as DRAM, and as slow.
    nodes : tuple of NodeRecord
        The machine's real nodes.
    emulation : EmulationRecord or None
        The emulated nodes; None on real nodes.
    calibration : tuple of Calibration
        What was measured of the host, to scale the emulation.
    provenance : Provenance or None
        The state of the machine.
    load_average_after : tuple of float or None
        When the last point was stored.
    timing_valid, timing_note
        As in a point.
    pattern : str or None
        Of a study: its pattern.
    one_node : bool or None
        Of a study: whether the machine has one node with memory.
    dram_node : int or None
        Of a study: its DRAM node.
    """

    schema: int = SCHEMA
    name: str
    plan: str
    study: str | None = None
    title: str = ""
    headline: str = ""
    notes: tuple[str, ...] = ()
    parameters: dict[str, Remark] = {}
    points: int | None = None
    added: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    budget: BudgetRecord | None = None
    started: str = ""
    finished: str | None = None
    reported: bool | None = None
    dram_nodes: tuple[int, ...] = ()
    slow_nodes: tuple[int, ...] = ()
    nodes: tuple[NodeRecord, ...] = ()
    emulation: EmulationRecord | None = None
    calibration: tuple[Calibration, ...] = ()
    provenance: Provenance | None = None
    load_average_after: tuple[float, ...] | None = None
    timing_valid: bool = True
    timing_note: str | None = None
    pattern: str | None = None
    one_node: bool | None = None
    dram_node: int | None = None
