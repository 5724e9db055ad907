"""Synthetic runs: records as the worker prints them, of a machine whose truth is known."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from hmexp.report.model.tables import frame_of, samples_of
from hmexp.report.run.results import Results
from hmexp.store.reader import convert_point, convert_run

Record = dict[str, Any]

PATTERNS = ("0", "0,0,0,2", "0,2", "0,2,2", "2")
TRUTH = {  # operation -> all DRAM, all slow
    "read": (16.0, 6.0),
    "write": (11.0, 1.9),
    "latency": (250.0, 750.0),
}
PAGES = 65536


def truth(operation: str, share: float) -> float:
    dram, slow = TRUTH[operation]
    if operation == "latency":
        return share * dram + (1 - share) * slow
    return min(dram / share if share else 1e9, slow / (1 - share) if share < 1 else 1e9)


def _proof(nodes: Sequence[int], backing: dict[int, int], misplaced: int) -> Record:
    asked = [nodes[i % len(nodes)] for i in range(96)]
    found = [backing.get(node, node) for node in asked]
    for wrong in range(0, min(96, misplaced), 2):
        found[wrong] = 1 - min(1, found[wrong])
    expected = _pages([backing.get(node, node) for node in nodes])
    counted = dict(expected)
    if misplaced:
        first = next(iter(counted))
        counted[first] -= misplaced
        counted["1"] = counted.get("1", 0) + misplaced
    return {
        "ok": not misplaced, "pages": PAGES, "expected": expected, "found": counted, "misplaced": misplaced,
        "absent": 0, "numa_maps": counted, "numa_maps_agrees": True, "strip": [asked, found],
        "summary": f"{PAGES} pages, {misplaced} misplaced",
    }  # fmt: skip


def _pages(nodes: Sequence[int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for page in range(PAGES):
        node = str(nodes[page % len(nodes)])
        counts[node] = counts.get(node, 0) + 1
    return counts


def make_record(
    pattern: str,
    operation: str,
    *,
    emulated: bool = True,
    noise: float = 0.01,
    samples: int = 10,
    misplaced: int = 0,
    bias: float = 1.0,
    **parameters: Any,
) -> Record:
    nodes = [int(node) for node in pattern.split(",")]
    seed = random.Random(f"{pattern}{operation}{sorted(parameters.items())}")
    share = nodes.count(0) / len(nodes)
    threads = parameters.get("threads", 2)
    speed = 1.0 if operation == "latency" else min(1.0, threads / 2)
    model = truth(operation, share) * speed
    # A real knee is round: nothing reaches the model's peak.
    knee = 0.96 if operation != "latency" and pattern == "0,0,0,2" else 1.0
    values = [model * knee * bias * (1 + seed.gauss(0, noise)) for _ in range(samples)]
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    backing = {2: 0} if emulated else {}
    wanted = {
        "pattern": pattern, "granule_bytes": 4096, "size_bytes": PAGES * 4096, "placer": "first_touch",
        "operation": operation, "threads": 1 if operation == "latency" else 2, "samples": samples,
        "sample_seconds": 0.05,
    } | parameters  # fmt: skip
    identity = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    return {
        "schema": 1, "point_id": identity, "status": "ok", "reason": None, "error": None,
        "parameters": wanted,
        "result": {
            "unit": "ns" if operation == "latency" else "GB/s", "samples": values, "median": middle,
            "ci_low": ordered[len(ordered) // 5], "ci_high": ordered[-1 - len(ordered) // 5],
            "mad": middle * noise * 0.67, "minimum": ordered[0], "maximum": ordered[-1],
            "sample_seconds": [0.05] * samples, "payload_bytes": [10**8] * samples, "details": {},
        },
        "setup": {"seconds": 0.05, "ns_per_page": 760.0, "page_bytes": 4096},
        "proof": {"before": _proof(nodes, backing, misplaced), "after": _proof(nodes, backing, misplaced)},
        "modelled_pages": _pages(nodes), "dram_share": _pages(nodes).get("0", 0) / PAGES,
        "model": {"value": model} if emulated else None,
        "emulated": emulated, "profile": "optane-dcpmm" if emulated else None,
        "timing_valid": True, "timing_note": None,
        "started": "2026-11-23T15:00:00+00:00", "elapsed_seconds": 1.7,
        "machine": {"load_average": [0.1, 0.1, 0.1]},
    }  # fmt: skip


def fail(record: Record, reason: str = "3 of 65536 pages are misplaced") -> Record:
    return record | {"status": "failed", "reason": reason, "error": "PlacementError", "result": None}


def make_run(points: int, *, emulated: bool = True, **more: Any) -> Record:
    emulation = {
        "profile": {
            "name": "optane-dcpmm", "title": "Intel Optane DCPMM 100, six DIMMs",
            "source": "Yang et al., FAST 2020",
        },
        "backing": {"2": 0},
        "nodes": {
            "0": {"read_gbps": 16.0, "write_gbps": 11.0, "latency_ns": 250.0},
            "2": {"read_gbps": 6.0, "write_gbps": 1.9, "latency_ns": 750.0},
        },
        "scale": {"read": 0.15, "write": 0.14, "latency": 2.46},
        "host": {"read_gbps": 31.0, "write_gbps": 19.0, "latency_ns": 160.0},
    }  # fmt: skip
    nodes = [{"id": 0, "kind": "dram", "cpus": [0, 1], "total_bytes": 16 << 30, "free_bytes": 9 << 30}]
    if not emulated:
        nodes.append({"id": 2, "kind": "nvm", "cpus": [], "total_bytes": 64 << 30, "free_bytes": 60 << 30})
    return {
        "schema": 1, "name": "sweep-20261123-150000-ab12cd", "plan": "0123456789abcdef",
        "parameters": {"patterns": list(PATTERNS), "size": "256MiB", "threads": [2], "emulate": "auto"},
        "title": "hmexp sweep", "points": points, "started": "2026-11-23T15:00:00+00:00",
        "finished": "2026-11-23T15:01:10+00:00", "counts": {"ok": points, "failed": 0, "skipped": 0},
        "dram_nodes": [0], "slow_nodes": [2], "nodes": nodes, "emulation": emulation if emulated else None,
        "provenance": {
            "kernel": "Linux 6.12.117", "cpu_model": "server CPU, 2 cores", "packages": {"hmexp": "0.1.0"},
            "thp_enabled": "madvise", "numa_balancing": 0,
        },
        "timing_valid": True, "timing_note": None,
    } | more  # fmt: skip


def sweep(patterns: Sequence[str] = PATTERNS, **more: Any) -> list[Record]:
    return [make_record(p, op, **more) for op in ("read", "write", "latency") for p in patterns]


def results(records: Iterable[Record], run: Record) -> Results:
    """See records as dicts, as an earlier schema had them, as the report sees a run."""
    found = [convert_point(copy.deepcopy(record)) for record in records]
    return Results.from_records(found, convert_run(copy.deepcopy(run)))


def points(records: Iterable[Record], run: Record) -> pd.DataFrame:
    return frame_of(results(records, run))


def samples(records: Iterable[Record], run: Record) -> pd.DataFrame:
    return samples_of(results(records, run))


def write_run_to(folder: Path, records: Sequence[Record], run: Record) -> None:
    """Write a run directory as the store does."""
    folder.mkdir()
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "points.jsonl").write_text(lines)
    (folder / "run.json").write_text(json.dumps(run))


@pytest.fixture(scope="session")
def synthetic() -> SimpleNamespace:
    """The builders above: test modules cannot import each other."""
    return SimpleNamespace(
        PATTERNS=PATTERNS, TRUTH=TRUTH, PAGES=PAGES, truth=truth, make_record=make_record, fail=fail,
        make_run=make_run, sweep=sweep, results=results, points=points, samples=samples,
        write_run=write_run_to,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def pictures(request: pytest.FixtureRequest) -> None:
    """Draw PNG files only where they are what is tested."""
    if request.path.name != "test_figures.py":
        request.getfixturevalue("blank_pictures")


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run directory into the test's own folder."""

    def write(records: Sequence[Record], run: Record, name: str = "run") -> Path:
        write_run_to(tmp_path / name, records, run)
        return tmp_path / name

    return write
