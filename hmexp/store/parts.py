"""Small parts of records."""

from __future__ import annotations

from typing import Literal

from hmexp.store.evidence import Proof
from hmexp.store.results import SetupRecord
from hmexp.store.schema import Stored

Status = Literal["ok", "failed", "skipped"]


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
    proof : Proof or None
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
    setup: SetupRecord | None = None
    proof: Proof | None = None


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
