from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import EmulationError, ParameterError
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed, Profile
from hmexp.memory.scale import BANDWIDTH_HEADROOM
from hmexp.pattern import Pattern
from hmexp.store.machine import EmulationRecord

HOST = NodeSpeed(16.0, 10.0, 200.0)


def stored(emulation: Emulation) -> Emulation:
    record = msgspec.json.decode(msgspec.json.encode(emulation.to_record()), type=EmulationRecord)
    return Emulation.from_record(record)


@pytest.fixture
def emulation() -> Emulation:
    return Emulation.scale_to_host(EmulationRequest.parse("2=optane-dcpmm"), HOST, [0], 0)


def test_the_profile_that_comes_with_hmexp_is_the_published_one() -> None:
    profile = Profile.load("optane-dcpmm")
    dram, slow = profile.dram, profile.slow
    assert (dram.read_gbps, dram.write_nt_gbps, dram.latency_ns) == (105.6, 76.8, 101.5)
    assert (slow.read_gbps, slow.write_nt_gbps, slow.latency_ns) == (37.6, 12.5, 305.0)
    assert slow.write_nt_gbps * slow.writing_part(24) == pytest.approx(7.5)
    for speed in (dram, slow):
        # Derived: a regular store reads its line, and writes it.
        whole = 1 / speed.read_gbps + 1 / speed.write_nt_gbps
        assert speed.write_gbps == pytest.approx(1 / whole, rel=0.001)
    assert "FAST 2020" in profile.source


def test_scaling_keeps_the_relations_and_fits_in_the_host(emulation: Emulation) -> None:
    dram, slow = emulation.speeds[0], emulation.speeds[2]
    assert dram.read_gbps / slow.read_gbps == pytest.approx(105.6 / 37.6)
    assert dram.write_gbps / slow.write_gbps == pytest.approx(44.5 / 9.38)
    assert slow.latency_ns / dram.latency_ns == pytest.approx(305 / 101.5)
    assert dram.read_gbps + slow.read_gbps == pytest.approx(BANDWIDTH_HEADROOM * HOST.read_gbps)
    assert dram.latency_ns > HOST.latency_ns


def test_the_interleave_peak_is_above_all_dram(emulation: Emulation) -> None:
    best = emulation.predict({0: 3, 2: 1}, "read")
    assert best > 1.2 * emulation.predict({0: 4}, "read")
    assert emulation.predict({0: 1, 2: 2}, "latency") == pytest.approx(
        (emulation.speeds[0].latency_ns + 2 * emulation.speeds[2].latency_ns) / 3
    )


def test_writers_slow_each_other_down_on_a_straight_line_between_figures() -> None:
    slow = Profile.load("optane-dcpmm").slow
    assert [slow.writing_part(n) for n in (1, 4, 14, 24, 100)] == pytest.approx([1.0, 1.0, 0.8, 0.6, 0.6])
    assert NodeSpeed(1, 1, 1).writing_part(1000) == 1.0


def test_what_an_operation_costs_is_the_sum_of_its_loads_and_stores(emulation: Emulation) -> None:
    speed = emulation.speeds[2]
    for name, reads, writes in (("mix_3_1", 3, 1), ("copy", 1, 1), ("triad", 2, 1), ("read", 1, 0)):
        per_byte = (reads / speed.read_gbps + writes / speed.write_gbps) / (reads + writes)
        assert emulation.predict({2: 7}, name) == pytest.approx(1 / per_byte)
    assert emulation.predict({2: 1}, "write", threads=24) == pytest.approx(0.6 * speed.write_gbps)
    assert emulation.predict({2: 1}, "read", threads=24) == pytest.approx(speed.read_gbps)


def test_a_figure_that_was_not_measured_is_named(emulation: Emulation) -> None:
    """The host here was measured without non-temporal stores: they cannot be scaled."""
    with pytest.raises(EmulationError, match="write_nt_gbps"):
        emulation.predict({2: 1}, "copy_nt")
    with pytest.raises(EmulationError, match="store_nt_ns"):
        emulation.predict({2: 1}, "store_nt")


