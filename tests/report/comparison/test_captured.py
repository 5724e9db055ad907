"""A machine against the emulation of its captured profile: the right one agrees, and a wrong one is found."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hmexp.errors import ParameterError
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.profile_text import to_toml
from hmexp.memory.speed import NodeSpeed
from hmexp.pattern import Pattern
from hmexp.report.atlas.bundle import make_bundle, parse_bundle
from hmexp.report.atlas.capture import capture
from hmexp.report.comparison.options import ComparisonOptions
from hmexp.report.comparison.outcome import Comparison
from hmexp.report.comparison.verdicts import compare

#: Another machine: slower than the captured one in everything, so that the profile must be scaled.
ELSEWHERE = NodeSpeed(9.0, 4.0, 210.0, 3.0)
ABLE = NodeSpeed(1e5, 1e5, 1.0, 1e5)
Round = Callable[..., Comparison]


@pytest.fixture
def go_round(synthetic: SimpleNamespace, tmp_path: Path) -> Round:
    """Capture a machine with a slow node, export, import, emulate on a host, and compare."""

    def go(
        host: NodeSpeed = ABLE, *, absolute: bool = True, wrong: float = 1.0, threads: int = 2
    ) -> Comparison:
        machine = tmp_path / "machine"
        records = synthetic.sweep(emulated=False)
        synthetic.write_run(machine, records, synthetic.make_run(len(records), emulated=False))
        bundle = parse_bundle(make_bundle(capture(machine)).to_json().encode(), "the bundle")
        profile = bundle.profile
        if wrong != 1:
            slow = replace(profile.slow, read_gbps=profile.slow.read_gbps * wrong)
            kept = {key: ends for key, ends in profile.intervals.items() if key != "slow.read_gbps"}
            profile = replace(profile, slow=slow, intervals=kept)
        file = tmp_path / "it.toml"
        file.write_text(to_toml(profile))
        request = EmulationRequest.parse(f"2={file}{'@absolute' * absolute}")
        emulation = Emulation.scale_to_host(request, host, [0], 0)
        again = [shown(record, emulation, threads) for record in records]
        run = synthetic.make_run(len(again), name="emulated")
        run["emulation"] = msgspec.to_builtins(emulation.to_record(), str_keys=True)
        synthetic.write_run(tmp_path / "emulated", again, run)
        return compare(machine, tmp_path / "emulated", ComparisonOptions(of_profile=True))

    return go


def shown(record: dict[str, Any], emulation: Emulation, threads: int) -> dict[str, Any]:
    """The same point as an emulation shows it, with noise of 1 %."""
    found = copy.deepcopy(record)
    parameters = found["parameters"]
    nodes = Pattern.parse(parameters["pattern"]).nodes
    if parameters["operation"] != "latency":
        parameters["threads"] = threads
    model = emulation.predict({n: nodes.count(n) for n in set(nodes)}, parameters["operation"], threads)
    noise = random.Random(f"{parameters['pattern']} {parameters['operation']}")
    samples = sorted(model * noise.gauss(1, 0.01) for _ in range(10))
    return found | {
        "emulated": True, "profile": emulation.profile.name, "model": {"value": model},
        "result": found["result"] | {"samples": samples, "median": samples[5]},
    }  # fmt: skip


@pytest.mark.parametrize(("host", "absolute"), [(ABLE, True), (ELSEWHERE, False)])
def test_the_emulation_of_a_captured_machine_agrees_with_it(
    go_round: Round, host: NodeSpeed, absolute: bool
) -> None:
    found = go_round(host, absolute=absolute)
    assert found.compared == len(found.points) == len(found.a.readings)
    assert found.counts["no difference"] == found.compared, [p for p in found.points if p.why is None]
    # One is real and one is emulated, and that stands above every number.
    assert [label.split(":")[0] for label in found.labels if "EMULATED" in label] == ["B"]


@pytest.mark.parametrize(("host", "absolute"), [(ABLE, True), (ELSEWHERE, False)])
def test_a_wrong_profile_is_found(go_round: Round, host: NodeSpeed, absolute: bool) -> None:
    found = go_round(host, absolute=absolute, wrong=1.25)
    alone = {
        str(p.a.parameters["operation"]): p.verdict for p in found.points if p.a.parameters["pattern"] == "2"
    }
    assert alone == {"read": "faster", "write": "no difference", "latency": "no difference"}


def test_threads_are_those_of_each_machine(go_round: Round) -> None:
    """A server's figures are of all its CPUs, and the host that emulates it may have two."""
    found = go_round(threads=1)
    assert found.compared == len(found.a.readings) and not found.matched.only_a


def test_the_command_says_what_it_compares_and_what_to_do_instead(
    go_round: Round, run_hmexp: Callable[..., Any]
) -> None:
    go_round()
    done = run_hmexp("compare", "machine", "machine", "--of-profile")
    assert done.status == 2 and "does not emulate a profile" in done.stderr
    done = run_hmexp("compare", "machine", "emulated")
    assert done.status == 1 and "hmexp compare --of-profile" in done.stdout
    done = run_hmexp("compare", "machine", "emulated", "--of-profile", "--json")
    found = json.loads(done.stdout)
    assert done.status == 0 and found["of_profile"] is True
    assert found["labels"] == ["B: EMULATED node 2: it at its published speed"]
    done = run_hmexp("compare", "machine", "emulated", "--of-profile", "--html", "page.html")
    assert done.status == 0 and "the profile that B emulates" in Path("page.html").read_text()
    with pytest.raises(ParameterError, match="contradict"):
        ComparisonOptions(of_model=True, of_profile=True)
