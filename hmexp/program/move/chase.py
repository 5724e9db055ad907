"""One process that is followed: look, hold against what was asked, choose, note, ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hmexp.errors import ProgramError
from hmexp.program.pages.choice import ChoiceOptions, MoveChoice, choose, members_of
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.ledger import UNKNOWN, Ledger
from hmexp.program.pages.lookout import Lookout
from hmexp.program.pages.mover import Answers, Mover, MoveRequest
from hmexp.program.pages.outcomes import count_outcomes
from hmexp.program.pages.pace import MovePace
from hmexp.program.pages.splitter import Splitter
from hmexp.program.pages.undo import JournalWriter
from hmexp.program.pages.view import View
from hmexp.program.pages.wish import Nodes, Wish, find_sorted
from hmexp.store.following_records import FollowedProcess

#: How long to ask for pages before looking again: so long [s], or as many times as long as a look takes.
_ROUND_SECONDS: Final = 1.0
_ROUND_LOOKS: Final = 20
_EMPTY: Final = View(np.empty(0, np.uint64), np.empty(0, np.int16), np.empty(0, np.uint8))


@dataclass(frozen=True)
class ChaseStep:
    """What one look at a process led to.

    Parameters
    ----------
    present : int
        Pages that have a place [pages].
    wrong : int
        Pages that were not in it and can be moved [pages].
    shared : int
        Pages that were not in it, and that other processes map, too [pages].
    asked : int
        Pages that were asked for [pages].
    returned : int
        Pages that had come back from their place [pages].
    held_back : int
        Pages that were not asked for because their node had no room [pages].
    faults : int
        Minor faults of the process since the look before.
    refused : int
        Pages that were refused before, and not so often yet that they are given up [pages].
    fatal : int
        The errno by which the kernel refused to go on; 0 without.
    """

    present: int = 0
    wrong: int = 0
    shared: int = 0
    asked: int = 0
    returned: int = 0
    held_back: int = 0
    faults: int = 0
    refused: int = 0
    fatal: int = 0


class Chase:
    """Follows one process.

    Parameters
    ----------
    target : HeldProcess
        The process, locked.
    wish : Wish
        Where its pages belong.
    options : ChoiceOptions
        Which pages may be moved.
    mover : Mover
        Asks the kernel.
    pace : MovePace
        How fast.
    journal : JournalWriter or None
        Where origins are noted; None if nothing is to be undone.
    born_ns : int or None
        When none of its pages were there yet, if that is known [ns].
    """

    def __init__(
        self,
        target: HeldProcess,
        wish: Wish,
        options: ChoiceOptions,
        mover: Mover,
        pace: MovePace,
        *,
        journal: JournalWriter | None = None,
        born_ns: int | None = None,
    ) -> None:
        self.target = target
        self.ledger = Ledger()
        self.splitter = Splitter(target, pace)
        self.appeared_in_place = 0
        self.full: set[int] = set()
        self.view = _EMPTY
        self._wish = wish
        self._options = options
        self._mover = mover
        self._journal = journal
        self._born_ns = UNKNOWN if born_ns is None else born_ns
        self._first = True
        self._pending = True
        self._last: FollowedProcess | None = None
        self.lookout = Lookout(target)
        #: See `Looker`; it stays once nobody looks any more.
        self.sees_huge = self.lookout.sees_huge

    def close(self) -> None:
        """Let go of the process."""
        self.lookout.close()
        if self._journal is not None:
            self._journal.close()
        self.target.close()

    @property
    def is_due(self) -> bool:
        """Whether to look again: the process has had faults since the last look, or something was left."""
        return self._first or self._pending or self.target.minor_faults != self.view.faults

    def _forget(self) -> None:
        """The process executes another program; all of its pages have appeared since the last look."""
        self.ledger.forget()
        self.splitter.forget()
        self._born_ns = time.monotonic_ns() if self._first else max(self.view.started_ns, self._born_ns)
        if self._journal is not None:
            self._journal.write_image(self.target)

    def step(self, room: Callable[[], dict[int, int]], *, patient: bool = False) -> ChaseStep:
        """Look, and ask for what is not in its place.

        Parameters
        ----------
        room : callable
            Returns the pages that each node can take; what is asked for is taken off [pages].
        patient : bool
            Also ask for pages that were refused often.

        Raises
        ------
        ProcessLookupError
            If the process has ended.
        ProgramError
            If it may not be looked at any more.
        StoreError
            If the journal cannot be written: then nothing more is asked for.
        """
        before = self.view
        view, wanted, returned = self._fresh()
        choice = self._choose(view, wanted, patient=patient)
        if choice.split.size and self.splitter.split(choice.split):
            view, wanted, more = self._fresh()
            returned += more
            choice = self._choose(view, wanted, patient=patient)
        before_ns = self._first_touches(view, wanted, before)
        self._first = False
        kept = self._fitting(choice, room() if choice.request.pages.size else {})
        answers = self._ask(view, choice, kept, before_ns)
        asked = int(choice.request.weight[kept][answers.done_ns > 0].sum())
        self.full = answers.full | {
            int(node) for node in np.unique(np.delete(choice.request.nodes, kept)).tolist()
        }
        # What was asked for is looked at again: a status is no proof.
        self._pending = bool(choice.wrong)
        return ChaseStep(
            choice.present, choice.wrong, choice.shared, asked, returned,
            int(choice.request.weight.sum() - choice.request.weight[kept].sum()),
            max(0, view.faults - before.faults), choice.trying, answers.fatal,
        )  # fmt: skip

    def _choose(self, view: View, wanted: Nodes, *, patient: bool) -> MoveChoice:
        given_up = self.splitter.given_up
        return choose(view, wanted, self.ledger, self._options, patient=patient, given_up=given_up)

    def _fresh(self) -> tuple[View, Nodes, int]:
        programs = self.lookout.replaced
        view = self.lookout.look()
        if self.lookout.replaced != programs:
            self._forget()
        self.view = view
        wanted = self._wish.nodes(view.pages)
        return view, wanted, self.ledger.compare(view, wanted)

    def _first_touches(self, view: View, wanted: Nodes, before: View) -> npt.NDArray[np.int64]:
        """When each page was not there yet, or `UNKNOWN`; counts those that appeared in their place."""
        if self._first or not before.started_ns:
            return np.full(len(view.pages), self._born_ns, dtype=np.int64)
        new = ~find_sorted(before.pages, view.pages)[1]
        self.appeared_in_place += int((new & (view.node == wanted)).sum())
        return np.where(new, before.started_ns, UNKNOWN)

    def _fitting(self, choice: MoveChoice, room_pages: dict[int, int]) -> npt.NDArray[np.int64]:
        """Indices of the requests that fit into the room of their nodes."""
        request = choice.request
        fits = np.zeros(len(request.pages), dtype=np.bool_)
        for node in np.unique(request.nodes).tolist():
            mine = np.flatnonzero(request.nodes == node)
            until = np.cumsum(request.weight[mine])
            count = int(np.searchsorted(until, room_pages.get(node, 0), side="right"))
            fits[mine[:count]] = True
            room_pages[node] = room_pages.get(node, 0) - (int(until[count - 1]) if count else 0)
        return np.flatnonzero(fits)

    def _ask(
        self, view: View, choice: MoveChoice, kept: npt.NDArray[np.int64], before_ns: npt.NDArray[np.int64]
    ) -> Answers:
        request = choice.request
        chosen = MoveRequest(
            request.pages[kept], request.nodes[kept], request.weight[kept], request.refused[kept]
        )
        all_members = members_of(choice)
        self.ledger.enter(
            view.pages[all_members], view.node[all_members], before_ns[all_members], view.ended_ns
        )
        # Each page of a request has its answer.
        members = all_members[np.isin(np.repeat(np.arange(len(request.pages)), request.weight), kept)]
        if self._journal is not None:
            self._journal.note(view.pages[members], view.node[members])
        limit_seconds = max(_ROUND_SECONDS, _ROUND_LOOKS * (view.ended_ns - view.started_ns) / 1e9)
        answers = self._mover.move(self.target, chosen, limit_seconds)
        owner = np.repeat(np.arange(len(chosen.pages)), chosen.weight)
        answered = answers.done_ns[owner] > 0
        self.ledger.answered(
            view.pages[members][answered], answers.status[owner][answered], answers.done_ns[owner][answered]
        )
        return answers

    def retire(self, *, ended: bool) -> None:
        """Keep the count of the pages as they were last seen, and let go of the process and all else."""
        if self._last is None:
            self.finish_journal("ended" if ended else "refused")
            self._last = self._sum_up(ended=ended)
            self.view = _EMPTY
            self.ledger.forget()
            self.splitter.forget()
            self.close()

    def conclude(self) -> FollowedProcess:
        """Look once more, and count what became of every page; as last seen, if that is not possible."""
        if self._last is not None:
            return self._last
        try:
            self._fresh()
        except ProcessLookupError:
            self.retire(ended=True)
        except ProgramError:
            pass
        return self._last or self._sum_up(ended=False)

    def _sum_up(self, *, ended: bool) -> FollowedProcess:
        view = self.view
        unseen_seconds = (time.monotonic_ns() - view.ended_ns) / 1e9 if view.ended_ns else None
        return FollowedProcess(
            pid=self.target.pid,
            name=self.target.name,
            ended=ended,
            unseen_seconds=unseen_seconds,
            outcomes=count_outcomes(view, self._wish.nodes(view.pages), self.ledger, frozenset(self.full)),
            by_node=view.by_node(),
            replaced=self.lookout.replaced,
        )

    def finish_journal(self, why: str) -> None:
        """Note in the journal why it was stopped."""
        if self._journal is not None and self._last is None:
            self._journal.end(why, self.ledger.page_moves)