def test_absolute_speed_is_refused_where_the_host_cannot_carry_it() -> None:
    request = EmulationRequest.parse("2=optane-dcpmm@absolute")
    assert str(request) == "2=optane-dcpmm@absolute"
    with pytest.raises(EmulationError, match=r"dram\.read_gbps \+ slow\.read_gbps = 143\.2"):
        Emulation.scale_to_host(request, HOST, [0], 0)
    with pytest.raises(EmulationError, match="the least latency_ns = 101"):
        Emulation.scale_to_host(request, NodeSpeed(1000.0, 1000.0, 200.0), [0], 0)
    able = Emulation.scale_to_host(request, NodeSpeed(1000.0, 1000.0, 90.0), [0], 0)
    assert able.speeds[2].read_gbps == 37.6 and able.speeds[0].latency_ns == 101.5
    assert stored(able) == able


@pytest.mark.parametrize("name", Profile.names())
def test_every_profile_that_comes_with_hmexp_can_be_scaled(name: str) -> None:
    profile = Profile.load(name)
    # A profile of DRAM alone has two nodes of it.
    alone = profile.kind == "dram"
    assert profile.source and (profile.slow.read_gbps < profile.dram.read_gbps or alone)
    host = NodeSpeed(16.0, 10.0, 200.0, 25.0, 300.0, 300.0)
    emulation = Emulation.scale_to_host(EmulationRequest.parse(f"2={name}"), host, [0], 0)
    for operation in ("read", "write", "write_nt", "latency"):
        slow, dram = (emulation.predict({node: 1}, operation) for node in (2, 0))
        assert slow == dram if alone else (slow > dram) == (operation == "latency")


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_prediction_lies_between_its_bounds(fast: int, slow: int) -> None:
    emulation = Emulation.scale_to_host(EmulationRequest.parse("2=optane-dcpmm"), HOST, [0], 0)
    if fast + slow == 0:
        return
    speed = emulation.predict({0: fast, 2: slow}, "write")
    both = emulation.speeds[0].write_gbps + emulation.speeds[2].write_gbps
    assert emulation.speeds[2].write_gbps * (1 - 1e-9) <= speed <= both * (1 + 1e-9)


def test_record_round_trip(emulation: Emulation) -> None:
    assert stored(emulation) == emulation


