"""The tail of latency: percentiles of single accesses, by node."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp import native
from hmexp.cli.main import main
from hmexp.measure.quantity import find_quantity, has_curve, is_latency, is_loaded, predictable, streaming
from hmexp.measure.sampling import Sampling
from hmexp.measure.tail import measure_latency_tail, measure_loaded_tail, percentile_of, percentiles_of
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.report.figures.tails import longer_than
from hmexp.store.tails import TailDetails, TailOfNode
from hmexp.system.cpus import allowed_cpus

TWO_CPUS = pytest.mark.skipif(len(allowed_cpus()) < 2, reason="one CPU chases and another loads")
EDGES = np.concatenate([np.arange(64.0), 64 * 2 ** (np.arange(200) / 32)])


def test_a_region_has_a_tail_with_its_proof() -> None:
    with allocate(1 << 20, Pattern((0,)), "first_touch") as region:
        found = measure_latency_tail(region, sampling=Sampling(2, 0.005, 0.0))
    details = found.details
    assert isinstance(details, TailDetails)
    assert (found.unit, found.operation, len(found.samples)) == ("ns", "latency_tail", 2)
    assert found.before.ok
    assert found.after.ok
    assert details.hops is not None
    [node] = details.nodes
    assert node.node == 0
    assert node.accesses == 2 * details.hops == sum(count for _, count in node.counts)
    assert list(details.ns) == ["p50", "p90", "p99", "p99.9", "p99.99", "max"]
    assert sorted(details.ns.values()) == list(details.ns.values())
    assert node.ns == details.ns
    # A sample is its own 99th percentile: those of all samples lie around that of all accesses.
    assert min(found.samples) * 0.96 <= details.ns["p99"] <= max(found.samples) * 1.04
    record = found.to_record()
    assert record.details == details


@given(st.lists(st.floats(0, 60_000), min_size=1, max_size=200), st.floats(0, 100))
def test_a_percentile_is_that_of_the_values_to_a_bucket(values: list[float], percent: float) -> None:
    edges = np.concatenate([EDGES, [1e6]])
    counts, _ = np.histogram(values, edges)
    found = percentile_of(counts.astype(np.uint64), edges, percent)
    true = float(np.percentile(values, percent, method="inverted_cdf"))
    bucket = min(int(np.searchsorted(edges, true, side="right")) - 1, counts.size - 1)
    assert edges[bucket] <= found <= max(edges[bucket + 1], edges[1])


def test_percentiles_ascend_to_the_largest() -> None:
    counts = np.zeros(native.TAIL_BUCKETS, dtype=np.uint64)
    counts[[10, 40, 63]] = 98_000, 1_990, 10
    found = percentiles_of(counts, np.arange(native.TAIL_BUCKETS + 1.0))
    assert 10 <= found["p50"] < found["p90"] <= 11
    assert 40 <= found["p99"] < found["p99.9"] <= 41
    assert found["p99.99"] <= found["max"] == 64.0


def test_launches_and_nodes_add_up_to_one_curve() -> None:
    one = TailOfNode(node=0, accesses=3, ns={}, counts=((10.0, 2), (20.0, 1)))
    two = TailOfNode(node=2, accesses=1, ns={}, counts=((20.0, 1),))
    times, shares = longer_than([one, two])
    assert times.tolist() == [10.0, 20.0]
    assert shares.tolist() == [1.0, 0.5]


def test_it_is_an_operation_of_sweeps_that_no_model_predicts() -> None:
    for name in ("latency_tail", "latency_tail_loaded"):
        assert find_quantity(name) == name
        assert is_latency(name)
        assert predictable(name) is None
    assert is_loaded("latency_tail_loaded")
    assert not has_curve("latency_tail_loaded")
    assert (streaming("latency_tail_loaded"), streaming("latency_tail")) == ("read", None)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("--stores=nt", "exclude each other"),
        ("--loaded --operation write", "the other threads read"),
        ("--loaded --load-pattern 0", "in the other half of the same region"),
    ],
)
def test_a_tail_excludes_what_has_none(other: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["latency", "--pattern", "0", "--tail", *other.split()])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@TWO_CPUS
def test_under_load_it_says_what_the_load_was(capsys: pytest.CaptureFixture[str]) -> None:
    with allocate(2 << 20, Pattern((0,)), "first_touch") as region:
        # On a busy machine the thread that loads may not have had its CPU in so short a time.
        for seconds in (0.005, 0.05, 0.5, 2.0):
            found = measure_loaded_tail(region, 1, sampling=Sampling(2, seconds, 0.0))
            details = found.details
            assert isinstance(details, TailDetails)
            if details.load_gbps:
                break
    assert (found.operation, details.load_threads, len(details.cpus)) == ("latency_tail_loaded", 1, 2)
    assert details.load_gbps is not None and details.load_gbps > 0
    assert details.hops is not None
    [node] = details.nodes
    assert node.accesses == 2 * details.hops == sum(count for _, count in node.counts)
    # The chase stays in its half, where the load is not.
    assert details.lines == (1 << 20) // native.LINE_BYTES
    assert found.after.ok

    words = (
        "latency --pattern 0,2 --size 1MiB --tail --loaded --samples 2 --sample-seconds 0.005 --precision 0"
    )
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "GB/s of reads, p99" in shown and "node 2" in shown and "EMULATED" in shown


def test_the_command_shows_percentiles_of_each_node(capsys: pytest.CaptureFixture[str]) -> None:
    words = "latency --pattern 0,2 --size 1MiB --tail --samples 2 --sample-seconds 0.005 --precision 0"
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for text in ("p99.99", "all", "node 0", "node 2", "EMULATED", "for reading the clock are taken off"):
        assert text in shown
