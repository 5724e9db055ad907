"""Links, media and families of curves: the model against published data, the core against the model."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmexp.errors import EmulationError
from hmexp.measure.knee import find_knee
from hmexp.memory.duplex import Carriers, Link, Medium
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.family import Family, FamilyCurve
from hmexp.memory.fit import fit_peaks
from hmexp.memory.profile import Profile
from hmexp.memory.speed import NodeSpeed
from hmexp.native import OPERATIONS, Blend, Load, NodeModel, replay_bandwidth, replay_latency
from hmexp.pattern import Pattern
from hmexp.store.machine import EmulationRecord

#: A host that carries anything: what is shown here is the model, and no memory is touched.
ABLE = NodeSpeed(1e5, 1e5, 1.0, 1e5, 1.0, 1.0)
FAMILIES = ("cxl-duplex", "ddr4-cascade-lake", "ddr5-sapphire-rapids")


def emulation(name: str) -> Emulation:
    return Emulation.scale_to_host(EmulationRequest.parse(f"2={name}@absolute"), ABLE, [0], 0)


def family(name: str) -> Family:
    found = Profile.load(name).slow.family
    assert found is not None
    return found


def mixed(read_share: float, delay_ns: int = 0, threads: int = 2) -> Load:
    blend = Blend("write_nt", round(1000 * (1 - read_share)))
    return Load("read", threads, blend, burst_bytes=1024, delay_ns=delay_ns)


def saturated(model: NodeModel, read_share: float) -> float:
    return replay_bandwidth(model, mixed(read_share), 20_000)


def test_four_figures_fit_the_published_peaks_of_a_full_duplex_link() -> None:
    """Within 0.15 %, as the figures that were published for it: 24.08, 26.80, 0.200 and 0.080."""
    curves = family("cxl-duplex").curves
    shares, peaks = [c.read_percent / 100 for c in curves], [c.peak_gbps for c in curves]
    assert peaks == [24.475, 27.613, 34.585, 43.645, 35.278, 29.497]
    link = Link(24.08, 26.80, 0.200, 0.080)
    for share, peak in zip(shares, peaks, strict=True):
        assert Carriers(link).peak_gbps(share) == pytest.approx(peak, rel=0.0015)
    fit = fit_peaks(shares, peaks)
    assert fit.worst < 0.0015 and fit.carriers.medium is None and fit.carriers.link is not None
    found = fit.carriers.link
    assert (found.toward_gbps, found.back_gbps) == pytest.approx((24.08, 26.80), rel=0.001)
    assert (found.request, found.completion) == pytest.approx((0.200, 0.080), abs=0.002)


@pytest.mark.parametrize(
    ("name", "figures", "worst"),
    [
        ("ddr4-cascade-lake", (105.9, 88.7, 625.0), 0.039),
        ("ddr5-sapphire-rapids", (240.6, 212.1, 614.0), 0.021),
    ],
)
def test_three_figures_fit_the_published_peaks_of_dram(
    name: str, figures: tuple[float, float, float], worst: float
) -> None:
    curves = family(name)
    fit = fit_peaks(curves.read_shares, [c.peak_gbps for c in curves.curves])
    medium = fit.carriers.medium
    assert medium is not None and fit.carriers.link is None and fit.worst < worst
    found = (medium.read_gbps, medium.write_gbps, medium.turnaround_gbps)
    assert found == pytest.approx(figures, rel=0.005)


def test_one_queue_cannot_be_faster_with_a_mix_and_a_link_is() -> None:
    link = Carriers(Link(24.08, 26.80, 0.2, 0.08))
    dram = Carriers(medium=Medium(106.0, 89.0, 625.0))
    queue = NodeSpeed(26.8, 24.08, 100.0, 24.08)
    mix, ends = link.peak_gbps(0.58), max(link.peak_gbps(0), link.peak_gbps(1))
    assert mix > 1.5 * ends
    assert 1 / queue.busy_ns(0.58, 0.42, nontemporal=True) < 26.8
    # DRAM goes the other way: a few writes cost more than their share.
    assert dram.peak_gbps(0.98) < 106 - 0.02 * (106 - 89)


@pytest.mark.parametrize("name", Profile.names())
def test_the_core_shows_what_is_predicted_of_every_operation(name: str) -> None:
    found = emulation(name)
    for operation, kind in OPERATIONS.items():
        for threads in (1, 2):
            for nodes in ((0,), (2,), (0, 2), (0, 0, 0, 2)):
                model = found.node_model(Pattern(nodes), threads)
                load = Load(operation, threads, burst_bytes=4096)
                shares = {node: nodes.count(node) for node in set(nodes)}
                shown = replay_bandwidth(model, load, 4800)
                # With several nodes a window is a few granules: the queues run dry now and then.
                within = 0.002 if len(nodes) == 1 else 0.05
                expected = found.predict(shares, operation, threads)
                assert shown == pytest.approx(expected, rel=within), (operation, threads, nodes, kind)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 64), st.floats(0.05, 0.95), st.floats(20, 500))
def test_turning_costs_the_same_however_many_threads_make_the_mix(
    threads: int, share: float, turnaround: float
) -> None:
    """Each thread counts the turns of its own lines, and they add up to those of all."""
    share = round(share, 3)
    speed = NodeSpeed.carried(Carriers(medium=Medium(100.0, 80.0, turnaround)), 100.0)
    profile = Profile("mine", "Mine", "dram", "a test", speed, speed)
    model = Emulation(profile, ABLE, {2: speed}, {2: 0}).node_model(Pattern((2,)), threads)
    # Enough that the turn which each thread has not come to yet is less than a hundredth.
    load = replace(mixed(share, threads=threads), burst_bytes=4096)
    shown = replay_bandwidth(model, load, 8000)
    assert shown == pytest.approx(1 / speed.busy_ns(share, 1 - share, nontemporal=True), rel=0.01)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_comes_back_from_the_core(name: str) -> None:
    """Bandwidth at saturation within 5 %, latency below the knee within 10 %, of every published curve."""
    model = emulation(name).node_model(Pattern((2,)), 2, fine=True)
    for curve in family(name).curves:
        share = curve.read_percent / 100
        peak = saturated(model, share)
        assert peak == pytest.approx(curve.peak_gbps, rel=0.05), share
        knee = find_knee(curve.bandwidth_gbps, curve.latency_ns).load_gbps or 0.8 * curve.peak_gbps
        for part in (0.1, 0.4, 0.7, 0.95):
            # Two threads with bursts of 1 KiB: at this pause the load is as asked, and measured again.
            delay = round(2 * 1024 / (part * knee))
            gbps, latency = replay_latency(model, mixed(share, delay), 3000)
            truth = float(np.interp(gbps, curve.bandwidth_gbps, curve.latency_ns))
            assert gbps < 1.02 * knee
            assert latency == pytest.approx(truth, rel=0.10), (share, part, gbps)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_best_mix_of_the_core_is_the_published_one_or_its_neighbour(name: str) -> None:
    model = emulation(name).node_model(Pattern((2,)), 2, fine=True)
    curves = family(name).curves
    shown = [saturated(model, curve.read_percent / 100) for curve in curves]
    published = [curve.peak_gbps for curve in curves]
    assert abs(int(np.argmax(shown)) - int(np.argmax(published))) <= 1
    assert abs(int(np.argmin(shown)) - int(np.argmin(published))) <= 1


def test_the_best_ratio_moves_with_the_mix() -> None:
    """DRAM gets slower by writes among reads and the link faster: a mix wants more pages on the link."""
    found = emulation("cxl-duplex")
    slow, dram = found.speeds[2], found.speeds[0]

    def best(share: float) -> float:
        busy = [speed.busy_ns(share, 1 - share, nontemporal=True) for speed in (dram, slow)]
        return busy[0] / sum(busy)

    assert best(0.58) > best(1.0) + 0.08 and best(0.58) > best(0.1) + 0.08
    ratios = [(1, 0), (8, 1), (5, 1), (3, 1), (2, 1), (1, 1)]
    for share in (0.1, 0.58, 1.0):
        shown = []
        for fast, other in ratios:
            nodes = (0,) * fast + (2,) * other
            model = found.node_model(Pattern(nodes), 8)
            shown.append(replay_bandwidth(model, replace(mixed(share, threads=8), burst_bytes=4096), 3000))
        predicted = [of_both(f / (f + o), share, dram, slow) for f, o in ratios]
        assert abs(int(np.argmax(shown)) - int(np.argmax(predicted))) <= 1, (share, shown, predicted)


def of_both(x: float, share: float, dram: NodeSpeed, slow: NodeSpeed) -> float:
    busy = [speed.busy_ns(share, 1 - share, nontemporal=True) for speed in (dram, slow)]
    return 1 / max(x * busy[0], (1 - x) * busy[1])


def test_a_knee_emerges_where_no_curve_is_given() -> None:
    speed = NodeSpeed.carried(Carriers(Link(24.0, 26.0, 0.2, 0.08)), 200.0)
    profile = Profile("mine", "Mine", "cxl", "a test", speed, speed)
    model = Emulation(profile, ABLE, {2: speed}, {2: 0}).node_model(Pattern((2,)), 2, fine=True)
    curve = [replay_latency(model, mixed(0.58, delay), 3000) for delay in (20_000, 1000, 200, 100, 50, 0)]
    loads, latencies = zip(*curve, strict=True)
    assert latencies[0] == pytest.approx(200, rel=0.02)
    assert list(loads) == sorted(loads)
    knee = find_knee(loads, latencies)
    assert knee.saturated and knee.load_gbps is not None and knee.load_gbps > 0.6 * max(loads)


def test_scaling_keeps_every_mix_within_the_host_and_all_relations() -> None:
    profile, host = Profile.load("cxl-duplex"), NodeSpeed(30.0, 12.0, 150.0, 25.0)
    found = Emulation.scale_to_host(EmulationRequest.parse("2=cxl-duplex"), host, [0], 0)
    factor = found.scale["read"]
    assert found.scale["write"] == found.scale["write_nt"] == factor
    scaled, published = found.speeds[2].carriers, profile.slow.carriers
    assert scaled is not None and published is not None
    for share in (0.0, 0.3, 0.58, 1.0):
        assert scaled.peak_gbps(share) == pytest.approx(factor * published.peak_gbps(share))
        both = sum(1 / found.speeds[n].busy_ns(share, 1 - share, nontemporal=True) for n in (0, 2))
        able = 1 / host.busy_ns(share, 1 - share, nontemporal=True)
        assert both <= 0.6 * able * 1.03
    stored = msgspec.json.decode(msgspec.json.encode(found.to_record()), type=EmulationRecord)
    assert Emulation.from_record(stored) == found
    assert found.speeds[2].family is not None
    assert found.speeds[2].family.idle_ns == pytest.approx(found.speeds[2].latency_ns)


def test_absolute_speed_of_a_link_is_refused_where_a_mix_does_not_fit() -> None:
    request = EmulationRequest.parse("2=cxl-duplex@absolute")
    host = NodeSpeed(250.0, 115.0, 50.0, 190.0)
    with pytest.raises(EmulationError, match=r"cxl-duplex at absolute speed: of .* loads"):
        Emulation.scale_to_host(request, host, [0], 0)


def test_writers_slow_the_medium_or_else_the_link() -> None:
    link, medium = Link(20.0, 20.0), Medium(50.0, 30.0)
    for carriers, alone in ((Carriers(link), 20.0), (Carriers(medium=medium), 30.0)):
        speed = NodeSpeed.carried(carriers, 100.0, writers=((1, 1.0), (4, 0.5)))
        assert 1 / speed.busy_ns(0, 1, 4, nontemporal=True) == pytest.approx(alone / 2)
        assert 1 / speed.busy_ns(1, 0, 4) == pytest.approx(1 / speed.busy_ns(1, 0, 1))


def test_interpolation_is_as_stated() -> None:
    found = Family(
        (
            FamilyCurve(100, (0.0, 10.0, 20.0), (100.0, 110.0, 200.0)),
            FamilyCurve(50, (0.0, 10.0), (120.0, 300.0)),
        )
    )
    assert found.read_shares == (0.5, 1.0)
    assert found.peak_gbps(0.75) == pytest.approx(2 / (1 / 10 + 1 / 20))
    assert found.peak_gbps(0.0) == 10.0 and found.latency_ns(0.0, 10.0) == 300.0
    assert found.latency_at(1.0, 0.25) == pytest.approx(105.0)
    assert found.latency_at(0.75, 0.5) == pytest.approx((210 + 110) / 2)
    assert found.latency_ns(1.0, 1000.0) == 200.0
    grid = found.grid(3, 5)
    assert grid[1][2] == pytest.approx(found.latency_at(0.5, 0.5)) and grid[2][4] == 200.0


@pytest.mark.parametrize("left_out", range(1, 14))
def test_a_curve_that_is_left_out_is_interpolated_from_its_neighbours(left_out: int) -> None:
    """DRAM's curves change little from one to the next: what is between them is known within 5 and 10 %."""
    whole = family("ddr4-cascade-lake")
    curve = whole.curves[left_out]
    rest = Family(whole.curves[:left_out] + whole.curves[left_out + 1 :])
    share = curve.read_percent / 100
    assert rest.peak_gbps(share) == pytest.approx(curve.peak_gbps, rel=0.05)
    knee = find_knee(curve.bandwidth_gbps, curve.latency_ns).load_gbps or curve.peak_gbps
    for bandwidth, latency in zip(curve.bandwidth_gbps, curve.latency_ns, strict=True):
        if bandwidth <= knee:
            assert rest.latency_ns(share, bandwidth) == pytest.approx(latency, rel=0.10)


