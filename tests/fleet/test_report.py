"""The report of a fleet: of records whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hmexp.report.fleet.comparable import Unit
from hmexp.report.fleet.facts import Census
from hmexp.report.fleet.outliers import find_deviations, find_odd
from hmexp.report.fleet.page import find_all, render_fleet, write_fleet_report
from hmexp.report.fleet.reading import Fleet, FleetHost
from hmexp.report.fleet.safety import find_ratios, find_safe, tolerance_rank
from hmexp.report.fleet.variation import find_components
from hmexp.report.fleet.words import say_question
from hmexp.store.fleet import FleetRecord, HostRecord

READ = "GB/s"


def fleet_of(
    speeds: dict[str, float], facts: Callable[[str], dict[str, str]] = lambda _name: {}, seed: int = 0
) -> Fleet:
    """Hosts with two ratios of reads and a latency, three launches each, with a noise of 1 %."""
    draw = np.random.default_rng(seed)
    hosts = []
    for name, speed in speeds.items():
        units = {
            Unit("read", 1.0, "GB/s", "x"): 10 * speed,
            Unit("read", 0.5, "GB/s", "x"): 9.5 * speed,
            Unit("latency", 1.0, "ns", "x", -1): 100 / speed,
        }
        launches = {
            unit: tuple(float(value * draw.normal(1, 0.01)) for _ in range(3))
            for unit, value in units.items()
        }
        kept = {unit: 1.0 if unit.share == 1 else 0.95 for unit in units}
        hosts.append(FleetHost(HostRecord(name=name, state="measured"), launches, kept, facts(name)))
    record = FleetRecord(name="fleet", plan="x", measurement="sweep", started="2026-01-01T00:00:00+00:00")
    return Fleet(record, tuple(hosts))


def test_a_slow_host_is_named_with_the_setting_that_was_changed() -> None:
    def facts(name: str) -> dict[str, str]:
        odd = name == "host-2"
        return {
            "setting kernel.numa_balancing": "1" if odd else "0", "kernel": "6.12",
            "memory_total_bytes": f"{hash(name)}", "microcode": "0x1",
        }  # fmt: skip

    speeds = {f"host-{number}": 0.8 if number == 2 else 1.0 for number in range(4)}
    found = find_all(fleet_of(speeds, facts))
    assert [each.host.name for each in found.odd] == ["host-2"]
    assert {each.operation for each in found.odd[0].by} == {"read", "latency"}
    assert all(each.part == pytest.approx(-0.2, abs=0.03) for each in found.odd[0].by)
    assert [each.name for each in found.odd[0].facts] == ["setting kernel.numa_balancing"]
    assert found.verdict.say.startswith("host-2 stands out.")
    assert "kernel.numa_balancing is 1 here, 0 on the others" in found.verdict.why


@pytest.mark.parametrize("seed", range(5))
def test_hosts_that_differ_by_noise_alone_do_not_stand_out(seed: int) -> None:
    fleet = fleet_of({f"host-{number}": 1.0 for number in range(30)}, seed=seed)
    assert find_odd(fleet, find_deviations(fleet)) == ()


def test_two_hosts_do_not_say_which_is_odd() -> None:
    fleet = fleet_of({"a": 1.0, "b": 0.5})
    assert find_odd(fleet, find_deviations(fleet)) == ()
    assert "Two hosts cannot show" in find_all(fleet).verdict.say


def test_the_most_telling_facts_come_first() -> None:
    every = [{"kernel": "a", "microcode": "1", "serial": str(number)} for number in range(20)]
    every[0] |= {"microcode": "2"}
    every[1] |= {"kernel": "b"}
    every[0] |= {"kernel": "b"}
    found = Census.of(every).differences(every[0])
    assert [(each.name, each.here, each.elsewhere) for each in found] == [
        ("microcode", "2", "1"), ("kernel", "b", "a"),
    ]  # fmt: skip
    assert Census.of(every).differences(every[5]) == []


def test_a_setting_that_is_known_twice_is_said_once() -> None:
    setting, known = "setting kernel.numa_balancing", "numa_balancing"
    every = [{setting: "0", known: "0"} for _ in range(4)]
    odd = Census.of([{setting: "1", known: "1"}, *every])
    assert [each.name for each in odd.differences({setting: "1", known: "1"})] == [setting]
    # It was changed between the plan and the launches.
    changed = Census.of([{setting: "0", known: "1"}, *every]).differences({setting: "0", known: "1"})
    assert [str(each) for each in changed] == ["numa_balancing is 1 here, 0 on the others"]


@pytest.mark.parametrize("truth", [0.0, 0.01, 0.05])
def test_the_interval_of_the_component_covers_the_truth_as_often_as_it_says(truth: float) -> None:
    draw = np.random.default_rng(3)
    covered, middles = 0, []
    for _ in range(100):
        hosts = draw.normal(0, truth, 12)
        sizes = draw.integers(2, 6, 12)
        groups = [
            np.exp(host + draw.normal(0, 0.02, size)).tolist()
            for host, size in zip(hosts, sizes, strict=True)
        ]
        found = find_components(groups)
        assert found is not None and found.low is not None and found.high is not None
        assert found.within == pytest.approx(0.02, rel=0.6)
        covered += found.low <= truth <= found.high
        middles.append(found.between)
    assert covered >= 88
    assert math.sqrt(np.mean(np.square(middles))) == pytest.approx(truth, abs=0.008)


def test_without_repeated_launches_there_is_no_interval() -> None:
    found = find_components([[1.0], [1.1], [0.9]])
    assert found is not None and found.low is None and found.within is None
    assert find_components([[1.0, 1.1]]) is None


def test_the_bound_for_other_hosts_takes_59() -> None:
    # Wilks: 1 - 0.95^59 is the first above 0.95; the second smallest takes 93.
    assert [tolerance_rank(count) for count in (58, 59, 92, 93)] == [None, 1, 1, 2]


def test_a_ratio_is_safe_if_95_percent_of_the_hosts_keep_enough() -> None:
    def fleet(bad: int) -> Fleet:
        half = Unit("read", 0.5, READ, "x")
        return Fleet(
            FleetRecord(name="f", plan="x", measurement="sweep"),
            tuple(
                FleetHost(
                    HostRecord(name=f"h{number}", state="measured"),
                    {half: (1.0,)},
                    {Unit("read", 1.0, READ, "x"): 1.0, half: 0.5 if number < bad else 0.95},
                )
                for number in range(100)
            ),
        )

    ratios = find_ratios(fleet(5))
    safe = find_safe(ratios)
    assert safe is not None and (safe.ratio, safe.kept, safe.bound) == ("1:1", 0.95, 0.5)
    none = find_safe(find_ratios(fleet(6)))
    assert none is not None and none.share == 1.0


@pytest.mark.parametrize(
    ("measurement", "question", "say"),
    [
        ("sweep", "which ratio is safe", "1:1 is safe: 95 % of the measured hosts keep 95 % or more of all "),
        ("program", "which ratio is safe", "keep 95 % or more of the speed on DRAM alone."),
        ("matrix", "which stand out?", "No host stands out."),
        ("curves", "which stand out?", "No host stands out."),
    ],
)
def test_a_ratio_is_spoken_of_where_ratios_were_asked_for(measurement: str, question: str, say: str) -> None:
    fleet = fleet_of({"a": 1.0, "b": 1.0, "c": 1.0})
    record = msgspec.structs.replace(fleet.record, measurement=measurement)
    found = find_all(Fleet(record, fleet.hosts))
    assert question in say_question(found.fleet)
    assert say in found.verdict.say
    assert ("1:1" in found.verdict.say) == (measurement in ("sweep", "program"))


def test_what_hosts_say_is_escaped() -> None:
    fleet = fleet_of(
        {f"h{number}": 0.5 if number == 0 else 1.0 for number in range(5)},
        lambda name: {"bios <b>": "<script>alert(1)</script>" if name == "h0" else "ok"},
    )
    page = render_fleet(find_all(fleet), None)
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_the_page_shows_what_must_be_said(tmp_path: Path) -> None:
    fleet = fleet_of({"a": 1.0, "b": 1.0, "c": 1.0})
    emulated = FleetHost(
        fleet.hosts[0].record, fleet.hosts[0].launches, labels=("EMULATED slow memory (optane-dcpmm)",)
    )
    gone = FleetHost(HostRecord(name="gone", state="lost", reason="it did not come back"))
    shared = FleetRecord(name="f", plan="x", measurement="sweep", shared=True)
    page = render_fleet(find_all(Fleet(shared, (emulated, *fleet.hosts[1:], gone))), None)
    assert "EMULATED slow memory (optane-dcpmm)" in page
    assert "processes of one machine" in page and "it did not come back" in page


def test_the_report_of_what_a_gatherer_stored(scene: Any) -> None:
    for host in ("host-a", "host-b", "host-c"):
        assert scene.gather(host).state == "measured"
    damaged = scene.results / "one" / "hosts" / "host-c" / "points.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b'"median":', b'"median":"x",', 1))
    page, found = write_fleet_report(scene.results / "one")
    assert [host.name for host in found.fleet.measured] == ["host-a", "host-b"]
    assert "is damaged" in page.read_text()
    assert {"report.html", "hosts.csv", "points.csv", "figures"} <= {p.name for p in page.parent.iterdir()}
