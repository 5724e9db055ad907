"""What a follower decides: which pages, in what batches, what the answers mean, when to give up."""

from __future__ import annotations

import errno
import threading

import numpy as np
import pytest

from hmexp.errors import ParameterError
from hmexp.native.foreign import HUGE, OTHER, PRESENT, SHARED, ZERO
from hmexp.native.mover import UNWRITTEN
from hmexp.pattern import Pattern
from hmexp.program.move.chase import ChaseStep
from hmexp.program.move.follow_options import FollowOptions
from hmexp.program.move.oscillation import OscillationWatch, Round
from hmexp.program.move.patience import Patience
from hmexp.program.pages.choice import ChoiceOptions, choose, members_of
from hmexp.program.pages.ledger import MOST_REFUSALS, UNKNOWN, Ledger
from hmexp.program.pages.mover import MoveRequest
from hmexp.program.pages.outcomes import count_outcomes
from hmexp.program.pages.pace import MovePace, PaceOptions
from hmexp.program.pages.spans import Spans
from hmexp.program.pages.view import HUGE_PAGES, View
from hmexp.program.pages.wish import ANYWHERE, PatternWish


def view(pages: list[int], nodes: list[int], flags: list[int] | None = None) -> View:
    known = flags or [PRESENT] * len(pages)
    return View(np.array(pages, np.uint64), np.array(nodes, np.int16), np.array(known, np.uint8))


def ask(ledger: Ledger, seen: View, status: list[int], before_ns: int = UNKNOWN) -> None:
    ledger.enter(seen.pages, seen.node, np.full(len(seen.pages), before_ns), 2_000)
    ledger.answered(seen.pages, np.array(status, np.int32), 5_000)


def test_a_page_belongs_by_its_number_and_not_by_its_place_in_a_mapping() -> None:
    wish = PatternWish(Pattern((0, 2, 2)))
    assert wish.nodes(np.arange(7, 13, dtype=np.uint64)).tolist() == [2, 2, 0, 2, 2, 0]
    coarse = PatternWish(Pattern((0, 1), 2 << 20))
    assert coarse.nodes(np.array([511, 512, 1024], np.uint64)).tolist() == [0, 1, 0]


def test_only_pages_that_can_be_moved_are_asked_for() -> None:
    flags = [PRESENT, PRESENT, PRESENT | SHARED, PRESENT | ZERO | SHARED, PRESENT | OTHER | SHARED, PRESENT]
    seen = view([1, 2, 3, 4, 5, 6], [0, 1, 0, -1, 0, -2], flags)
    wanted = np.ones(6, np.int32)
    found = choose(seen, wanted, Ledger(), ChoiceOptions(), patient=False)
    assert found.request.pages.tolist() == [1] and found.wrong == 1 and found.shared == 1
    everybody = choose(seen, wanted, Ledger(), ChoiceOptions(everybody=True), patient=False)
    assert everybody.request.pages.tolist() == [1, 3]
    nothing = choose(seen, np.full(6, ANYWHERE, np.int32), Ledger(), ChoiceOptions(), patient=False)
    assert nothing.request.pages.size == 0 and nothing.present == 0