@given(
    st.floats(1, 500), st.floats(1, 500), st.floats(0, 0.5), st.floats(0, 0.5),
    st.lists(st.integers(0, 100), min_size=6, max_size=20, unique=True),
)  # fmt: skip
def test_a_link_is_found_again_from_its_own_peaks(
    toward: float, back: float, request: float, completion: float, percents: list[int]
) -> None:
    truth = Carriers(Link(toward, back, request, completion))
    shares = [percent / 100 for percent in sorted(percents)]
    peaks = [truth.peak_gbps(share) for share in shares]
    fit = fit_peaks(shares, peaks)
    assert fit.worst < 1e-6
    for share, peak in zip(shares, peaks, strict=True):
        assert fit.carriers.peak_gbps(share) == pytest.approx(peak, rel=1e-6)


@given(st.floats(1, 500), st.floats(1, 500), st.floats(10, 5000))
def test_a_medium_is_found_again_from_its_own_peaks(read: float, write: float, turning: float) -> None:
    truth = Carriers(medium=Medium(read, write, turning))
    shares = [step / 10 for step in range(11)]
    fit = fit_peaks(shares, [truth.peak_gbps(share) for share in shares])
    assert fit.worst < 1e-6


def test_what_no_figures_explain_is_refused() -> None:
    shares, peaks = [step / 10 for step in range(11)], [10.0, 40.0] * 5 + [10.0]
    with pytest.raises(EmulationError, match="no link and no medium explains"):
        fit_peaks(shares, peaks)


