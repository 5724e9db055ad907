"""Bandwidth and latency of real regions. No speed is asserted: only what must hold on any machine."""

from __future__ import annotations

import itertools
import json

import pytest

import hmexp
from hmexp.errors import HmexpError, ParameterError
from hmexp.measure.threads import make_slices
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.native import OPERATIONS, PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
QUICK = {"samples": 3, "sample_seconds": 0.002}
#: Far below what any machine can do, so that the model alone sets the speed.
SLOW_HOST = NodeSpeed(0.5, 0.5, 2000.0)
EMULATION = Emulation.scale_to_host(EmulationRequest.parse("9=optane-dcpmm"), SLOW_HOST, [NODE], NODE)


@pytest.mark.parametrize("op", ["read", "write"])
def test_bandwidth_comes_with_its_proof(op: str) -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        found = hmexp.measure_bandwidth(region, op, **QUICK)  # type: ignore[arg-type]
    assert found.unit == "GB/s"
    assert found.before.ok and found.after.ok
    assert found.samples.shape == found.sample_seconds.shape == (3,)
    assert found.payload_bytes == (4 << 20) * found.details["passes"]
    assert found.samples == pytest.approx(found.payload_bytes / found.sample_seconds / 1e9)
    assert not found.emulated
    json.dumps(found.to_record(), allow_nan=False)


def test_latency_comes_with_its_ring() -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        found = hmexp.measure_latency(region, **QUICK)
    assert found.unit == "ns"
    assert found.details["lines"] == (4 << 20) // 64
    assert found.before.ok and found.after.ok
    assert "latency" in str(found) and "n=3" in str(found)


def test_an_emulated_region_says_so_everywhere() -> None:
    with hmexp.allocate("4MiB", Pattern((NODE, 9)), emulation=EMULATION) as region:
        found = hmexp.measure_bandwidth(region, "read", **QUICK)
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
        ({"op": "sort"}, "read, write"),
        ({"threads": 0}, "positive"),
        ({"threads": 1_000_000}, "beyond the CPUs"),
        ({"samples": 0}, "samples"),
        ({"samples": True}, "samples"),
        ({"sample_seconds": 0}, "sample_seconds"),
        ({"sample_seconds": float("nan")}, "sample_seconds"),
        ({"threads": 2, "cpus": [0]}, "as many CPUs"),
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
        assert hmexp.measure_bandwidth(region, "read", **QUICK).median > 0


def test_a_cpu_that_is_not_there() -> None:
    with hmexp.allocate("1MiB", str(NODE)) as region, pytest.raises(HmexpError, match="EINVAL"):
        hmexp.measure_latency(region, cpu=max(allowed_cpus()) + 4096, **QUICK)
