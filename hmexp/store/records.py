"""The records of a run: what is in `run.json`, `launches.jsonl` and `points.jsonl`, as types.

Everything that is stored is made of these structs and read back into them; `docs/records.md` is generated
from them. The parameters of a point are in `hmexp.store.parameters`, what is measured in
`hmexp.store.results`, the machine in `hmexp.store.machine`.
"""

from __future__ import annotations

from hmexp.store.evidence import Proof
from hmexp.store.machine import Calibration, EmulationRecord, NodeRecord, Provenance
from hmexp.store.parameters import PointParameters
from hmexp.store.parts import BudgetRecord, LaunchPart, MachineState, Model, Multiple, SettingRecord, Status
from hmexp.store.results import Result, SetupRecord
from hmexp.store.schema import SCHEMA, Remark, Stored


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
    parameters : PointParameters
        What the point is, by its kind.
    result : Result or None
        What was measured, by its kind; None unless `ok`.
    setup : SetupRecord or None
        What making the region took; of several launches, the medians.
    settings : dict of str to SettingRecord
        Settings of the machine that were looked at, and set for the point.
    proof : Proof or None
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
