"""The record of a program on hybrid memory: how it was started, where its pages were, how it ended."""

from __future__ import annotations

from typing import Literal

from hmexp.store.following_records import Following
from hmexp.store.machine import NodeRecord
from hmexp.store.parts import SettingRecord
from hmexp.store.provenance import Provenance
from hmexp.store.schema import Stored

#: Of `ProgramRun`; a new field alone does not change it.
PROGRAM_SCHEMA = 1
#: What a way promises of the pages: their order, their shares, or nothing.
Promise = Literal["exact", "ratio", "none"]


class RefusedWay(Stored, frozen=True, kw_only=True, gc=False):
    """A way that was not taken.

    Parameters
    ----------
    way : str
        Its name.
    reason : str
        Why not, for people.
    remedy : str or None
        What would make it possible, or another way.
    """

    way: str
    reason: str
    remedy: str | None = None


class PlacementSample(Stored, frozen=True, kw_only=True, gc=False):
    """Where the pages of a program and of its children were at one moment.

    The nodes count pages of all mappings. The verdict is on private anonymous memory, by virtual page number.

    Parameters
    ----------
    seconds : float
        Time since the program was started [s].
    processes : int
        Processes that were looked at.
    mappings : int
        Their mappings, of which the kernel allows each process `vm.max_map_count`.
    by_node : dict of int to int
        Pages on each node [pages].
    anonymous_by_node : dict of int to int
        Those of private anonymous memory, on which the verdict is [pages].
    in_place : int
        Pages on the node that the pattern gives them [pages].
    misplaced : int
        Pages on another node [pages].
    unmovable : int
        Misplaced pages that cannot be moved, such as shared ones [pages].
    absent : int
        Pages of private anonymous mappings that are not there yet [pages].
    outside : dict of str to int
        Anonymous pages that are not where the pattern has them, by what they are of, such as `stack` [pages].
    unseen : tuple of str
        What could not be seen, for people.
    cost_seconds : float
        How long looking took [s].
    """

    seconds: float
    processes: int = 1
    mappings: int = 0
    by_node: dict[int, int] = {}
    anonymous_by_node: dict[int, int] = {}
    in_place: int = 0
    misplaced: int = 0
    unmovable: int = 0
    absent: int = 0
    outside: dict[str, int] = {}
    unseen: tuple[str, ...] = ()
    cost_seconds: float = 0.0


class WorkDone(Stored, frozen=True, kw_only=True, gc=False):
    """What a process did.

    Parameters
    ----------
    user_seconds : float
        CPU time in the program [s].
    system_seconds : float
        CPU time in the kernel [s].
    minor_faults : int
        Page faults without reading from a device.
    """

    user_seconds: float
    system_seconds: float
    minor_faults: int


class ProgramUsage(WorkDone, frozen=True, kw_only=True, gc=False):
    """What a program used, with the children that it waited for (getrusage).

    Parameters
    ----------
    peak_bytes : int or None
        Largest resident size of one process; None if it was below that of hmexp, which Linux counts before
        exec, and nobody looked [bytes].
    major_faults : int
        Page faults with reading from a device.
    voluntary_switches : int
        How often it waited.
    involuntary_switches : int
        How often it was preempted.
    """

    peak_bytes: int | None
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int


class FallenBack(Stored, frozen=True, kw_only=True, gc=False):
    """Whether the kernel took other nodes than the policy names.

    Parameters
    ----------
    misplaced_pages : int or None
        Pages of the last placement that were not where the pattern has them; None if none was read [pages].
    outside_pages : int or None
        Of these, pages on nodes that the pattern does not have at all; None if none was read [pages].
    missed : dict of int to int
        By node, how many pages meant for it the whole machine took elsewhere meanwhile (`numa_foreign`)
        [pages].
    text : str or None
        What happened, for people; None if nothing did.
    """

    misplaced_pages: int | None = None
    outside_pages: int | None = None
    missed: dict[int, int] = {}
    text: str | None = None


class ProgramRun(Stored, frozen=True, kw_only=True, gc=False):
    """`program.json`: one program, started in one way.

    Parameters
    ----------
    schema : int
        Schema of the record.
    name : str
        Name of the folder of the record; empty if none is kept.
    command : tuple of str
        The program and its arguments.
    pattern : str or None
        Node of each granule in turn; None without a pattern.
    granule_bytes : int or None
        Bytes in a row from one entry of the pattern; None without a pattern [bytes].
    asked : str
        Way that was asked for, such as `auto`.
    way : str
        Way that was taken.
    why : str
        How the way places pages, and why it was taken, for people.
    promise : str
        `exact`: each page by its virtual page number; `ratio`: only shares; `none`.
    refused : tuple of RefusedWay
        Ways that were tried first, and why they were not taken.
    warnings : tuple of str
        What was said before the program was started.
    notes : tuple of str
        What was found out by its end.
    environment : dict of str to str
        What was added to the program's environment.
    pid : int
        Process of the program.
    started : str
        When it was started, in UTC and ISO 8601.
    ended : str or None
        When it had ended; None while it runs, and if hmexp did not live to see it.
    status : int or None
        Its exit status as a shell has it: 128 + n after signal n; None while it runs.
    signal : str or None
        Name of the signal that ended it.
    elapsed_seconds : float or None
        Time from its start to its end [s].
    usage : ProgramUsage or None
        CPU time, memory and faults, with its children; None while it runs.
    placements : tuple of PlacementSample
        Where its pages were, over time.
    unread : str or None
        Why no placement could be read; None if that was possible.
    following : Following or None
        What following came to; None if it was placed in another way.
    fallen_back : FallenBack or None
        Whether the kernel took other nodes; None for ways without a policy.
    left_running : tuple of int
        Processes of the program that ran on when it had ended.
    settings : dict of str to SettingRecord
        Settings of the machine that were read, and perhaps changed, by their names.
    counters_before : dict of str to int
        Counters of the whole machine before: `numa_hit.0` and so on by node, and those of migration.
    counters_after : dict of str to int
        The same afterwards.
    nodes : tuple of NodeRecord
        Nodes of the machine, before.
    provenance : Provenance or None
        State of the machine, before.
    """

    schema: int = PROGRAM_SCHEMA
    name: str = ""
    command: tuple[str, ...]
    pattern: str | None = None
    granule_bytes: int | None = None
    asked: str = "auto"
    way: str
    why: str = ""
    promise: Promise = "none"
    refused: tuple[RefusedWay, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    pid: int
    started: str
    ended: str | None = None
    status: int | None = None
    signal: str | None = None
    elapsed_seconds: float | None = None
    usage: ProgramUsage | None = None
    placements: tuple[PlacementSample, ...] = ()
    unread: str | None = None
    following: Following | None = None
    fallen_back: FallenBack | None = None
    left_running: tuple[int, ...] = ()
    settings: dict[str, SettingRecord] = {}
    counters_before: dict[str, int] = {}
    counters_after: dict[str, int] = {}
    nodes: tuple[NodeRecord, ...] = ()
    provenance: Provenance | None = None

    @property
    def last_placement(self) -> PlacementSample | None:
        """The last placement that was read; None if none was."""
        return self.placements[-1] if self.placements else None

    @property
    def shown_placement(self) -> PlacementSample | None:
        """The last placement of the program at work; None if none was read.

        A program that ends gives its memory back first: what has less than half of the most pages that it
        had is left out.
        """
        most = max((sum(each.anonymous_by_node.values()) for each in self.placements), default=0)
        full = [each for each in self.placements if 2 * sum(each.anonymous_by_node.values()) >= most]
        return full[-1] if full else None
