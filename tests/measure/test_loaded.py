"""Knees of known curves, and loaded latency of real and emulated regions; no host's speed is asserted."""

from __future__ import annotations

import msgspec
import pytest

import hmexp
from hmexp.errors import ParameterError
from hmexp.measure.knee import find_knee
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.pattern import Pattern
from hmexp.store.results import CurveRecord
from hmexp.system.cpus import allowed_cpus
from hmexp.system.topology import read_topology

NODE = read_topology().memory_nodes[0].id
SLOW_HOST = NodeSpeed(0.5, 0.5, 2000.0, 0.5, 2000.0, 2000.0)
EMULATION = Emulation.scale_to_host(EmulationRequest.parse("9=optane-dcpmm"), SLOW_HOST, [NODE], NODE)
QUICK = hmexp.Sampling(2, 0.001)
FEW = hmexp.Injection((0, 20_000), refine=2)
TWO_CPUS = pytest.mark.skipif(len(allowed_cpus()) < 2, reason="a chase and a load take two CPUs")


def queue_ns(load: float, capacity: float, idle: float) -> float:
    """Latency of a queue whose service takes a tenth of the idle latency."""
    used = min(load / capacity, 0.995)
    return idle * (1 + 0.05 * used / (1 - used))


@pytest.mark.parametrize("capacity", [2.0, 37.6, 200.0])
def test_the_knee_of_a_queue_lies_near_its_capacity(capacity: float) -> None:
    load = [capacity * part for part in (0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98, 0.99)]
    knee = find_knee(load, [queue_ns(x, capacity, 100.0) for x in load])
    assert knee.saturated and knee.load_gbps == pytest.approx(capacity, rel=0.10)
    assert "knee at" in str(knee)


def test_a_curve_that_stays_on_the_ground_has_no_knee() -> None:
    knee = find_knee([0, 5, 10, 20], [134, 136, 139, 143])
    assert not knee.saturated and knee.load_gbps is None
    assert "not saturated" in str(knee)


@TWO_CPUS
@pytest.mark.parametrize("op", ["read", "copy_nt", "3:1"])
def test_a_curve_comes_with_its_proofs(op: str) -> None:
    with hmexp.allocate("4MiB", str(NODE)) as region:
        curve = hmexp.measure_loaded_latency(region, op, 1, injection=FEW, sampling=QUICK)  # type: ignore[arg-type]
    assert curve.points[0].delay_ns is None and curve.points[0].load_gbps == 0
    delays = [p.delay_ns for p in curve.points[1:]]
    assert {0, 20_000} <= set(delays) and delays == sorted(delays, key=lambda d: -(d or 0))
    assert curve.profile is None and curve.after[0].ok
    assert curve.details.lines == (2 << 20) // 64
    record = curve.to_record()
    assert msgspec.json.decode(msgspec.json.encode(record), type=CurveRecord) == record


@TWO_CPUS
def test_chase_and_load_can_be_on_different_patterns() -> None:
    with (
        hmexp.allocate("4MiB", str(NODE), emulation=EMULATION) as probe,
        hmexp.allocate("4MiB", Pattern((NODE, 9)), emulation=EMULATION) as load,
    ):
        curve = hmexp.measure_loaded_latency(probe, "read", 1, load=load, injection=FEW, sampling=QUICK)  # type: ignore[arg-type]
    assert (curve.probe_pattern, curve.load_pattern) == (str(NODE), f"{NODE},9")
    assert curve.profile == "optane-dcpmm" and len(curve.after) == 2
    # The model's own clock forbids a hop to be faster than its node.
    assert curve.idle_ns > 0.99 * EMULATION.speeds[NODE].latency_ns


@TWO_CPUS
def test_regions_of_different_emulations_are_refused() -> None:
    with (
        hmexp.allocate("1MiB", str(NODE)) as one,
        hmexp.allocate("1MiB", "9", emulation=EMULATION) as two,
        pytest.raises(ParameterError, match="emulated differently"),
    ):
        hmexp.measure_loaded_latency(one, load=two)


@TWO_CPUS
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"operation": "sort"}, "unknown"),
        ({"threads": 0}, "positive"),
        ({"threads": 1_000_000}, "more than the"),
        ({"injection": hmexp.Injection(())}, "no delays"),
        ({"injection": hmexp.Injection((-1,))}, "delay -1"),
        ({"injection": hmexp.Injection(vector_bits=1024)}, "vector width 1024"),
        ({"ring": hmexp.RingPlan(window_bytes=1 << 40)}, "window"),
        ({"sampling": hmexp.Sampling(0)}, "samples"),
    ],
)
def test_bad_requests_are_told(arguments: dict[str, object], says: str) -> None:
    with hmexp.allocate("1MiB", str(NODE)) as region, pytest.raises(ParameterError, match=says):
        hmexp.measure_loaded_latency(region, **arguments)  # type: ignore[arg-type]
