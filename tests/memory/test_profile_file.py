"""The file of a profile: what is written is read back, and whatever is in it is an error or a profile."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hmexp.errors import EmulationError
from hmexp.memory.duplex import Carriers, Link, Medium
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.family import Family, FamilyCurve
from hmexp.memory.profile import Profile
from hmexp.memory.profile_file import check_profile
from hmexp.memory.profile_text import lines_of, to_toml
from hmexp.memory.speed import NodeSpeed
from hmexp.pattern import Pattern

RATES = st.floats(0.01, 1e5)
TEXTS = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() == text)
LINKS = st.builds(Link, RATES, RATES, st.floats(0, 1), st.floats(0, 1))
MEDIA = st.builds(Medium, RATES, RATES, RATES | st.just(float("inf")))
CARRIERS = (
    st.builds(Carriers, LINKS, MEDIA) | st.builds(Carriers, LINKS) | st.builds(Carriers, st.none(), MEDIA)
)
POINTS = st.lists(st.tuples(RATES, RATES), min_size=2, max_size=8, unique_by=lambda point: point[0])
CURVES = st.builds(FamilyCurve.from_points, st.integers(0, 100).map(float), POINTS)
FAMILIES = st.none() | st.lists(
    CURVES, min_size=1, max_size=4, unique_by=lambda curve: curve.read_percent
).map(lambda curves: Family(tuple(curves)))
WRITERS = st.dictionaries(st.integers(1, 999), st.floats(0.001, 1), max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)


@st.composite
def speeds(draw: st.DrawFn) -> NodeSpeed:
    others = {"writers": draw(WRITERS), "family": draw(FAMILIES)}
    if draw(st.booleans()):
        return NodeSpeed.carried(draw(CARRIERS), draw(RATES), **others)
    return NodeSpeed(draw(RATES), draw(RATES), draw(RATES), draw(RATES), **others)


@settings(
    max_examples=settings().max_examples // 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(TEXTS, st.sampled_from(["nvm", "cxl"]), speeds(), speeds(), st.booleans())
def test_what_is_written_is_read_back(
    tmp_path: Path, text: str, kind: str, dram: NodeSpeed, slow: NodeSpeed, captured: bool
) -> None:
    intervals = {"slow.latency_ns": (slow.latency_ns * 0.9, slow.latency_ns * 1.1)} if captured else {}
    profile = Profile("mine", text, kind, f"of {text}", dram, slow, intervals)
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(profile), encoding="utf-8")
    assert Profile.load(str(path)) == profile
    assert lines_of(profile)
    assert Profile.from_record(profile.to_record()).slow == slow


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "title",
        "kind",
        "source",
        "dram",
        "slow",
        "link",
        "medium",
        "curves",
        "intervals",
        "writers",
        "read_gbps",
    ]
)


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6))
def test_anything_else_is_an_error_that_names_the_key(data: dict[str, object]) -> None:
    with pytest.raises(EmulationError, match="a test"):
        check_profile(data, "a test")


@given(st.data())
def test_a_profile_with_one_thing_wrong_is_never_a_crash(data: st.DataObject) -> None:
    """Put anything in any place of a good profile: it is refused, or it is a profile that can be emulated."""
    good = {
        "title": "t", "kind": "cxl", "source": "s",
        "dram": {"latency_ns": 90.0, "medium": {"read_gbps": 9.0, "write_gbps": 8.0}},
        "slow": {
            "curves": [{"read_percent": 50, "bandwidth_gbps": [1.0, 2.0], "latency_ns": [1.0, 2.0]}],
            "link": {"toward_gbps": 2.0, "back_gbps": 2.0, "request": 0.1},
            "intervals": {"latency_ns": [0.5, 2.0]}, "writers": {"4": 0.5},
        },
    }  # fmt: skip
    place: object = good
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()) or not isinstance(place[key], dict | list):  # type: ignore[index]
            place[key] = data.draw(JSON)  # type: ignore[index]
            break
        place = place[key]  # type: ignore[index]
    found = None
    with contextlib.suppress(EmulationError):
        found = check_profile(good, "a test")
    if found is None:
        return
    profile = Profile.of("mine", found)
    host = NodeSpeed(20.0, 10.0, 100.0, 20.0)
    emulation = Emulation.scale_to_host(EmulationRequest(2, profile), host, [0], 0)
    assert emulation.predict({0: 1, 2: 1}, "read") > 0
    assert emulation.node_model(Pattern((0, 2))).rates


def test_curves_alone_are_enough(tmp_path: Path) -> None:
    """Latency and what carries the traffic follow from a family."""
    full = Profile.load("cxl-duplex").slow
    text = to_toml(Profile("x", "t", "cxl", "s", full, full))
    path = tmp_path / "alone.toml"
    path.write_text(text[: text.index("[dram.link]")] + text[text.index("[[dram.curves]]") :])
    found = Profile.load(str(path)).slow
    assert found.carriers is not None and full.carriers is not None and found.carriers.medium is None
    assert found.latency_ns == full.latency_ns
    for share in (0.0, 0.3, 0.58, 1.0):
        assert found.carriers.peak_gbps(share) == pytest.approx(full.carriers.peak_gbps(share), rel=0.003)


def test_a_long_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text("# " + "x" * (5 << 20))
    with pytest.raises(EmulationError, match="longer than"):
        Profile.load(str(path))


def test_profiles_are_listed_shown_and_checked(tmp_path: Path, run_hmexp: Callable[..., Any]) -> None:
    hmexp = partial(run_hmexp, "profile")
    listed = json.loads(hmexp("list", "--json").stdout)
    assert {each["name"] for each in listed} == set(Profile.names())
    shown = hmexp("show", "cxl-duplex")
    assert "50%: 40.13" in shown.stdout and "MICRO 2024" in shown.stdout
    mine = tmp_path / "mine.toml"
    mine.write_text(to_toml(Profile.load("optane-dcpmm")))
    assert "is a profile: Intel Optane" in hmexp("check", str(mine)).stdout
    mine.write_text(mine.read_text().replace("read_gbps = 37.6", "read_gpbs = 37.6"))
    refused = hmexp("check", str(mine))
    assert refused.status == 2 and "slow.read_gpbs is unknown" in refused.stderr
    assert hmexp("check", "cxl-duplex").status == 2