def test_a_node_that_is_not_modelled_is_named(emulation: Emulation) -> None:
    with pytest.raises(EmulationError, match="node 5 is not modelled"):
        emulation.node_model(Pattern((0, 5)))


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", ParameterError, "NODE=PROFILE"),
        ("2", ParameterError, "NODE=PROFILE"),
        ("2:optane-dcpmm", ParameterError, "NODE=PROFILE"),
        ("-2=optane-dcpmm", ParameterError, "NODE=PROFILE"),
        ("2000=optane-dcpmm", ParameterError, "outside"),
        ("2=optan", EmulationError, "optane-dcpmm"),
        ("2=optane-dcpmm@fast", ParameterError, "NODE=PROFILE"),
        ("2=../../etc/passwd", EmulationError, "unknown"),
    ],
)
def test_bad_requests(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        EmulationRequest.parse(text)


HEAD = "title = 'x'\nkind = 'nvm'\nsource = 'y'\n"
GOOD = "read_gbps = 2\nwrite_gbps = 1\nlatency_ns = 50\n"
MEDIUM = "[dram]\nlatency_ns = 1\n[dram.medium]\nread_gbps = 2\nwrite_gbps = 1\n"
CURVE = "[[dram.curves]]\nread_percent = 50\nbandwidth_gbps = [1, 2]\nlatency_ns = [100, 150]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = 'x'", "kind"),
        (HEAD, r"\[dram\]"),
        (HEAD + "[dram]\nread_gbps = 1\nwrite_gbps = 1", "dram.latency_ns"),
        (
            HEAD + "[dram]\nread_gbps = 0\nwrite_gbps = 1\nlatency_ns = 1",
            "dram.read_gbps = 0 is out of range",
        ),
        (HEAD + "[dram]\nread_gbps = nan\nwrite_gbps = 1\nlatency_ns = 1", "out of range"),
        (HEAD + "[dram]\nread_gbps = true\nwrite_gbps = 1\nlatency_ns = 1", "dram.read_gbps"),
        (HEAD + "[dram]\nwrites = 3", "dram.writes is unknown"),
        (HEAD + f"[dram]\n{GOOD}write_nt_gbps = 1\n[slow]\n{GOOD}", "has no number slow.write_nt_gbps"),
        (HEAD + f"[dram]\n{GOOD}[slow]\n{GOOD}store_nt_ns = 1\n", "has no number dram.store_nt_ns"),
        (
            HEAD + f"[dram]\n{GOOD}[slow]\n{GOOD}[slow.writers]\nmany = 1",
            "slow.writers.many is not a number of threads",
        ),
        (
            HEAD + f"[dram]\n{GOOD}[slow]\n{GOOD}[slow.writers]\n4 = 1.5",
            "slow.writers.4 = 1.5 is out of range",
        ),
        (HEAD + f"[dram]\n{GOOD}[slow]\n{GOOD}writers = 3", "slow.writers is not a table"),
        ("not toml", "cannot be read"),
        (HEAD.replace("nvm", "nvme") + f"[dram]\n{GOOD}", "kind 'nvme' is unknown"),
        (
            HEAD + f"[dram]\n{GOOD}[dram.link]\ntoward_gbps = 1\nback_gbps = 1",
            "dram.read_gbps is given beside",
        ),
        (HEAD + "[dram]\nlatency_ns = 1\n[dram.link]\ntoward_gbps = 1", "dram.link.back_gbps is missing"),
        (HEAD + "[dram]\nlatency_ns = 1\n[dram.link]\nspeed = 1", "dram.link.speed is unknown"),
        (HEAD + "[dram]\nlatency_ns = 1\nmedium = 4", "dram.medium is not a table"),
        (HEAD + f"{MEDIUM}turnaround_gbps = 0", "dram.medium.turnaround_gbps = 0 is out of range"),
        (HEAD + f"{MEDIUM}[dram.intervals]\nlatency_ns = [2, 3]", "outside its interval 2 to 3"),
        (HEAD + f"{MEDIUM}[dram.intervals]\nread_gbps = [2, 3]", "dram.intervals.read_gbps is unknown"),
        (HEAD + f"{MEDIUM}[dram.intervals]\nlatency_ns = 1", "is not .low, high."),
        (HEAD + "[dram]\ncurves = 3", "dram.curves is not a list"),
        (HEAD + "[dram]\ncurves = [3]", r"dram.curves\[0\] is not a table"),
        (HEAD + "[[dram.curves]]\nshare = 1", r"dram.curves\[0\].share is unknown"),
        (HEAD + "[[dram.curves]]\nread_percent = 1", r"bandwidth_gbps is missing or is not a list"),
        (HEAD + CURVE.replace("[1, 2]", "[2, 1]"), "do not ascend"),
        (HEAD + CURVE.replace("[1, 2]", "[1, 'x']"), "bandwidth_gbps is missing or is not a number"),
        (HEAD + CURVE + CURVE, "two curves for 50 %"),
        ("[" * 5000, "cannot be read"),
    ],
)
def test_bad_profiles_name_the_field(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(EmulationError, match=says):
        Profile.load(str(path))


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    numbers = "read_gbps = 2\nwrite_gbps = 1\nlatency_ns = 50\n"
    path.write_text(f"title = 'Mine'\nkind = 'cxl'\nsource = 'my bench'\n[dram]\n{numbers}[slow]\n{numbers}")
    assert EmulationRequest.parse(f"7={path}").profile.name == "mine"
    path.write_text(path.read_text(), encoding="utf-8-sig")  # as editors of Windows do
    assert EmulationRequest.parse(f"7={path}").profile.name == "mine"
