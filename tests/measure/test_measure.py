"""Bandwidth and latency of real regions. No speed is asserted: only what must hold on any machine."""

from __future__ import annotations

import itertools

import msgspec
import pytest

import hmexp
from hmexp.errors import HmexpError, ParameterError
from hmexp.measure.rings import RingPlan
from hmexp.measure.threads import make_slices
from hmexp.measure.walk import Walk
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.native import OPERATIONS, PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.store.results import Measured
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
QUICK = hmexp.Sampling(3, 0.002)
#: Far below what any machine can do, so that the model alone sets the speed.
SLOW_HOST = NodeSpeed(0.5, 0.5, 2000.0)
EMULATION = Emulation.scale_to_host(EmulationRequest.parse("9=optane-dcpmm"), SLOW_HOST, [NODE], NODE)


@pytest.mark.parametrize("op", ["read", "write"])
def test_bandwidth_comes_with_its_proof(op: str) -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        found = hmexp.measure_bandwidth(region, op, sampling=QUICK)  # type: ignore[arg-type]
    assert found.unit == "GB/s"
    assert found.before.ok and found.after.ok
    assert found.samples.shape == found.sample_seconds.shape == (3,)
    assert found.payload_bytes == (4 << 20) * found.details.passes
    assert found.samples == pytest.approx(found.payload_bytes / found.sample_seconds / 1e9)
    assert not found.emulated
    record = found.to_record()
    assert msgspec.json.decode(msgspec.json.encode(record), type=Measured) == record


def test_latency_comes_with_its_ring() -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        found = hmexp.measure_latency(region, sampling=QUICK)
    assert found.unit == "ns"
    assert found.details.lines == (4 << 20) // 64
    assert found.before.ok and found.after.ok
    assert "latency" in str(found) and "n=3" in str(found)


def test_an_emulated_region_says_so_everywhere() -> None:
    with hmexp.allocate("4MiB", Pattern((NODE, 9)), emulation=EMULATION) as region:
        found = hmexp.measure_bandwidth(region, "read", sampling=QUICK)
    assert found.emulated and found.profile == "optane-dcpmm"
    assert "EMULATED optane-dcpmm" in str(found)
    assert "EMULATED" in found._repr_html_()


def test_slices_cover_the_region_without_overlap() -> None:
    for size, text, granule in (("4MiB", "0", 4096), ("3MiB", "0,0,0", 65536), ("5MiB", "0", 1 << 30)):
        pattern = Pattern.parse(text.replace("0", str(NODE)), granule)
        with hmexp.allocate(size, pattern) as region:
            for threads in (1, 2, 3, 7):
                slices = make_slices(region, range(threads), OPERATIONS["read"])
                assert slices[0].offset_bytes == 0
                for one, two in itertools.pairwise(slices):
                    assert one.offset_bytes + one.part_bytes == two.offset_bytes
                assert slices[-1].offset_bytes + slices[-1].part_bytes == region.size_bytes
                for operation in OPERATIONS.values():
                    slices = make_slices(region, range(threads), operation)
                    ends = [s.offset_bytes + s.part_bytes * operation.streams for s in slices]
                    assert all(end <= s.offset_bytes for end, s in zip(ends, slices[1:], strict=False))
                    assert ends[-1] <= region.size_bytes
                    assert all(s.part_bytes > 0 and s.part_bytes % PAGE_BYTES == 0 for s in slices)


def test_slices_are_whole_repetitions_where_there_are_enough() -> None:
    pattern = Pattern((NODE, 9, 9))
    with hmexp.allocate("4MiB", pattern, emulation=EMULATION) as region:
        slices = make_slices(region, range(4), OPERATIONS["read"])
        streams = make_slices(region, range(4), OPERATIONS["mix_2_1"])
    assert all(s.offset_bytes % pattern.period_bytes == 0 for s in slices)
    assert all(s.part_bytes % pattern.period_bytes == 0 for s in streams)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"operation": "sort"}, "read, write"),
        ({"threads": 0}, "positive"),
        ({"threads": 1_000_000}, "beyond the CPUs"),
        ({"sampling": hmexp.Sampling(0)}, "samples"),
        ({"sampling": hmexp.Sampling(samples=True)}, "samples"),
        ({"sampling": hmexp.Sampling(5, 0)}, "sample_seconds"),
        ({"sampling": hmexp.Sampling(5, float("nan"))}, "sample_seconds"),
        ({"threads": 2, "pinning": [0]}, "as many CPUs"),
    ],
)
def test_bad_requests_are_told(arguments: dict[str, object], says: str) -> None:
    with hmexp.allocate("1MiB", str(NODE)) as region, pytest.raises(ParameterError, match=says):
        hmexp.measure_bandwidth(region, **arguments)  # type: ignore[arg-type]


