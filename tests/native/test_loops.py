"""What the loops of the C core really do: which bytes they touch, on which CPU, how often."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hmexp import native
from hmexp.errors import NativeError
from hmexp.native import CURVE_SHAPE, OPERATIONS, Job, Lanes, NodeModel, NodeRates, PageMapping, Slice
from hmexp.pattern import Pattern

SIZE = 4 << 20
WIDTHS = [bits for bits in native.VECTOR_BITS if bits <= native.vector_bits()]


@pytest.fixture
def mapping() -> Iterator[PageMapping]:
    region = PageMapping(SIZE)
    yield region
    region.close()


def cpus(count: int) -> list[int]:
    return sorted(os.sched_getaffinity(0))[:count]


def slices(count: int) -> list[Slice]:
    part = SIZE // count
    return [Slice(i * part, part, cpu) for i, cpu in enumerate(cpus(count))]


#: Every operation at every width that has it; 64 is plain C, which has no non-temporal stores.
LOOPS = [
    (name, bits) for name, op in OPERATIONS.items() for bits in WIDTHS if bits > 64 or not op.nontemporal
]
NAN = float("nan")
BAD = np.full(CURVE_SHAPE, NAN)
FREE = {node: NodeRates(0, 0, 0) for node in (0, 2)}
MODEL = NodeModel(Pattern((0, 2, 2)), FREE, 65536)
FINE_MODEL = NodeModel(Pattern((0, 2, 2), 8192), FREE, 4096, 1024)
#: Access, and what it takes.
WAYS = {
    "sequential": {},
    "random_line": {"access": "random_line"},
    "random_granule": {"access": "random_granule", "granule_bytes": 12288},
    "strided": {"access": "strided", "stride_bytes": 640},
    "shared": {"shared": True, "granule_bytes": 12288},
    "shared_random": {"access": "random_granule", "shared": True, "granule_bytes": 12288},
}


SMALL = 1 << 19
#: The machine may be busy with other things: what takes two CPUs at once is tried that often.
TRIES = 50


@pytest.fixture
def small() -> Iterator[PageMapping]:
    region = PageMapping(SMALL)
    yield region
    region.close()


def fill(mapping: PageMapping) -> npt.NDArray[np.uint64]:
    words = mapping.array().view(np.uint64)
    words[:] = np.random.default_rng(7).integers(0, 1 << 63, words.size, dtype=np.uint64)
    return words


def expected_after(
    words: npt.NDArray[np.uint64], slices: list[Slice], name: str, value: int
) -> tuple[npt.NDArray[np.uint64], int]:
    """Memory after passes of an operation, and the exclusive or of what one pass reads."""
    operation, after, checksum = OPERATIONS[name], words.copy(), 0
    for part in slices:
        n = part.part_bytes // 8
        apart = n + part.gap_bytes // 8
        views = [after[part.offset_bytes // 8 + i * apart :][:n] for i in range(operation.streams)]
        if name.startswith("copy"):
            views[1][:] = views[0]
        elif name.startswith("triad"):
            views[2][:] = views[0] + np.uint64(3) * views[1]
        else:
            for view in views[: operation.loads]:
                checksum ^= int(np.bitwise_xor.reduce(view))
            for view in views[operation.loads :]:
                view[:] = value
    return after, checksum


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", [None, MODEL, FINE_MODEL], ids=["real", "modelled", "fine"])
@pytest.mark.parametrize(("name", "bits"), LOOPS)
def test_each_loop_touches_exactly_what_it_claims(
    small: PageMapping, name: str, bits: int, model: NodeModel | None, way: str
) -> None:
    """Every byte read once a pass (checksum), every byte written (contents), and no other byte."""
    operation = OPERATIONS[name]
    threads = len(cpus(2))
    # Neither a power of two nor a multiple of the granule, but of a page.
    part = (SMALL // threads // operation.streams // 4096 - 1) * 4096
    parts = [Slice(4096 + i * (SMALL // threads), part, cpu) for i, cpu in enumerate(cpus(2))]
    if "shared" in way:
        parts = [Slice(4096, part, cpu) for cpu in cpus(2)]
    words = fill(small)
    distinct = parts[:1] if "shared" in way else parts
    for passes, samples, warm in ((2, 2, False), (3, 1, False), (5, 1, True)):
        after, once = expected_after(words, distinct, name, passes * samples)
        job = Job(name, passes, samples, bits=bits, warm=warm, **WAYS[way])  # type: ignore[arg-type]
        run = native.bandwidth(small, parts, job, model)
        # A pass to warm up and the counted ones: what was read an even number of times cancels out.
        assert run.checksum == (once if (passes * samples + (not warm)) % 2 else 0)
        if "shared" in way:
            # Two passes may be under way at once: a late thread's value is that of an earlier pass.
            written = (after == passes * samples) & (words != after)
            assert (words[written] >= 1).all() and (words[written] < passes * samples).all()
            words[written] = passes * samples
        assert (words == after).all()
        claimed = passes * part * operation.streams * len(distinct)
        assert (run.samples["payload_bytes"].sum(axis=1) == claimed).all()
        assert run.start_ns.shape == run.end_ns.shape == (samples, threads)
        assert (run.end_ns > run.start_ns).all()


def test_a_window_profile_covers_each_slice(mapping: PageMapping) -> None:
    words = fill(mapping)
    parts = [Slice(0, 20480, cpus(1)[0])]
    _, once = expected_after(words, parts, "read", 0)
    run = native.bandwidth(mapping, parts, Job("read", 2, 3, window_bytes=8192))
    assert run.checksum == once
    assert run.window_ns.shape == (1, 3)
    assert (run.window_ns > 0).all()
    total = int((run.end_ns - run.start_ns).sum())
    assert run.window_ns.sum() <= total


def test_the_table_says_what_the_loops_do() -> None:
    table = {name: (op.loads, op.stores, op.write_allocates) for name, op in OPERATIONS.items()}
    assert table["read"] == (1, 0, 0)
    assert table["write"] == (0, 1, 1)
    assert table["write_nt"] == (0, 1, 0)
    assert table["triad"] == (2, 1, 1)
    assert table["mix_3_1_nt"] == (3, 1, 0)
    assert OPERATIONS["copy"].bus_bytes(1000) == 1500
    assert OPERATIONS["copy_nt"].bus_bytes(1000) == 1000
    assert all(op.write_allocates == (0 if op.nontemporal else op.stores) for op in OPERATIONS.values())


def test_random_orders_are_not_ascending(mapping: PageMapping) -> None:
    """The order is seen in what a thread has written when another value stands behind it."""
    words = mapping.array().view(np.uint64)
    seen = []
    for seed in (1, 2):
        words[:] = 0
        # Shared granules of one page each by one thread: the last page written is the last of the order.
        slow = NodeModel(Pattern((0,)), {0: NodeRates(0, 400.0, 0)}, 4096)
        job = Job("write", 1, 1, "random_granule", granule_bytes=4096, seed=seed)
        order: list[int] = []
        thread = threading.Thread(
            target=native.bandwidth, args=(mapping, [Slice(0, 1 << 16, cpus(1)[0])], job, slow)
        )
        # The warm-up writes 0, the sample writes 1: at most one page is under way at a time.
        thread.start()
        while thread.is_alive():
            order += [int(p) for p in np.flatnonzero(words[: 1 << 13 : 512] == 1) if int(p) not in order]
        thread.join()
        seen.append(tuple(order))
    assert any(order != tuple(sorted(order)) for order in seen) or all(len(order) < 3 for order in seen)


def test_a_pass_of_twice_the_bytes_is_made_and_not_skipped(mapping: PageMapping) -> None:
    """No loop is optimised away: callers can count the words that changed, pass by pass."""
    words = mapping.array().view(np.uint64)
    for passes in (1, 5):
        native.bandwidth(mapping, slices(1), Job("write", passes, 1))
        assert (words == passes).all()


@pytest.mark.parametrize(
    ("job", "parts", "model", "code"),
    [
        ({"passes": 0}, None, None, "EINVAL"),
        ({"samples": 0}, None, None, "EINVAL"),
        ({"bits": 77}, None, None, "EINVAL"),
        ({"bits": 64, "operation": "write_nt"}, None, None, "ENOTSUP"),
        ({"access": "strided", "stride_bytes": 65}, None, None, "EINVAL"),
        ({"access": "random_granule"}, None, None, "EINVAL"),
        ({"access": "random_line", "shared": True, "granule_bytes": 4096}, None, None, "EINVAL"),
        ({"window_bytes": 100}, None, None, "EINVAL"),
        ({}, [Slice(0, 100, 0)], None, "EINVAL"),
        ({}, [Slice(0, 4096, -1)], None, "EINVAL"),
        ({}, [Slice(0, 4096, 1 << 20)], None, "EINVAL"),
        ({}, None, NodeModel(Pattern((0,)), {0: NodeRates(-1, 0, 0)}, 65536), "EINVAL"),
        ({}, None, NodeModel(Pattern((0,)), {0: NodeRates(float("nan"), 0, 0)}, 65536), "EINVAL"),
        ({}, None, NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 0)}, 0), "EINVAL"),
        ({}, None, NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 0, lanes=Lanes(-1.0))}, 65536), "EINVAL"),
        (
            {},
            None,
            NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 0, lanes=Lanes(0, 0, NAN))}, 65536),
            "EINVAL",
        ),
        ({}, None, NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 0, curves_ns=BAD)}, 65536), "EINVAL"),
        ({}, None, NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 0)}, 65536, 1000), "EINVAL"),
    ],
)
def test_bad_arguments_come_back_as_errors(
    mapping: PageMapping,
    job: dict[str, object],
    parts: list[Slice] | None,
    model: NodeModel | None,
    code: str,
) -> None:
    arguments: dict[str, object] = {"operation": "read", "passes": 1, "samples": 1} | job
    with pytest.raises(NativeError, match=code):
        native.bandwidth(mapping, parts or slices(1), Job(**arguments), model)  # type: ignore[arg-type]


def test_the_ring_visits_every_line_once(mapping: PageMapping) -> None:
    ring = native.build_ring(mapping, seed=3)
    lines = ring.lines
    assert lines == SIZE // 64
    assert native.walk_ring(mapping, cpus(1), ring) == lines
    next_lines = (mapping.array().view(np.uint64)[::8].astype(np.int64) - mapping.address) // 64
    seen = np.zeros(lines, dtype=bool)
    at = 0
    for _ in range(lines):
        assert not seen[at]
        seen[at] = True
        at = int(next_lines[at])
    assert at == 0 and seen.all()


def test_rings_of_different_seeds_differ_and_of_one_seed_do_not(mapping: PageMapping) -> None:
    def ring(seed: int) -> bytes:
        native.build_ring(mapping, seed)
        return mapping.array().tobytes()

    assert ring(1) == ring(1) != ring(2)


@pytest.mark.parametrize("window_bytes", [None, 4096, 12288])
def test_a_ring_is_the_same_by_any_number_of_threads(mapping: PageMapping, window_bytes: int | None) -> None:
    """Threads link parts of it that begin and end within windows, and where one begins."""
    (cpu,) = cpus(1)

    def ring(threads: int) -> tuple[native.Ring, bytes]:
        mapping.array()[:] = 0xFF
        pattern = Pattern((0, 2))
        made = native.build_ring(
            mapping, 5, window_bytes=window_bytes, pattern=pattern, cpus=[cpu] * threads, marks=7
        )
        assert native.walk_ring(mapping, [cpu] * threads, made) == made.lines == SIZE // 64
        return made, mapping.array().tobytes()

    alone = ring(1)
    for threads in (2, 3, 7):
        assert ring(threads) == alone


def test_a_ring_shorter_than_its_threads_is_whole(mapping: PageMapping) -> None:
    ring = native.build_ring(mapping, seed=3, spacing_bytes=SIZE // 4, cpus=cpus(1) * 7)
    assert native.walk_ring(mapping, cpus(1) * 4, ring) == ring.lines == 4


@pytest.mark.parametrize(
    ("marks", "threads"),
    [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (native.MAX_MARKS, 1), (native.MAX_MARKS, 3)],
)
def test_a_broken_ring_is_noticed(mapping: PageMapping, marks: int, threads: int) -> None:
    """Two lines of a cycle that swap what comes after them make two cycles of it, wherever they are."""
    words = mapping.array().view(np.uint64)
    ring = native.build_ring(mapping, seed=3, marks=marks)
    one = cpus(1) * threads
    random = np.random.default_rng(marks)
    for _ in range(20):
        a, b = (8 * int(line) for line in random.choice(ring.lines, 2, replace=False))
        words[a], words[b] = words[b], words[a]
        assert native.walk_ring(mapping, one, ring) < ring.lines
        words[a], words[b] = words[b], words[a]
        assert native.walk_ring(mapping, one, ring) == ring.lines
    # To itself, where nobody comes by again; out of the region at either end; between two lines; nowhere.
    for leads_to in (8 * a, SIZE, -64, 8 * a + 8, -mapping.address):
        words[a] = mapping.address + leads_to
        assert native.walk_ring(mapping, one, ring) == 0


def test_a_ring_whose_marks_are_in_another_order_is_noticed(mapping: PageMapping) -> None:
    """Each walker would come to its end, and the lines be counted twice over."""
    ring = native.build_ring(mapping, seed=3, marks=3)
    a, b, c = ring.marks
    assert native.walk_ring(mapping, cpus(1), replace(ring, marks=(a, c, b))) == 0


def test_a_short_ring_has_fewer_marks(mapping: PageMapping) -> None:
    ring = native.build_ring(mapping, seed=3, spacing_bytes=SIZE // 4)
    assert ring.lines == 4 and sorted(ring.marks) == [SIZE // 4 * i for i in range(4)]
    assert native.walk_ring(mapping, cpus(1), ring) == 4


def test_a_chase_makes_its_hops(mapping: PageMapping) -> None:
    """Where it stops is where that many steps lead; modelled or not."""
    pattern = Pattern((0, 2))
    model = NodeModel(pattern, {0: NodeRates(0, 0, 1), 2: NodeRates(0, 0, 1)}, 65536)
    lines = native.build_ring(mapping, 3, model).lines
    words = mapping.array().view(np.uint64)
    at = 0
    for _ in range(1000):
        at = (int(words[at * 8]) - mapping.address) // 64
    for chosen in (None, model):
        taken, offsets = native.chase(mapping, cpus(1)[0], 500, 2, chosen)
        assert offsets == (at * 64,)
        assert (taken["end_ns"] > taken["start_ns"]).all()
        assert (taken["payload_bytes"] == 500 * 64).all()
    _, offsets = native.chase(mapping, cpus(1)[0], lines - 1000, 1, None, offsets)
    assert offsets == (0,)


@pytest.mark.parametrize("chains", range(1, native.MAX_CHAINS + 1))
@pytest.mark.parametrize("modelled", [False, True])
def test_parallel_chases_each_make_their_hops(mapping: PageMapping, chains: int, modelled: bool) -> None:
    model = NodeModel(Pattern((0, 2)), {0: NodeRates(0, 0, 1), 2: NodeRates(0, 0, 1)}, 65536)
    starts = native.build_ring(mapping, 3, model, marks=chains).marks
    assert len(set(starts)) == chains
    words = mapping.array().view(np.uint64)
    wanted = []
    for start in starts:
        at = start
        for _ in range(40):
            at = int(words[at // 8]) - mapping.address
        wanted.append(at)
    _, ends = native.chase(mapping, cpus(1)[0], 20, 2, model if modelled else None, starts)
    assert list(ends) == wanted


def walk(mapping: PageMapping, ring: native.Ring) -> list[int]:
    """Offsets of the ring's lines, as they come."""
    words = mapping.array().view(np.uint64)
    first = ring.marks[0]
    found, at = [first], int(words[first // 8]) - mapping.address
    while at != first:
        found.append(at)
        at = int(words[at // 8]) - mapping.address
    return found


def test_a_windowed_ring_ends_each_window_before_the_next(mapping: PageMapping) -> None:
    ring = native.build_ring(mapping, 5, spacing_bytes=256, window_bytes=1 << 18)
    offsets = walk(mapping, ring)
    assert sorted(offsets) == list(range(0, SIZE, 256))
    windows = [offset >> 18 for offset in offsets]
    changes = sum(one != two for one, two in itertools.pairwise(windows))
    # The walk begins within a window, whose rest it may come to last.
    assert len(set(windows)) == SIZE >> 18 and changes in (len(set(windows)) - 1, len(set(windows)))
    assert windows != sorted(windows)


def test_an_ordered_ring_ascends(mapping: PageMapping) -> None:
    assert walk(mapping, native.build_ring(mapping, 5, spacing_bytes=128, ordered=True)) == list(
        range(0, SIZE, 128)
    )


@pytest.mark.parametrize("node", [0, 2])
def test_the_ring_of_a_node_has_all_its_lines_and_no_other(mapping: PageMapping, node: int) -> None:
    pattern = Pattern((0, 2, 2), 8192)
    ring = native.build_ring(mapping, 5, pattern=pattern, node=node)
    nodes = np.repeat(pattern.page_nodes(0, SIZE // 4096, 4096), 64)
    assert sorted(walk(mapping, ring)) == (np.flatnonzero(nodes == node) * 64).tolist()


def test_a_ring_can_leave_the_rest_of_the_mapping_alone(mapping: PageMapping) -> None:
    words = mapping.array().view(np.uint64)
    words[:] = 9
    ring = native.build_ring(mapping, 5, size_bytes=SIZE // 2)
    assert ring.lines == SIZE // 2 // 64
    assert (words[SIZE // 2 // 8 :] == 9).all()


def test_blocks_of_a_chase_are_timed_one_by_one(mapping: PageMapping) -> None:
    native.build_ring(mapping, 5)
    times = native.chase_blocks(mapping, cpus(1)[0], 8, 500)
    assert times.shape == (500,) and (times > 0).all()


@pytest.mark.parametrize("kind", native.STORE_KINDS)
@pytest.mark.parametrize("modelled", [False, True])
def test_store_latency_stores_each_line_once(
    mapping: PageMapping, kind: native.StoreKind, modelled: bool
) -> None:
    words = mapping.array().view(np.uint64)
    words[:] = 0
    lines = SIZE // 64
    native.store_latency(mapping, cpus(1)[0], kind, lines, 1, MODEL if modelled else None)
    # Each line holds the number of its store: a permutation of all of them, not in ascending order.
    numbers = words[::8].copy()
    assert (words.reshape(-1, 8) == numbers[:, None]).all()
    assert sorted(numbers.tolist()) == list(range(1, lines + 1))
    assert (np.diff(numbers.astype(np.int64)) != 1).mean() > 0.9


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a chase and a load take two CPUs")
@pytest.mark.parametrize("name", ["read", "mix_2_1", "write"])
@pytest.mark.parametrize("modelled", [False, True])
def test_a_chase_under_load_counts_what_the_load_did(mapping: PageMapping, name: str, modelled: bool) -> None:
    rates = {0: NodeRates(0.1, 0.1, 500), 2: NodeRates(0.1, 0.1, 900)}
    model = NodeModel(Pattern((0, 2)), rates, 8192, 1024) if modelled else None
    half = SIZE // 2
    ring = native.build_ring(mapping, 3, model, pattern=Pattern((0, 2)), size_bytes=half)
    before = mapping.array()[:half].copy()
    part = half // OPERATIONS[name].streams // 4096 * 4096
    one, two = cpus(2)
    most = 0
    for delay_ns in (1_000_000, *[0] * (20 * TRIES)):
        run = native.loaded(
            mapping, one, 0, 2000, mapping, [Slice(half, part, two)], Job(name, 1, 3), 1024, delay_ns, model,
            Pattern((0, 2)),
        )  # fmt: skip
        span = run.samples["end_ns"] - run.samples["start_ns"]
        assert (span > 0).all() and run.load_bytes.shape == (3,)
        bursts = run.load_bytes / 1024 / OPERATIONS[name].streams
        if delay_ns:
            # Never more than a burst a pause, and one under way.
            assert (bursts <= span / delay_ns + 2).all()
        else:
            most = max(most, int(bursts.max()))
            if most > 10:
                break
    assert most > 10
    assert (mapping.array()[:half] == before).all()
    assert native.walk_ring(mapping, (one,), ring) == ring.lines


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a chase and a load take two CPUs")
def test_a_dependent_load_waits_in_the_queue_of_its_node(mapping: PageMapping) -> None:
    """One queue for both: with a node kept busy by others, a hop takes longer than its latency alone."""
    one, two = cpus(2)
    rates = {0: NodeRates(10.0, 10.0, 2000.0)}  # 0.1 GB/s: any host can fill it
    model = NodeModel(Pattern((0,)), rates, 8192, 1024)
    half = SIZE // 2
    native.build_ring(mapping, 3, model, size_bytes=half)
    part = [Slice(half, half, two)]
    for _ in range(TRIES):
        run = native.loaded(
            mapping, one, 0, 50, mapping, part, Job("read", 1, 3), 1024, 0, model, Pattern((0,))
        )
        # Eight chunks may have been asked for and stand in the queue yet: a load that lost its CPU right
        # after that was not busy.
        served = run.load_bytes - 8 * 1024
        busy = served / 0.1 / (run.samples["end_ns"] - run.samples["start_ns"])
        hop_ns = (run.samples["end_ns"] - run.samples["start_ns"]) / 50
        # Where the load had its CPU for most of the time, up to eight chunks, 80 us, stand before a hop.
        if (busy > 0.8).any():
            assert (hop_ns[busy > 0.8] > 4 * 2000).all()
            return
    # Only other programs on both CPUs cause this, which says nothing about the queue; that a load moves
    # anything at all is asserted in the test above.
    pytest.skip("the load never had a CPU of its own for the time of a sample")


def test_lines_of_the_ring_carry_the_node_of_their_granule(mapping: PageMapping) -> None:
    pattern = Pattern((0, 2, 2), 8192)
    native.build_ring(mapping, 3, NodeModel(pattern, {0: NodeRates(0, 0, 1), 2: NodeRates(0, 0, 1)}, 65536))
    per_page = mapping.array().view(np.uint64).reshape(-1, 64, 8)[:, :, 1]
    wanted = (pattern.page_nodes(0, SIZE // 4096, 4096) == 2).astype(np.uint64)
    assert (per_page == wanted[:, None]).all()


def test_the_interpreter_runs_while_a_loop_does(mapping: PageMapping) -> None:
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    while counted == 0:
        time.sleep(0.001)
    native.build_ring(mapping, 1)
    before = counted
    # A modelled load of 100 us each: 2000 of them last at least 0.2 s, on any machine.
    slow = NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 100_000)}, 65536)
    native.chase(mapping, cpus(1)[0], 2000, 1, slow)
    during = counted - before
    done.set()
    thread.join()
    assert during > 5


def test_threads_run_on_the_cpus_they_were_given(mapping: PageMapping) -> None:
    """Seen from outside: /proc/self/task has each thread's allowed CPUs while they spin."""
    native.build_ring(mapping, 1)
    slow = NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 100_000)}, 65536)
    wanted = cpus(2)[-1]
    thread = threading.Thread(target=native.chase, args=(mapping, wanted, 5000, 1, slow))
    thread.start()
    seen = set()
    while thread.is_alive():
        for task in Path("/proc/self/task").iterdir():
            try:
                status = (task / "status").read_text()
            except OSError:
                continue
            seen.add(
                next(line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed_list"))
            )
        time.sleep(0.005)
    thread.join()
    assert str(wanted) in seen  # this process itself may use more, if there are more


def test_a_modelled_node_is_never_faster_than_its_rate(mapping: PageMapping) -> None:
    """No timing of the host is asserted: the model's own clock forbids it to be faster."""
    rates = {0: NodeRates(1.0, 2.0, 300.0), 2: NodeRates(3.0, 5.0, 900.0)}
    for text in ("0", "2", "0,2", "0,2,2"):
        pattern = Pattern.parse(text)
        model = NodeModel(pattern, rates, 65536)
        counts = pattern.pages_per_node(SIZE // 4096, 4096)
        for operation, name in (("read", "read_ns_per_byte"), ("write", "write_ns_per_byte")):
            run = native.bandwidth(mapping, slices(1), Job(operation, 1, 2), model)
            least_ns = max(count * 4096 * getattr(rates[node], name) for node, count in counts.items())
            assert (run.end_ns - run.start_ns).min() > 0.99 * least_ns
        native.build_ring(mapping, 1, model)
        taken, _ = native.chase(mapping, cpus(1)[0], 4000, 1, model)
        least = min(rates[node].latency_ns for node in counts)
        assert (taken["end_ns"] - taken["start_ns"])[0] > 0.99 * 4000 * least


def test_a_closed_region_is_refused() -> None:
    mapping = PageMapping(SIZE)
    mapping.close()
    mapping.close()
    with pytest.raises(NativeError, match="closed"):
        native.build_ring(mapping, 1)


def test_a_process_ends_with_the_one_that_started_it() -> None:
    child = (
        "import os, time; from hmexp import native; native.die_with_parent(os.getppid()); "
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "print(p.stdout.readline().decode(), flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def test_it_is_an_error_to_be_an_orphan_already() -> None:
    script = (
        "from hmexp import native\nfrom hmexp.errors import NativeError\n"
        "try:\n    native.die_with_parent(1 << 22)\nexcept NativeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "has ended" in done.stdout


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a chase and a load take two CPUs")
def test_bursts_of_another_operation_come_among_those_of_a_load(mapping: PageMapping) -> None:
    one, two = cpus(2)
    half = SIZE // 2
    ring = native.build_ring(mapping, 3, size_bytes=half)
    written = mapping.array()[half:].reshape(-1, 1024)

    def run(blend: native.Blend | None, operation: str = "read", hops: int = 500) -> int:
        """How many bursts wrote."""
        written[:] = 0xAA
        part = half // OPERATIONS[operation].streams // 4096 * 4096
        native.loaded(
            mapping, one, 0, hops, mapping, [Slice(half, part, two)], Job(operation, 1, 2), 1024, 1000,
            blend=blend,
        )  # fmt: skip
        return int((written != 0xAA).any(axis=1).sum())

    assert run(None) == 0 and run(native.Blend("write", 0)) == 0
    # On a busy machine the other thread may not have had its CPU in so short a time.
    for hops in (500 << min(n, 10) for n in range(TRIES)):
        if run(native.Blend("write", 1000), hops=hops) and run(native.Blend("write", 300), hops=hops):
            break
    else:
        pytest.fail("no burst was ever of the other operation")
    assert native.walk_ring(mapping, (one,), ring) == ring.lines
    for blend, operation in (
        (native.Blend("write", 1001), "read"),
        (native.Blend("write", -1), "read"),
        (native.Blend("copy", 10), "read"),
        (native.Blend("write", 10), "copy"),
    ):
        with pytest.raises(NativeError, match="EINVAL"):
            run(blend, operation)
