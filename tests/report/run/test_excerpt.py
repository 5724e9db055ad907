"""A large run stays readable: a slice that belongs together, and says what it leaves out."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hmexp.report.model.advice import advise
from hmexp.report.page.html import write_report
from hmexp.report.run.excerpt import MOST, WHOLE, excerpt


@pytest.fixture(scope="module")
def many(synthetic: SimpleNamespace) -> list[dict[str, Any]]:
    """A grid of 15 x 24 points: threads (but for latency), sizes, placers."""
    records = []
    grid = itertools.product(
        synthetic.sweep(), (1, 2, 4), (1 << 26, 1 << 28), ("first_touch", "mbind", "a", "b")
    )
    for number, (base, threads, size, placer) in enumerate(grid):
        of_latency = base["parameters"]["operation"] == "latency"
        changed = {"threads": 1 if of_latency else threads, "size_bytes": size, "placer": placer}
        parameters = base["parameters"] | changed | ({"cpu_node": f"{threads}"} if of_latency else {})
        records.append(base | {"parameters": parameters, "point_id": f"{number:012x}"})
    return records


def test_a_small_run_is_whole(synthetic: SimpleNamespace) -> None:
    results = synthetic.results(synthetic.sweep(), synthetic.make_run(15))
    assert excerpt(results) is results


def test_a_large_run_is_a_slice(synthetic: SimpleNamespace, many: list[dict[str, Any]]) -> None:
    assert len(many) == 360 > WHOLE
    results = synthetic.results(many, synthetic.make_run(400))
    shown = excerpt(results)
    for operation in ("read", "write", "latency"):
        points = shown.select(operation)
        assert 5 <= len(points) <= MOST
        # Whole series only: each has every pattern.
        for series in {repr(p.series) for p in points}:
            assert sum(repr(p.series) == series for p in points) == 5
    assert f"{len(shown.points)} of 360 points" in shown.labels[-1]
    assert shown.unfinished == results.unfinished == 40
    # The same slice through both bandwidths.
    reads, writes = ({(p.pattern, p.series) for p in shown.select(op)} for op in ("read", "write"))
    assert reads == writes
    assert len(advise(shown).sentences) < 40


def test_many_patterns_of_one_series_are_thinned(synthetic: SimpleNamespace) -> None:
    base = synthetic.make_record("0,2", "read")
    records = [
        base
        | {
            "point_id": str(n),
            "dram_share": n / 999,
            "parameters": base["parameters"] | {"pattern": f"0,{n}"},
        }
        for n in range(1000)
    ]
    shown = excerpt(synthetic.results(records, synthetic.make_run(1000)))
    shares = sorted(p.share for p in shown.points)
    assert len(shares) == MOST and shares[0] == 0 and shares[-1] == 1


def test_the_page_says_so_and_the_tables_are_whole(
    synthetic: SimpleNamespace, many: list[dict[str, Any]], write_run: Callable[..., Path]
) -> None:
    failed = [
        synthetic.fail(record, "full node") | {"point_id": f"f{n}"} for n, record in enumerate(many[:150])
    ]
    folder = write_run([*many, *failed], synthetic.make_run(510))
    text = write_report(folder).read_text()
    assert "of 510 points are shown; points.csv has all of them" in text
    assert "and 50 more; <code>points.csv</code> has every reason" in text
    for figure in (folder / "figures").glob("*.svg"):
        assert "of 510 points are shown" in figure.read_text()
    assert len(list(csv.DictReader((folder / "points.csv").read_text().splitlines()))) == 510