def test_a_region_smaller_than_its_threads() -> None:
    with hmexp.allocate(PAGE_BYTES, str(NODE)) as region:
        with pytest.raises(ParameterError, match="too small"):
            make_slices(region, range(2), OPERATIONS["read"])
        with pytest.raises(ParameterError, match="too small for copy"):
            make_slices(region, range(1), OPERATIONS["copy"])
        assert hmexp.measure_bandwidth(region, "read", sampling=QUICK).median > 0


def test_a_cpu_that_is_not_there() -> None:
    with hmexp.allocate("1MiB", str(NODE)) as region, pytest.raises(HmexpError, match="EINVAL"):
        hmexp.measure_latency(region, cpu=max(allowed_cpus()) + 4096, sampling=QUICK)


@pytest.mark.parametrize("op", OPERATIONS)
def test_payload_and_bus_bytes_stand_side_by_side(op: str) -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        found = hmexp.measure_bandwidth(region, op, sampling=QUICK)
    record = found.to_record()
    assert record.bus_bytes is not None and record.noise is not None
    assert len(record.payload_bytes) == len(record.bus_bytes) == 3
    assert record.bus_bytes[0] == pytest.approx(record.payload_bytes[0] * OPERATIONS[op].bus_factor, abs=1)
    assert record.details.per_payload.loads == OPERATIONS[op].loads
    assert len(record.noise.flags) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"access": "random_line"}, {"access": "random_granule"}, {"access": "strided", "stride_bytes": 8192},
        {"share": "granules"}, {"window_bytes": 1 << 20}, {"vector_bits": 64},
    ],
)  # fmt: skip
def test_every_way_is_recorded(options: dict[str, object]) -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        found = hmexp.measure_bandwidth(region, "read", walk=Walk(**options), sampling=QUICK)  # type: ignore[arg-type]
    assert found.payload_bytes == found.details.passes * (4 << 20)
    for name, value in options.items():
        assert getattr(found.details, name) == value
    if "window_bytes" in options:
        assert len(found.details.window_gbps[0]) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"operation": "3:2"}, "read:write ratio"),
        ({"walk": Walk("backwards")}, "sequential, random_line"),
        ({"walk": Walk("strided", 100)}, "multiple of 64"),
        ({"walk": Walk("strided", 1 << 30)}, "stride of 1GiB"),
        ({"walk": Walk("random_line", share="granules")}, "share granules"),
        ({"walk": Walk(share="alike")}, "slices, granules"),
        ({"walk": Walk(window_bytes=100)}, "whole pages"),
        ({"walk": Walk("random_line", window_bytes=4096)}, "sequential"),
        ({"walk": Walk(vector_bits=1024)}, "vector width 1024"),
        ({"walk": Walk(vector_bits=64), "operation": "write_nt"}, "no non-temporal stores"),
        ({"pinning": "nowhere"}, "near, compact"),
    ],
)
def test_ways_that_cannot_be_are_refused(arguments: dict[str, object], says: str) -> None:
    with hmexp.allocate("1MiB", str(NODE)) as region, pytest.raises(ParameterError, match=says):
        hmexp.measure_bandwidth(region, **arguments)  # type: ignore[arg-type]


def test_a_width_that_the_cpu_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmexp.native.vector_bits", lambda: 256)
    with (
        hmexp.allocate("1MiB", str(NODE)) as region,
        pytest.raises(ParameterError, match="use one of: 64, 128, 256"),
    ):
        hmexp.measure_bandwidth(region, walk=Walk(vector_bits=512))