def test_a_huge_page_moves_whole_or_is_split_and_never_in_parts() -> None:
    # A page, a huge page, a page right behind it, and a part of what was a huge page.
    huge = list(range(HUGE_PAGES, 2 * HUGE_PAGES))
    part = list(range(4 * HUGE_PAGES, 4 * HUGE_PAGES + 8))
    pages = [3, *huge, 2 * HUGE_PAGES, *part]
    flags = [PRESENT, *[PRESENT | HUGE] * HUGE_PAGES, PRESENT, *[PRESENT | HUGE] * 8]
    seen = view(pages, [0] * len(pages), flags)
    one = choose(seen, np.ones(len(pages), np.int32), Ledger(), ChoiceOptions(), patient=False)
    assert one.request.pages.tolist() == [3, HUGE_PAGES, 2 * HUGE_PAGES]
    assert one.request.weight.tolist() == [1, HUGE_PAGES, 1] and one.split.tolist() == [4 * HUGE_PAGES]
    assert members_of(one).tolist() == list(range(HUGE_PAGES + 2))
    # Behind a huge page that is in its place, a page that is not does not drag it along.
    placed = view(pages, [0, *[1] * HUGE_PAGES, 0, *[1] * 8], flags)
    assert choose(placed, np.ones(len(pages), np.int32), Ledger(), ChoiceOptions(), patient=False).wrong == 2
    mixed = PatternWish(Pattern((0, 1))).nodes(seen.pages)
    assert choose(seen, mixed, Ledger(), ChoiceOptions(), patient=False).split.tolist() == [
        HUGE_PAGES, 4 * HUGE_PAGES,
    ]  # fmt: skip
    left = choose(seen, mixed, Ledger(), ChoiceOptions(huge="leave"), patient=False)
    assert left.split.size == 0 and left.request.pages.tolist() == [3] and left.wrong == 1
    some = choose(seen, mixed, Ledger(), ChoiceOptions(), patient=False, given_up=frozenset({1}))
    assert some.split.tolist() == [4 * HUGE_PAGES] and some.wrong == 1 + 4
    outcomes = count_outcomes(seen, mixed, Ledger(), frozenset())
    assert outcomes.huge == HUGE_PAGES // 2 + 4 and outcomes.pages == len(pages)
    # One that could be moved whole is not in the way of itself.
    assert count_outcomes(seen, np.ones(len(pages), np.int32), Ledger(), frozenset()).huge == 8


def test_batches_are_of_one_node_and_refused_pages_come_last() -> None:
    pages = np.arange(6, dtype=np.uint64)
    refused = np.array([0, 1, 0, 0, 9, 0])
    request = MoveRequest(pages, np.array([1, 1, 0, 1, 0, 0], np.int32), np.ones(6, np.int64), refused)
    assert [group.tolist() for group in request.groups()] == [[2, 5], [0, 3], [1], [4]]


def test_what_the_kernel_claims_is_not_believed() -> None:
    ledger = Ledger()
    asked = view([10, 11, 12, 13, 14], [0, 0, 0, 0, 0])
    ask(ledger, asked, [2, 2, UNWRITTEN, -errno.EACCES, 2], before_ns=1_000)
    # 10 is there; 11 is claimed and is not; 12 has no answer and was moved; 13 was refused; 14 is gone.
    after = view([10, 11, 12, 13], [2, 0, 2, 0])
    wanted = np.full(4, 2, np.int32)
    assert ledger.compare(after, wanted) == 1, "11 may have been moved away again"
    assert (ledger.page_moves, ledger.untrue) == (2, 1)
    assert ledger.refusals(after.pages).tolist() == [0, 0, 0, 0], "13 was another's at that moment"
    found = count_outcomes(after, wanted, ledger, frozenset())
    assert (found.moved, found.waiting, found.shared, found.absent) == (2, 1, 1, 1) and found.pages == 5
    lag = ledger.lag_at_most.to_record(), ledger.lag_at_least.to_record()
    assert [each.count for each in lag] == [2, 2]
    assert [each.longest_seconds for each in lag] == [4e-6, 3e-6]
    # Both come back: the second time it is no lag, and 10 is known to have returned.
    assert ledger.compare(view([10, 12], [0, 2]), wanted[:2]) == 1 and ledger.returned == 1
    ask(ledger, view([14], [0]), [2], before_ns=UNKNOWN)
    ledger.compare(view([14], [2]), wanted[:1])
    assert ledger.lag_at_most.to_record().count == 2, "when it appeared is not known"


def test_a_page_that_is_refused_alone_again_and_again_is_pinned() -> None:
    ledger, seen, wanted = Ledger(), view([5], [0]), np.full(1, 2, np.int32)
    for _ in range(MOST_REFUSALS):
        assert choose(seen, wanted, ledger, ChoiceOptions(), patient=False).request.pages.size == 1
        ask(ledger, seen, [-errno.EBUSY])
        ledger.compare(seen, wanted)
    assert choose(seen, wanted, ledger, ChoiceOptions(), patient=False).request.pages.size == 0
    assert choose(seen, wanted, ledger, ChoiceOptions(), patient=True).request.pages.size == 1
    assert count_outcomes(seen, wanted, ledger, frozenset()).pinned == 1


def rounds(watch: OscillationWatch, found: Round, settings: dict[str, str], times: int = 6) -> str | None:
    reasons = [watch.judge(found, settings) for _ in range(times)]
    assert reasons[:3] == [None, None, None]
    return reasons[-1]


