"""The records of a run: what is in `run.json`, `launches.jsonl` and `points.jsonl`, as types.

Everything that is stored is made of these structs and read back into them; `docs/records.md` is generated
from them. The parameters of a point are in `hmexp.store.parameters`, what is measured in
`hmexp.store.results`, the machine in `hmexp.store.machine`.
"""

from __future__ import annotations

from hmexp.store.evidence import Proof, SetupRecord
from hmexp.store.machine import Calibration, ClaimsRecord, EmulationRecord, NodeRecord
from hmexp.store.parameters import PointParameters
from hmexp.store.parts import (
    BudgetRecord,
    EffectsRecord,
    LaunchPart,
    MachineState,
    Model,
    Multiple,
    SearchRecord,
    SettingRecord,
    Start,
    Status,
)
from hmexp.store.provenance import Provenance
from hmexp.store.results import Result
from hmexp.store.schema import SCHEMA, Remark, Stored
from hmexp.store.shapes import ShapeRecord


class MeasuredRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What records of launches and of points have in common.

    Parameters
    ----------
    schema : int
        Schema of the record.
    point_id : str
        Hash of the parameters: what resuming goes by.
    status : str
        `ok`; `failed`; `skipped`: the placer is not available on this machine, or cannot do this.
    reason : str or None
        Why the status is not `ok`, for people.
    error : str or None
        Kind of the error: `PlacementError`, `Timeout`, `Killed`, `Crashed` and so on.
    traceback : str or None
        Python's traceback, of an error that nobody foresaw.
    last_words : str or None
        What a killed or crashed worker wrote last.
    parameters : PointParameters
        What the point is, by its kind.
    result : Result or None
        What was measured, by the kind of the point; None unless the status is `ok`.
    setup : SetupRecord or None
        What making the region took; for a point of several launches, the medians.
    settings : dict of str to SettingRecord
        Settings of the machine that were read, and perhaps changed, for the point, by their names.
    proof : Proof or None
        Where every page was. A point has the first launch's `before` and the last one's `after`.
    modelled_pages : dict of int to int or None
        Pages of each node of the pattern; emulated nodes have their own numbers [pages].
    dram_share : float or None
        Share of the pages on nodes that count as DRAM.
    model : Model or None
        What the emulated nodes must show; None on real nodes, and where the host was slower than
        they are.
    emulated : bool
        Whether a software model slowed the accesses down.
    profile : str or None
        Name of the emulation profile; None on real nodes.
    timing_valid : bool
        False where the CPU itself is emulated in software: times mean nothing.
    timing_note : str or None
        Why times mean nothing; None where they count.
    started : str
        When the first launch began, in UTC and ISO 8601.
    elapsed_seconds : float
        Duration of the worker; for a point, of all its launches together [s].
    machine : MachineState or None
        The machine when the first launch began.
    """

    schema: int = SCHEMA
    point_id: str
    status: Status
    reason: str | None = None
    error: str | None = None
    traceback: str | None = None
    last_words: str | None = None
    parameters: PointParameters
    result: Result | None = None
    setup: SetupRecord | None = None
    settings: dict[str, SettingRecord] = {}
    proof: Proof | None = None
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
        Number of the launch within its point, from 0.
    purpose : str
        Why the launch was made: `planned`, `repeat`, `unstable` (a retry) or `budget` (there was
        time left).
    start : str
        How the process began: `exec` (Python started anew) or `fork` (of a process that had imported
        everything).
    """

    launch: int = 0
    purpose: str = "planned"
    start: Start = "exec"


class PointRecord(MeasuredRecord, frozen=True, kw_only=True, gc=False):
    """A line of `points.jsonl`: a point, made of its launches.

    Parameters
    ----------
    added : bool
        Whether hmexp added the point: an all-DRAM point, for others to be compared with.
    baseline_id : str or None
        Id of the all-DRAM point that the point is compared with; None if there is none.
    of_dram : Multiple or None
        The result as a multiple of that point's; None without one.
    launches : tuple of LaunchPart
        What each launch has of its own; empty in records of schema 1 and of studies.
    """

    added: bool = False
    baseline_id: str | None = None
    of_dram: Multiple | None = None
    launches: tuple[LaunchPart, ...] = ()


class RunRecord(Stored, frozen=True, kw_only=True, gc=False):
    """`run.json`: what a run is, and what became of it.

    Parameters
    ----------
    schema : int
        Schema of `run.json`.
    name : str
        Name of the run and of its folder.
    plan : str
        Hash of all points of the run and of the profile: hmexp finds an unfinished run by it.
    study : str or None
        Name of the study; None for a sweep.
    title : str
        Title of the report.
    headline : str
        First sentence of the report: whether the slow memory is real.
    notes : tuple of str
        What the reader should know before the first number.
    parameters : dict of str to remark
        Parameters of the sweep or study as they were given.
    points : int or None
        Number of points in the plan.
    added : tuple of str
        Ids of the points that hmexp added: all-DRAM ones, to compare with.
    counts : dict of str to int
        Number of points by status, after the last try.
    budget : BudgetRecord or None
        What a budget of time left undone; None without a budget.
    search : SearchRecord or None
        What `hmexp find` looked for, and whether that was decided; None for a sweep of a whole grid.
    effects : EffectsRecord or None
        How launches depend on one another; None if they look independent.
    tags : tuple of str
        Words that a person has given the run, see `hmexp runs tag`.
    started : str
        When the run began, in UTC and ISO 8601.
    finished : str or None
        When the run was finished; None while points are missing or failed.
    reported : bool or None
        False while the report is being written: a run that was killed there is resumed.
    dram_nodes : tuple of int
        Nodes of the patterns that count as DRAM.
    slow_nodes : tuple of int
        Nodes of the patterns that count as slow memory.
    nodes : tuple of NodeRecord
        Real nodes of the machine.
    emulation : EmulationRecord or None
        The emulated nodes; None on real nodes.
    calibration : tuple of Calibration
        What was measured of the host, to scale the emulation.
    provenance : Provenance or None
        State of the machine before the run.
    load_average_after : tuple of float or None
        Load over 1, 5 and 15 minutes when the last point was stored.
    timing_valid : bool
        False where the CPU itself is emulated in software: times mean nothing.
    timing_note : str or None
        Why times mean nothing; None where they count.
    pattern : str or None
        Pattern of a study; None for a sweep.
    one_node : bool or None
        Whether a study found only one node with memory; None for a sweep.
    dram_node : int or None
        DRAM node of a study; None for a sweep.
    claims : ClaimsRecord or None
        What firmware and kernel claimed of the nodes' speed when a matrix was measured.
    shapes : tuple of ShapeRecord or None
        The shapes of the run's loops, and what each shape gave; all others are plain. None where it was not
        asked, and in older records.
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
    search: SearchRecord | None = None
    effects: EffectsRecord | None = None
    tags: tuple[str, ...] = ()
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
    claims: ClaimsRecord | None = None
    shapes: tuple[ShapeRecord, ...] | None = None
