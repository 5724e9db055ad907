from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.errors import EmulationError, ParameterError
from hmexp.memory.emulation import BANDWIDTH_HEADROOM, Emulation, EmulationRequest, NodeSpeed, Profile
from hmexp.pattern import Pattern

HOST = NodeSpeed(16.0, 10.0, 200.0)


@pytest.fixture
def emulation() -> Emulation:
    return Emulation.scale_to_host(EmulationRequest.parse("2=optane-dcpmm"), HOST, [0], 0)


def test_the_profile_that_comes_with_hmexp_is_the_published_one() -> None:
    profile = Profile.load("optane-dcpmm")
    assert profile.dram == NodeSpeed(105.6, 76.8, 101.5)
    assert profile.slow == NodeSpeed(37.6, 12.5, 305.0)
    assert "FAST 2020" in profile.source


def test_scaling_keeps_the_relations_and_fits_in_the_host(emulation: Emulation) -> None:
    dram, slow = emulation.speeds[0], emulation.speeds[2]
    assert dram.read_gbps / slow.read_gbps == pytest.approx(105.6 / 37.6)
    assert dram.write_gbps / slow.write_gbps == pytest.approx(76.8 / 12.5)
    assert slow.latency_ns / dram.latency_ns == pytest.approx(305 / 101.5)
    assert dram.read_gbps + slow.read_gbps == pytest.approx(BANDWIDTH_HEADROOM * HOST.read_gbps)
    assert dram.latency_ns > HOST.latency_ns


def test_the_interleave_peak_is_above_all_dram(emulation: Emulation) -> None:
    best = emulation.predict({0: 3, 2: 1}, "read")
    assert best > 1.2 * emulation.predict({0: 4}, "read")
    assert emulation.predict({0: 1, 2: 2}, "latency") == pytest.approx(
        (emulation.speeds[0].latency_ns + 2 * emulation.speeds[2].latency_ns) / 3
    )


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_prediction_lies_between_its_bounds(fast: int, slow: int) -> None:
    emulation = Emulation.scale_to_host(EmulationRequest.parse("2=optane-dcpmm"), HOST, [0], 0)
    if fast + slow == 0:
        return
    speed = emulation.predict({0: fast, 2: slow}, "write")
    both = emulation.speeds[0].write_gbps + emulation.speeds[2].write_gbps
    assert emulation.speeds[2].write_gbps * (1 - 1e-9) <= speed <= both * (1 + 1e-9)


def test_record_round_trip(emulation: Emulation) -> None:
    assert Emulation.from_record(json.loads(json.dumps(emulation.to_record()))) == emulation


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
        ("2=../../etc/passwd", EmulationError, "unknown"),
    ],
)
def test_bad_requests(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        EmulationRequest.parse(text)


HEAD = "title = 'x'\nkind = 'nvm'\nsource = 'y'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = 'x'", "kind"),
        (HEAD, r"\[dram\]"),
        (HEAD + "[dram]\nread_gbps = 1\nwrite_gbps = 1", "dram.latency_ns"),
        (HEAD + "[dram]\nread_gbps = 0\nwrite_gbps = 1\nlatency_ns = 1", "dram.read_gbps = 0 is absurd"),
        (HEAD + "[dram]\nread_gbps = nan\nwrite_gbps = 1\nlatency_ns = 1", "absurd"),
        (HEAD + "[dram]\nread_gbps = true\nwrite_gbps = 1\nlatency_ns = 1", "dram.read_gbps"),
        ("not toml", "cannot be read"),
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
