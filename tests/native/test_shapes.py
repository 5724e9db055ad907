"""The shapes of the core's loops: each line once, the values of a plain loop, and no other byte."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp import native
from hmexp.errors import NativeError
from hmexp.native import OPERATIONS, PLAIN, SHAPES, Job, NodeModel, NodeRates, PageMapping, Slice
from hmexp.pattern import Pattern
from tests.native.test_loops import expected_after, fill

SIZE = 1 << 19
CPUS = sorted(os.sched_getaffinity(0))[:2]
WIDTHS = [bits for bits in native.VECTOR_BITS if bits <= native.vector_bits()]
#: Every shape of every operation at every width.
LOOPS = [
    (name, shape.name, bits)
    for name in OPERATIONS
    for shape in SHAPES.values()
    for bits in WIDTHS
    if shape.able(name, bits) and not shape.shift_bytes
]
#: Emulated nodes that cost nothing.
FREE = NodeModel(Pattern((0, 2)), {node: NodeRates(0, 0, 0) for node in (0, 2)}, 4096)


@pytest.fixture(scope="module")
def mapping() -> Iterator[PageMapping]:
    region = PageMapping(SIZE)
    yield region
    region.close()


def walk(mapping: PageMapping, parts: list[Slice], job: Job, model: NodeModel | None = None) -> None:
    """Hold what a job read, wrote and left alone against what a plain loop does."""
    words = fill(mapping)
    after, once = expected_after(words, parts, job.operation, job.passes * job.samples)
    run = native.bandwidth(mapping, parts, job, model)
    assert run.checksum == (once if (job.passes * job.samples + (not job.warm)) % 2 else 0)
    assert (words == after).all()
    streams = OPERATIONS[job.operation].streams
    claimed = job.passes * streams * sum(part.part_bytes for part in parts)
    assert (run.samples["payload_bytes"].sum(axis=1) == claimed).all()


@pytest.mark.parametrize(("name", "shape", "bits"), LOOPS)
@settings(max_examples=10)
@given(
    pages=st.integers(1, 14),
    gap=st.integers(0, 3),
    start=st.integers(1, 4),
    turns=st.integers(1, 300),
    passes=st.integers(1, 3),
    threads=st.sampled_from([1, 1, 1, len(CPUS)]),
)
def test_every_shape_does_what_a_plain_loop_does(
    mapping: PageMapping,
    name: str,
    shape: str,
    bits: int,
    pages: int,
    gap: int,
    start: int,
    turns: int,
    passes: int,
    threads: int,
) -> None:
    """Slices of any number of pages, streams apart or not, places at any distance, fitting or not."""
    each = OPERATIONS[name].streams * (pages + gap)
    parts = [
        Slice(4096 * (start + thread * (each + 1)), 4096 * pages, cpu, 4096 * gap)
        for thread, cpu in enumerate(CPUS[:threads])
        if 4096 * (start + (thread + 1) * (each + 1)) <= SIZE
    ]
    distance = turns * SHAPES[shape].turn_bytes
    job = Job(name, passes, 1, bits=bits, warm=True, shape=shape, distance_bytes=distance)
    walk(mapping, parts, job)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", [None, FREE], ids=["real", "modelled"])
@pytest.mark.parametrize(
    "way",
    [
        {"window_bytes": 12288},
        {"shared": True, "granule_bytes": 12288},
        {"access": "random_granule", "granule_bytes": 12288},
        {"access": "random_line"},
        {"access": "strided", "stride_bytes": 640},
    ],
    ids=str,
)
def test_short_pieces_are_walked_whole(
    mapping: PageMapping, shape: str, model: NodeModel | None, way: dict[str, object]
) -> None:
    """Windows, granules, lines and emulated nodes: pieces shorter than a shape's block, and some longer."""
    for distance in (1024, 1 << 20):
        part = Slice(4096, 13 * 4096, CPUS[0])
        job = Job("copy", 2, 1, warm=True, shape=PLAIN, distance_bytes=distance, **way)  # type: ignore[arg-type]
        if SHAPES[shape].able("copy", native.vector_bits()):
            job = Job("copy", 2, 1, warm=True, shape=shape, distance_bytes=distance, **way)  # type: ignore[arg-type]
        walk(mapping, [part], job, model)


@pytest.mark.parametrize(
    ("job", "part", "code"),
    [
        ({"shape": "places4"}, None, "EINVAL"),
        ({"shape": "places4", "distance_bytes": 32}, None, "EINVAL"),
        ({"shape": "places4x2", "distance_bytes": 192}, None, "EINVAL"),
        ({"shape": "places4x4", "distance_bytes": 128}, None, "EINVAL"),
        ({"shape": "places4w", "distance_bytes": 128}, None, "ENOTSUP"),
        ({"shape": "ahead", "operation": "write"}, None, "ENOTSUP"),
        ({}, Slice(0, 8192, CPUS[0], -4096), "EINVAL"),
        ({}, Slice(0, 4096, CPUS[0], 100), "EINVAL"),
    ],
)
def test_what_no_shape_can_do_is_refused(
    mapping: PageMapping, job: dict[str, object], part: Slice | None, code: str
) -> None:
    arguments: dict[str, object] = {"operation": "read", "passes": 1, "samples": 1} | job
    with pytest.raises(NativeError, match=code):
        native.bandwidth(mapping, [part or Slice(0, 4096, CPUS[0])], Job(**arguments))  # type: ignore[arg-type]


def test_every_operation_has_shapes_of_one_and_of_several_places() -> None:
    widest = native.vector_bits()
    for name, operation in OPERATIONS.items():
        able = [shape for shape in SHAPES.values() if shape.able(name, widest)]
        assert able[0].name == PLAIN
        assert {shape.places for shape in able} == {1, 2, 4} or widest == 64
        assert any(shape.ahead_bytes for shape in able) == bool(operation.loads)
        assert any(shape.write_ahead_bytes for shape in able) == (name in ("write", "copy"))


def test_emulated_nodes_see_the_plain_loop(mapping: PageMapping) -> None:
    """A modelled region is walked plainly, whatever the shape: the model delays it, and all is read."""
    model = NodeModel(Pattern((0, 2)), {0: NodeRates(0, 0, 0), 2: NodeRates(1.0, 0, 0)}, 4096)
    seen = []
    for shape in (PLAIN, "places4"):
        fill(mapping)
        job = Job("read", 1, 1, warm=True, shape=shape, distance_bytes=8192)
        run = native.bandwidth(mapping, [Slice(0, 1 << 18, CPUS[0])], job, model)
        assert (run.samples["waited_ns"] > 0).all()
        seen.append(run.checksum)
    assert seen[0] == seen[1]


def test_a_checksum_of_zeros_is_not_read_for_one_of_words(mapping: PageMapping) -> None:
    """The control: a single word that changes is seen by every shape, wherever it is."""
    words = fill(mapping)
    part = Slice(0, SIZE, CPUS[0])
    for shape in ("line", "single", "places2", "places4", "places4x2", "places4x4"):
        for word in np.random.default_rng(3).integers(0, words.size, 8):
            job = Job("read", 1, 1, warm=True, shape=shape, distance_bytes=40_960)
            before = native.bandwidth(mapping, [part], job).checksum
            words[word] ^= np.uint64(0x55)
            assert native.bandwidth(mapping, [part], job).checksum == before ^ 0x55
