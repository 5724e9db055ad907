"""The advice is right where the truth is known: emulated nodes, measured with the noise of a machine.

The speeds come from `Emulation.predict`; benchmarks/advice_truth.py does the same with real measurements.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hmexp.measure.statistics import summarise
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.pattern import Pattern
from hmexp.report.model.advice import KEEP, advise
from hmexp.report.model.cost import cheapest, markets
from hmexp.report.model.prices import Prices

STEPS = 8
PAGES = 4096
#: Of a median from launch to launch, and of a sample within a launch.
LAUNCH_NOISE, SAMPLE_NOISE, SAMPLES = 0.01, 0.01, 10
REMOTE = Path(__file__).resolve().parents[3] / "examples" / "remote-socket.toml"
HOST = NodeSpeed(read_gbps=20.0, write_gbps=12.0, latency_ns=120.0)


@pytest.fixture(scope="module")
def profiles() -> dict[str, str]:
    return {"optane-dcpmm": "optane-dcpmm", "cxl-expander": "cxl-expander", "remote": str(REMOTE)}


def _patterns() -> list[Pattern]:
    return [Pattern.from_ratio({0: n, 2: STEPS - n}) for n in range(1, STEPS)] + [
        Pattern((0,)),
        Pattern((2,)),
    ]


def _measured(
    synthetic: SimpleNamespace, emulation: Emulation, pattern: Pattern, generator: np.random.Generator
) -> dict[str, Any]:
    counts = {n: c for n, c in pattern.pages_per_node(PAGES, 4096).items() if c}
    truth = emulation.predict(counts, "read")
    launch = truth * np.exp(generator.normal(0, LAUNCH_NOISE))
    summary = summarise(launch * np.exp(generator.normal(0, SAMPLE_NOISE, SAMPLES)))
    template = _template(synthetic)
    result = template["result"] | asdict(summary)
    return template | {
        "point_id": str(pattern), "parameters": template["parameters"] | {"pattern": str(pattern)},
        "result": result, "dram_share": counts.get(0, 0) / PAGES, "model": {"value": truth},
    }  # fmt: skip


_TEMPLATES: dict[str, dict[str, Any]] = {}


def _template(synthetic: SimpleNamespace) -> dict[str, Any]:
    return _TEMPLATES.setdefault("read", synthetic.make_record("0", "read"))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["optane-dcpmm", "cxl-expander", "remote"])
def test_the_ratio_for_90_percent_of_read_bandwidth_is_the_true_one_or_its_neighbour(
    synthetic: SimpleNamespace, profiles: dict[str, str], name: str, seed: int
) -> None:
    request = EmulationRequest.parse(f"2={profiles[name]}")
    emulation = Emulation.scale_to_host(request, HOST, (0,), 0)
    generator = np.random.default_rng(seed)
    patterns = _patterns()
    truths = {}
    for pattern in patterns:
        counts = {n: c for n, c in pattern.pages_per_node(PAGES, 4096).items() if c}
        truths[counts.get(0, 0) / PAGES] = emulation.predict(counts, "read")
    true_share = min(share for share, speed in truths.items() if speed >= KEEP * truths[1.0])

    records = [_measured(synthetic, emulation, pattern, generator) for pattern in patterns]
    run = synthetic.make_run(len(records)) | {"emulation": emulation.to_record()}
    results = synthetic.results(records, run)
    said = next(s for s in advise(results).sentences if s.startswith("At least 90 % of all-DRAM read"))
    named = re.search(r"least DRAM: DRAM:\w+ (\d+):(\d+) ", said)
    # No mixture keeps it where DRAM is much the faster one: then all DRAM is the advice.
    share = int(named[1]) / (int(named[1]) + int(named[2])) if named else 1.0
    assert abs(share - true_share) <= 1 / STEPS + 1e-3, said
    (market,) = markets(results, Prices(2.0, 1.0))
    choice = cheapest(market, results)
    assert choice is not None
    cheap = 1.0 if choice.offer is None else choice.offer.point.share
    assert cheap == pytest.approx(share, abs=1e-3)


def test_the_advice_moves_with_the_mix_on_a_duplex_link(synthetic: SimpleNamespace) -> None:
    """A mix wants more pages on the link than reads alone: two sweeps of one machine have two answers."""
    host = NodeSpeed(20.0, 12.0, 120.0, 18.0)
    emulation = Emulation.scale_to_host(EmulationRequest.parse("2=cxl-duplex"), host, (0,), 0)
    shares = {}
    for operation in ("read", "mix_1_1_nt"):
        template = synthetic.make_record("0", "read")
        records = []
        for pattern in _patterns():
            counts = {n: c for n, c in pattern.pages_per_node(PAGES, 4096).items() if c}
            truth = emulation.predict(counts, operation, 2)
            summary = summarise(np.array([truth * factor for factor in (0.995, 1.0, 1.005)]))
            records.append(
                template | {
                    "point_id": f"{operation}{pattern}", "result": template["result"] | asdict(summary),
                    "parameters": template["parameters"] | {"pattern": str(pattern), "operation": operation},
                    "dram_share": counts.get(0, 0) / PAGES, "model": {"value": truth},
                }
            )  # fmt: skip
        run = synthetic.make_run(len(records)) | {"emulation": emulation.to_record()}
        (market,) = markets(synthetic.results(records, run), Prices(2.0, 1.0))
        best = max(market.offers, key=lambda offer: offer.point.value.median)
        shares[operation] = best.point.share
    assert shares["mix_1_1_nt"] < shares["read"]


def test_the_three_profiles_have_three_answers(profiles: dict[str, str]) -> None:
    shares = set()
    for name in profiles.values():
        emulation = Emulation.scale_to_host(EmulationRequest.parse(f"2={name}"), HOST, (0,), 0)
        alone = emulation.predict({0: 1}, "read")
        kept = (
            n for n in range(1, STEPS + 1) if emulation.predict({0: n, 2: STEPS - n}, "read") >= KEEP * alone
        )
        shares.add(next(kept))
    assert len(shares) == 3