@pytest.mark.parametrize(
    ("curves", "says"),
    [
        ((), "0 curves"),
        ((FamilyCurve(50, (0, 1), (1, 1)), FamilyCurve(50, (0, 1), (1, 1))), "two curves for 50 %"),
        ((FamilyCurve(101, (0, 1), (1, 1)),), "101 % reads"),
        ((FamilyCurve(50, (0,), (1,)),), "1 bandwidths"),
        ((FamilyCurve(50, (1, 1), (1, 1)),), "do not ascend"),
        ((FamilyCurve(50, (0, math.nan), (1, 1)),), "bandwidth is out of range"),
        ((FamilyCurve(50, (0, 1), (1, math.inf)),), "latency is out of range"),
        ((FamilyCurve(50, (0, 1), (1, 0)),), "latency is out of range"),
    ],
)
def test_bad_families_are_refused(curves: tuple[FamilyCurve, ...], says: str) -> None:
    with pytest.raises(EmulationError, match=says):
        Family(curves)


def test_points_of_a_curve_come_in_any_order() -> None:
    curve = FamilyCurve.from_points(50, [(3.0, 30.0), (1.0, 10.0), (3.0, 40.0)])
    assert curve == FamilyCurve(50, (1.0, 3.0), (10.0, 35.0))
    assert all(later > earlier for earlier, later in pairwise(curve.bandwidth_gbps))
