"""Pages are counted once each, and a page belongs to the pattern's entry of its virtual page number."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hmexp.native import foreign
from hmexp.native.core import PAGE_BYTES
from hmexp.native.foreign import Scan
from hmexp.pattern import Pattern
from hmexp.program.look.mappings import Mapping, Sort, parse_maps
from hmexp.program.look.tally import Counter, add_verdicts

START = 0x7F1234567000
STATES = {
    "here": (0, foreign.PRESENT), "there": (2, foreign.PRESENT), "shared": (2, foreign.PRESENT |
    foreign.SHARED), "merged": (0, foreign.PRESENT | foreign.SHARED | foreign.OTHER), "swapped": (-1,
    foreign.SWAPPED), "zero": (-1, foreign.PRESENT | foreign.ZERO), "hidden": (-2, foreign.PRESENT),
    "absent": (-1, 0), "huge": (2, foreign.PRESENT | foreign.HUGE), "lost": (-1, foreign.OTHER),
    "device": (-2, foreign.PRESENT | foreign.SHARED | foreign.OTHER),
}  # fmt: skip


def scan_of(start: int, states: list[str]) -> Scan:
    node, flags = zip(*(STATES[state] for state in states), strict=True)
    return Scan(start, np.array(node, dtype=np.int16), np.array(flags, dtype=np.uint8))


@given(
    st.lists(st.sampled_from(list(STATES)), min_size=1, max_size=60),
    st.integers(1, 20),
    st.sampled_from([(0, 2, 2), (2,), (2, 0)]),
    st.sampled_from([1, 4]),
)
def test_each_page_is_counted_once(
    states: list[str], part: int, nodes: tuple[int, ...], granule: int
) -> None:
    stop = START + len(states) * PAGE_BYTES
    pattern = Pattern(nodes, granule * PAGE_BYTES)
    counter = Counter(Mapping(START, stop, "rw-p", "", Sort.ANONYMOUS), pattern)
    for at in range(0, len(states), part):
        counter.add(scan_of(START + at * PAGE_BYTES, states[at : at + part]))
    pages, verdict = counter.tally, counter.verdict()
    assert pages.present == sum(STATES[s][1] & 33 == foreign.PRESENT for s in states)
    assert pages.present == sum(pages.by_node.values()) + pages.hidden
    assert (pages.merged, pages.zero, pages.lost) == tuple(map(states.count, ("merged", "zero", "lost")))
    assert verdict is not None
    wanted = [nodes[(START // PAGE_BYTES + i) // granule % len(nodes)] for i in range(len(states))]
    found = [STATES[s][0] for s in states]
    assert verdict.in_place == sum(f == w for f, w in zip(found, wanted, strict=True))
    assert verdict.misplaced == sum(f not in (-1, -2, w) for f, w in zip(found, wanted, strict=True))
    assert verdict.unmovable == sum(verdict.reasons.values()) <= verdict.misplaced
    parts = (verdict.in_place, verdict.misplaced, verdict.swapped, verdict.unseen, verdict.absent)
    assert sum(parts) == len(states) and min(parts) >= 0
    assert add_verdicts([verdict, verdict]).misplaced == 2 * verdict.misplaced


def test_memory_of_the_module_goes_by_its_offset() -> None:
    line = "7f1234567000-7f123456a000 rw-p 7f1234568000 00:05 7                          /dev/hybridmem"
    [mapping] = parse_maps(line)
    counter = Counter(mapping, Pattern((0, 2, 2)))
    counter.add(scan_of(START, ["here", "there", "there"]))
    verdict = counter.verdict()
    assert verdict is not None
    shift = 0x7F1234568000 // PAGE_BYTES % 3
    assert verdict.in_place == (3 if shift == 0 else 1)
    [shared] = parse_maps(line.replace("rw-p", "rw-s"))
    assert Counter(shared, Pattern((0,))).verdict() is None