def test_more_threads_than_granules_cannot_share_them() -> None:
    pattern = Pattern((NODE,), 1 << 20)
    with hmexp.allocate("1MiB", pattern) as region, pytest.raises(ParameterError, match="cannot share"):
        hmexp.measure_bandwidth(region, threads=2, pinning=allowed_cpus()[:2], walk=Walk(share="granules"))


def test_a_latency_says_which_it_is() -> None:
    with hmexp.allocate("4MiB", Pattern((NODE, 9), 65536), emulation=EMULATION) as region:
        found = hmexp.measure_latency(
            region, ring=RingPlan(256, 1 << 20, node=9), chains=4, distribution=True, sampling=QUICK
        )
    details = found.details
    assert (details.window_bytes, details.spacing_bytes, details.node) == (1 << 20, 256, 9)
    assert details.lines == (2 << 20) // 256 and details.chains == 4
    assert set(details.distribution.ns_per_load) == {"p50", "p90", "p99", "p99.9", "p99.99", "max"}


def test_the_split_by_nodes_has_a_ring_for_each() -> None:
    with hmexp.allocate("4MiB", Pattern((NODE, 9, 9)), emulation=EMULATION) as region:
        split = hmexp.measure_node_latencies(region, sampling=QUICK)
    lines = {node: found.details.lines for node, found in split.nodes.items()}
    assert sum(lines.values()) == split.whole.details.lines
    assert split.mixture_ns == pytest.approx(sum(split.shares[n] * split.nodes[n].median for n in lines))
    # The model's own clock forbids a node to be faster than it is.
    for node, found in split.nodes.items():
        assert found.median > 0.99 * EMULATION.speeds[node].latency_ns
    assert msgspec.json.decode(msgspec.json.encode(split.to_record()))["mixture_ns"] == split.mixture_ns


@pytest.mark.parametrize("kind", ["nt", "flush"])
def test_store_latency_on_real_and_emulated_nodes(kind: str) -> None:
    host = NodeSpeed(0.5, 0.5, 2000.0, 0.5, 3000.0, 2000.0)
    emulation = Emulation.scale_to_host(EmulationRequest.parse("9=optane-dcpmm"), host, [NODE], NODE)
    with hmexp.allocate("1MiB", str(NODE)) as region:
        assert hmexp.measure_store_latency(region, kind, sampling=QUICK).operation == f"store_{kind}"  # type: ignore[arg-type]
    with hmexp.allocate("1MiB", "9", emulation=emulation) as region:
        found = hmexp.measure_store_latency(region, kind, sampling=QUICK)  # type: ignore[arg-type]
    assert found.median > 0.99 * getattr(emulation.speeds[9], f"store_{kind}_ns")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"ring": RingPlan(window_bytes=1 << 40)}, "does not fit into the region"),
        ({"ring": RingPlan(window_bytes=100)}, "use 4KiB or more"),
        ({"ring": RingPlan(16384, window_bytes=16384)}, "use 32KiB or more"),
        ({"ring": RingPlan(100)}, "multiple of 64"),
        ({"chains": 0}, "1 to 16"),
        ({"chains": 17}, "1 to 16"),
        ({"chains": 16, "ring": RingPlan(4096)}, "chases need"),
        ({"ring": RingPlan(node=77)}, "not in the pattern"),
    ],
)
def test_rings_that_cannot_be_are_refused(arguments: dict[str, object], says: str) -> None:
    with hmexp.allocate("1MiB", str(NODE)) as region, pytest.raises(ParameterError, match=says):
        hmexp.measure_latency(region, **arguments)  # type: ignore[arg-type]


def test_a_point_has_all_dram_beside_it() -> None:
    point = hmexp.measure_point(f"{NODE},9", "copy", size="4MiB", emulate=EMULATION, sampling=QUICK)
    assert point.baseline is not None and point.model is not None and point.of_dram is not None
    assert point.baseline.details.page_bytes == point.measurement.details.page_bytes
    assert point.measurement.median <= 1.01 * point.model
    assert msgspec.json.decode(msgspec.json.encode(point.to_record()))["of_dram"] == point.of_dram
    assert hmexp.measure_point(str(NODE), size="4MiB", sampling=QUICK).baseline is None
