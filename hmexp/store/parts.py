"""Small parts of records."""

from __future__ import annotations

from typing import Literal

from hmexp.store.evidence import Proof, SetupRecord
from hmexp.store.schema import Stored

Status = Literal["ok", "failed", "skipped"]
#: How the process of a launch begins.
Start = Literal["fork", "exec"]


class Multiple(Stored, frozen=True, kw_only=True, gc=False):
    """A result as a multiple of the all-DRAM point's.

    Parameters
    ----------
    median : float
        Ratio of the two medians.
    ci_low : float
        Lower end of its 95 % interval.
    ci_high : float
        Upper end of its 95 % interval.
    rounds : int or None
        Over how many rounds, in each of which both were launched, the interval is; None where they were not
        launched in turns: then it is the widest one that those of both allow.
    """

    median: float
    ci_low: float
    ci_high: float
    rounds: int | None = None


class Model(Stored, frozen=True, kw_only=True, gc=False):
    """What emulated nodes must show.

    Parameters
    ----------
    value : float
        Modelled value, in the unit of the result [unit].
    """

    value: float


class SettingRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A setting of the machine that was looked at, and perhaps set.

    Parameters
    ----------
    before : str or None
        Value before the point; None if it could not be read.
    used : str or None
        Value while measuring; None if it could not be read.
    note : str or None
        Why the setting was not changed.
    """

    before: str | None = None
    used: str | None = None
    note: str | None = None


class MachineState(Stored, frozen=True, kw_only=True, gc=False):
    """The machine when a launch began.

    Parameters
    ----------
    load_average : tuple of float
        Load over 1, 5 and 15 minutes.
    cpus : tuple of int
        CPUs that the threads were pinned to.
    throttled : int or None
        How often the kernel stopped the process's cgroup during the launch, because it had used up its CPU
        time; None without such a limit, and in older records.
    """

    load_average: tuple[float, ...] = ()
    cpus: tuple[int, ...] = ()
    throttled: int | None = None


class LaunchPart(Stored, frozen=True, kw_only=True, gc=False):
    """What each launch of a point has of its own, beside its samples.

    Parameters
    ----------
    launch : int
        Number of the launch within its point, from 0.
    purpose : str
        Why the launch was made: `planned`, `repeat`, `unstable` (a retry) or `budget` (there was
        time left).
    status : str
        Status of the launch.
    reason : str or None
        Why the status is not `ok`, for people.
    error : str or None
        Kind of the error.
    started : str
        When the launch began, in UTC and ISO 8601.
    elapsed_seconds : float
        Duration of the worker [s].
    machine : MachineState or None
        The machine when the launch began.
    setup : SetupRecord or None
        What making its region took.
    proof : Proof or None
        Where every page of its region was, without strips that equal the point's.
    start : str
        How its process began: `exec` (Python started anew) or `fork` (of a process that had imported
        everything).
    """

    launch: int = 0
    purpose: str = "planned"
    start: Start = "exec"
    status: Status = "ok"
    reason: str | None = None
    error: str | None = None
    started: str = ""
    elapsed_seconds: float = 0.0
    machine: MachineState | None = None
    setup: SetupRecord | None = None
    proof: Proof | None = None


class BudgetRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What a budget of time left undone.

    Parameters
    ----------
    asked : str
        Time that the last try was given, as it was written, such as `30min`.
    not_measured : tuple of str
        Ids of points without a launch.
    fewer_launches : tuple of str
        Ids of points with fewer launches than the plan has.
    """

    asked: str
    not_measured: tuple[str, ...] = ()
    fewer_launches: tuple[str, ...] = ()


class EffectsRecord(Stored, frozen=True, kw_only=True, gc=False):
    """How the launches of a run depend on one another, for which its intervals were widened.

    Parameters
    ----------
    autocorrelation : float
        Of successive launches of a point, at lag one; 0 if they are independent.
    two_states : bool
        Whether launches are at one of two levels, rather than around one.
    points : int
        Points of several launches that this was found from.
    of_dram_autocorrelation : float
        Of successive multiples of all DRAM; what disturbs whole rounds is not in them.
    of_dram_two_states : bool
        Whether multiples of all DRAM are at one of two levels.
    """

    autocorrelation: float = 0.0
    two_states: bool = False
    points: int = 0
    of_dram_autocorrelation: float = 0.0
    of_dram_two_states: bool = False


class SearchRecord(Stored, frozen=True, kw_only=True, gc=False):
    """What a search for the cheapest ratio was for, and how it ended.

    Parameters
    ----------
    needs : tuple of str
        What a ratio has to keep, such as `read>=90%`.
    patterns : tuple of str
        The ratios that there were to choose from, as patterns, from the least DRAM up.
    looked_at : tuple of str
        Those of them that were measured.
    launches : int
        Launches that were made of points [launches].
    grid_launches : int
        Launches that all points of the grid would have taken [launches].
    open : str or None
        Why the search has not come to its end: time or failures; None if it has.
    noise : tuple of str
        Patterns that stayed inconclusive with as many launches as a point may have.
    """

    needs: tuple[str, ...]
    patterns: tuple[str, ...]
    looked_at: tuple[str, ...] = ()
    launches: int = 0
    grid_launches: int = 0
    open: str | None = None
    noise: tuple[str, ...] = ()