def test_who_moves_pages_away_again() -> None:
    grown = {"numa_pages_migrated": 0}

    def counters() -> dict[str, int]:
        grown["numa_pages_migrated"] += 500
        return dict(grown)

    back = Round(present=1000, asked=500, returned=500, faults=10)
    reason = rounds(OscillationWatch(counters), back, {"kernel.numa_balancing": "1"})
    assert reason is not None and "automatic NUMA balancing" in reason
    reason = rounds(OscillationWatch(dict), back, {"kernel.numa_balancing": "0"})
    assert reason is not None and "another program moves its pages" in reason
    # The program frees pages and touches them again: that is what a follower is for.
    churn = Round(present=1000, asked=500, returned=500, faults=600)
    assert rounds(OscillationWatch(dict), churn, {"kernel.numa_balancing": "0"}) is None
    few = Round(present=1000, asked=5, returned=5, faults=0)
    assert rounds(OscillationWatch(dict), few, {}) is None


def test_patience() -> None:
    options = FollowOptions(until_still=True, settle_seconds=0.0, shared_patience_seconds=0.0)
    patience = Patience(options)
    assert patience.judge([ChaseStep(present=1000, wrong=500, asked=500)]) is None
    assert patience.judge([ChaseStep(present=1000)]) is None, "a calm is believed only after another look"
    assert patience.judge([ChaseStep(present=1000, wrong=1, refused=1)]) is None, "why is not known yet"
    assert patience.judge([ChaseStep(present=1000, wrong=1)]) is None
    stopped = patience.judge([ChaseStep(present=1000, wrong=1)])
    assert stopped is not None and stopped[0] == "still"
    full = [Patience(options).judge([ChaseStep(present=1000, wrong=900, held_back=900)]) for _ in range(1)]
    assert full == [None]
    patience = Patience(options)
    for _ in range(4):
        assert patience.judge([ChaseStep(present=1000, wrong=900, held_back=900)]) is None
    stopped = patience.judge([ChaseStep(present=1000, wrong=900, held_back=900)])
    assert stopped is not None and stopped[0] == "no_room" and "900 pages" in stopped[1]
    waiting = Patience(FollowOptions(until_still=True, settle_seconds=0.0))
    for _ in range(5):
        assert waiting.judge([ChaseStep(present=1000, shared=100)]) is None


@pytest.mark.parametrize(
    ("balancing", "returned", "named"), [(True, 300, True), (True, 10, False), (False, 300, False)]
)
def test_a_move_that_is_undone_as_fast_names_what_may_undo_it(
    monkeypatch: pytest.MonkeyPatch, balancing: bool, returned: int, named: bool
) -> None:
    clock = iter(range(0, 10_000, 2))
    monkeypatch.setattr("hmexp.program.move.patience.time.monotonic", lambda: float(next(clock)))
    patience = Patience(FollowOptions(until_still=True), lambda: balancing)
    look = ChaseStep(present=1000, wrong=500, asked=400, returned=returned)
    stopped = next(found for _ in range(200) if (found := patience.judge([look])) is not None)
    assert stopped[0] == "churning" and "50.0% are not in their place" in stopped[1]
    assert ("sysctl kernel.numa_balancing=0" in stopped[1]) == named


def test_batches_become_smaller_while_calls_take_long() -> None:
    pace = MovePace(PaceOptions(), threading.Event())
    sizes = []
    for _ in range(5):
        pace.took(1.0, pace.batch_pages)
        sizes.append(pace.batch_pages)
    assert sizes == [256, 128, 64, 64, 64]
    pace.took(1e-4, 64)
    assert pace.batch_pages == 128
    with pytest.raises(ParameterError, match=r"CPU share 1\.5"):
        PaceOptions(cpu_share=1.5)
    with pytest.raises(ParameterError, match="a batch of 4096 pages"):
        PaceOptions(batch_pages=4096)


def test_a_distribution_of_times() -> None:
    spans = Spans()
    assert spans.to_record().median_seconds is None
    spans.add(np.arange(1, 1001) * 1_000_000)
    found = spans.to_record()
    assert found.count == 1000 and found.longest_seconds == 1.0
    assert found.median_seconds == pytest.approx(0.5, rel=0.125)
    assert found.p99_seconds is not None and 0.99 <= found.p99_seconds <= 1.0
    assert Spans.total([spans, spans]).to_record().count == 2000
