"""What the loops of the C core really do: which bytes they touch, on which CPU, how often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hmexp import native
from hmexp.errors import NativeError
from hmexp.native import NodeModel, NodeRates, PageMapping, Slice
from hmexp.pattern import Pattern

SIZE = 4 << 20
WIDTHS = [bits for bits in (128, 256, 512) if bits <= native.vector_bits()]


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


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("modelled", [False, True])
def test_read_reads_every_byte_once_a_pass(mapping: PageMapping, bits: int, modelled: bool) -> None:
    """The checksum is that of all bytes: one byte not read, or one pass too few, would change it."""
    words = mapping.array().view(np.uint64)
    words[:] = np.random.default_rng(7).integers(0, 1 << 63, words.size, dtype=np.uint64)
    once = int(np.bitwise_xor.reduce(words))
    model = NodeModel(Pattern((0, 2, 2)), {0: NodeRates(0, 0, 0), 2: NodeRates(0, 0, 0)}, 65536)
    for threads in range(1, len(cpus(2)) + 1):
        # One warm-up pass and an even number of counted ones: the warm-up is what is left.
        run = native.bandwidth(mapping, slices(threads), "read", 2, 3, model if modelled else None, bits)
        assert run.checksum == once
        run = native.bandwidth(mapping, slices(threads), "read", 3, 1, model if modelled else None, bits)
        assert run.checksum == 0
        assert run.start_ns.shape == run.end_ns.shape == (1, threads)
        assert (run.end_ns > run.start_ns).all()


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("modelled", [False, True])
def test_write_writes_every_byte_of_its_slice_and_no_other(
    mapping: PageMapping, bits: int, modelled: bool
) -> None:
    words = mapping.array().view(np.uint64)
    words[:] = 0xDEAD
    middle = Slice(SIZE // 4, SIZE // 2, cpus(1)[0])
    model = NodeModel(Pattern((5,)), {5: NodeRates(0, 0, 0)}, 65536)
    native.bandwidth(mapping, [middle], "write", 4, 2, model if modelled else None, bits)
    inside = words[SIZE // 4 // 8 : SIZE * 3 // 4 // 8]
    assert (inside == 8).all()  # the number of the last pass
    assert (words[: SIZE // 4 // 8] == 0xDEAD).all()
    assert (words[SIZE * 3 // 4 // 8 :] == 0xDEAD).all()


def test_a_pass_of_twice_the_bytes_is_made_and_not_skipped(mapping: PageMapping) -> None:
    """No loop is optimised away: callers can count the words that changed, pass by pass."""
    words = mapping.array().view(np.uint64)
    for passes in (1, 5):
        native.bandwidth(mapping, slices(1), "write", passes, 1)
        assert (words == passes).all()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"passes": 0}, "EINVAL"),
        ({"samples": 0}, "EINVAL"),
        ({"bits": 77}, "EINVAL"),
        ({"slices": [Slice(0, 100, 0)]}, "EINVAL"),
        ({"slices": [Slice(0, 4096, -1)]}, "EINVAL"),
        ({"slices": [Slice(0, 4096, 1 << 20)]}, "EINVAL"),
        ({"model": NodeModel(Pattern((0,)), {0: NodeRates(-1, 0, 0)}, 65536)}, "EINVAL"),
        ({"model": NodeModel(Pattern((0,)), {0: NodeRates(float("nan"), 0, 0)}, 65536)}, "EINVAL"),
        ({"model": NodeModel(Pattern((0,)), {0: NodeRates(0, 0, 0)}, 0)}, "EINVAL"),
    ],
)
def test_bad_arguments_come_back_as_errors(
    mapping: PageMapping, change: dict[str, object], code: str
) -> None:
    arguments = {"slices": slices(1), "operation": "read", "passes": 1, "samples": 1} | change
    with pytest.raises(NativeError, match=code):
        native.bandwidth(mapping, **arguments)  # type: ignore[arg-type]


def test_the_ring_visits_every_line_once(mapping: PageMapping) -> None:
    lines = native.build_ring(mapping, seed=3)
    assert lines == SIZE // 64
    assert native.walk_ring(mapping, cpus(1)[0], lines) == lines
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


def test_a_broken_ring_is_noticed(mapping: PageMapping) -> None:
    """A shuffle that is not one cycle comes round early, or never to the first line."""
    words = mapping.array().view(np.uint64)
    lines = native.build_ring(mapping, seed=3)
    first, second = int(words[0]), 0
    second = int(words[(first - mapping.address) // 8])
    words[(second - mapping.address) // 8] = mapping.address  # 0 -> first -> second -> 0
    assert native.walk_ring(mapping, cpus(1)[0], lines) == 3
    words[(second - mapping.address) // 8] = first  # never back at 0
    assert native.walk_ring(mapping, cpus(1)[0], lines) == lines + 1


def test_a_chase_makes_its_hops(mapping: PageMapping) -> None:
    """Where it stops is where that many steps lead; modelled or not."""
    pattern = Pattern((0, 2))
    model = NodeModel(pattern, {0: NodeRates(0, 0, 1), 2: NodeRates(0, 0, 1)}, 65536)
    lines = native.build_ring(mapping, 3, model)
    words = mapping.array().view(np.uint64)
    at = 0
    for _ in range(1000):
        at = (int(words[at * 8]) - mapping.address) // 64
    for chosen in (None, model):
        elapsed, offset = native.chase(mapping, cpus(1)[0], 500, 2, chosen)
        assert offset == at * 64
        assert (elapsed > 0).all()
    _, offset = native.chase(mapping, cpus(1)[0], lines - 1000, 1, None, offset)
    assert offset == 0


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
            run = native.bandwidth(mapping, slices(1), operation, 1, 2, model)  # type: ignore[arg-type]
            least_ns = max(count * 4096 * getattr(rates[node], name) for node, count in counts.items())
            assert (run.end_ns - run.start_ns).min() > 0.99 * least_ns
        native.build_ring(mapping, 1, model)
        elapsed, _ = native.chase(mapping, cpus(1)[0], 4000, 1, model)
        assert elapsed[0] > 0.99 * 4000 * min(rates[node].latency_ns for node in counts)


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
