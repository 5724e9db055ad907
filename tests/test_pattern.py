from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import PatternError, UnitError
from hmexp.pattern import MAX_NODE, Pattern
from hmexp.ratio import parse_ratio

nodes = st.lists(st.integers(0, MAX_NODE), min_size=1, max_size=40)
granules = st.sampled_from([1 << shift for shift in range(12, 31)])
weights = st.dictionaries(st.integers(0, 20), st.integers(1, 60), min_size=1, max_size=5)


def test_the_seed_pattern() -> None:
    pattern = Pattern.parse("0,2,2")
    assert pattern.nodes == (0, 2, 2)
    assert pattern.ratio() == {0: 1, 2: 2}
    assert pattern.pages_per_node(262144, 4096) == {0: 87382, 2: 174762}  # 1 GiB, FACTS 1


@given(nodes, granules)
def test_text_round_trip(ids: list[int], granule: int) -> None:
    pattern = Pattern(tuple(ids), granule)
    assert Pattern.parse(str(pattern), granule) == pattern
    assert Pattern.parse(" , ".join(map(str, ids)), granule) == pattern
    assert pickle.loads(pickle.dumps(pattern)) == pattern


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("0,,2", "entry 2 is empty"),
        ("0,2,", "entry 3 is empty"),
        (",0", "entry 1 is empty"),
        ("0,-1", "'-1', is not a node id"),
        ("0;2", "'0;2', is not a node id"),
        ("0 2", "is not a node id"),
        ("0,2.0", "is not a node id"),
        ("0x2", "is not a node id"),
        ("\u0662", "is not a node id"),  # a digit, but not of ASCII
        ("0,1024", "outside 0..1023"),
        ("9" * 5000, "outside 0..1023"),
    ],
)
def test_bad_text_is_told(text: str, says: str) -> None:
    with pytest.raises(PatternError, match=says) as caught:
        Pattern.parse(text)
    assert caught.value.remedy


@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_a_pattern_error(text: str) -> None:
    try:
        pattern = Pattern.parse_any(text, (0, 2))
    except PatternError:
        return
    assert all(0 <= node <= MAX_NODE for node in pattern.nodes)


@pytest.mark.parametrize("granule", [0, 1, 4095, 4097, 12288, 2 << 30])
def test_bad_granule(granule: int) -> None:
    with pytest.raises((PatternError, UnitError)):
        Pattern.parse("0", granule)


def test_granule_below_a_page_of_the_machine() -> None:
    with pytest.raises(PatternError, match="smaller than a page"):
        Pattern.parse("0,1").pages_per_node(10, 65536)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ({0: 1, 2: 2}, (0, 2, 2)),
        ({0: 1, 2: 1}, (0, 2)),
        ({0: 3, 2: 2}, (0, 2, 0, 2, 0)),
        ({0: 3, 2: 1}, (0, 2, 0, 0)),
        ({0: 4, 2: 4}, (0, 2)),
        ({0: 1, 2: 0}, (0,)),
        ({0: 0, 2: 3}, (2,)),
    ],
)
def test_known_ratios(ratio: dict[int, int], expected: tuple[int, ...]) -> None:
    pattern = Pattern.from_ratio(ratio)
    turned = {expected[k:] + expected[:k] for k in range(len(expected))}
    assert pattern.nodes in turned
    assert pattern.nodes[0] == expected[0]


def test_the_seed_ratio_in_the_seeds_order() -> None:
    assert Pattern.from_ratio({0: 1, 2: 2}).nodes == (0, 2, 2)


@given(weights)
def test_from_ratio_keeps_the_ratio_and_starts_with_the_first_node(ratio: dict[int, int]) -> None:
    pattern = Pattern.from_ratio(ratio)
    assert pattern.nodes[0] == next(iter(ratio))
    found = pattern.ratio()
    assert set(found) == set(ratio)
    first = next(iter(ratio))
    for node, weight in ratio.items():
        assert found[node] * ratio[first] == found[first] * weight


@given(weights)
def test_from_ratio_is_even(ratio: dict[int, int]) -> None:
    """Every window of the endless repetition holds each node within two entries of its share."""
    pattern = Pattern.from_ratio(ratio)
    length = len(pattern.nodes)
    twice = np.array(pattern.nodes * 2)
    for node in pattern.distinct_nodes:
        prefix = np.concatenate([[0], np.cumsum(twice == node)])
        share = prefix[length] / length
        deviation = prefix[: 2 * length + 1] - share * np.arange(2 * length + 1)
        assert deviation.max() - deviation.min() < 2 + 1e-9


@given(st.integers(1, 80), st.integers(1, 80))
def test_two_nodes_are_spread_perfectly(a: int, b: int) -> None:
    """A balanced word: all windows of one length hold the same number of a node, give or take one."""
    pattern = Pattern.from_ratio({0: a, 2: b})
    length = len(pattern.nodes)
    prefix = np.concatenate([[0], np.cumsum(np.array(pattern.nodes * 2) == 0)])
    for window in range(1, length):
        inside = prefix[window : window + length] - prefix[:length]
        assert inside.max() - inside.min() <= 1


@pytest.mark.parametrize(
    "text", ["1:", ":1", "1:2:3", "a:b", "0:0", "1:-2", "1.5:1", "1::2", "9" * 4400 + ":1"]
)
def test_bad_ratio(text: str) -> None:
    with pytest.raises(PatternError):
        Pattern.parse_any(text, (0, 2))


def test_ratio_names_the_nodes_it_wants() -> None:
    assert parse_ratio("1:2", (0, 2)) == {0: 1, 2: 2}
    with pytest.raises(PatternError, match="needs 2 nodes, and there is only node 0"):
        parse_ratio("1:2", (0,))


@given(nodes, st.integers(0, 3000), st.sampled_from([1, 2, 4, 16]))
def test_pages_per_node_counts_what_page_nodes_lists(ids: list[int], pages: int, granule_pages: int) -> None:
    pattern = Pattern(tuple(ids), granule_pages * 4096)
    listed = pattern.page_nodes(0, pages, 4096)
    totals = pattern.pages_per_node(pages, 4096)
    assert sum(totals.values()) == pages
    assert totals == {node: int((listed == node).sum()) for node in pattern.distinct_nodes}


@given(nodes, st.integers(0, 10**7), st.sampled_from([1, 2, 512]))
def test_page_nodes_of_a_part(ids: list[int], first: int, granule_pages: int) -> None:
    pattern = Pattern(tuple(ids), granule_pages * 4096)
    part = pattern.page_nodes(first, 7, 4096)
    assert part.tolist() == [ids[((first + k) // granule_pages) % len(ids)] for k in range(7)]


def test_replace_nodes() -> None:
    assert Pattern.parse("0,2,2", "64KiB").replace_nodes({2: 0}) == Pattern((0, 0, 0), 65536)
