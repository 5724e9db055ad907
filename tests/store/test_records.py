"""docs/records.md says every field of the records, and no other: held to records that are measured here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hmexp.experiment import worker
from hmexp.experiment.launcher import launch
from hmexp.experiment.task import Task
from hmexp.store.reader import POINTS, RUN
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.topology import read_topology

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "records.md"
_AS = re.compile(r"^launches\[\]\.(machine|setup|proof)$|^(result\.)launches\[\]\.(?=details$)")
_NODE = re.compile(r"-?\d+")


def documented(section: str) -> dict[str, bool]:
    """Field -> whether every run must show it."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    wrong = [row[1] for row in rows if len(row) != 6 or row[3] not in ("", "sometimes")]
    assert not wrong, f"rows of {section} that are not field, type, when and meaning: {wrong}"
    names = [row[1].strip("`") for row in rows]
    assert len(set(names)) == len(names), f"a field of {section} is there twice"
    return {name: not row[3] for name, row in zip(names, rows, strict=True)}


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Every field of a record that holds no other field; an empty list or object counts as such a field.

    What the page says to be as something else of the same record is called by that.
    """
    named = _AS.sub(r"\1\2", path)
    if named != path:
        yield path
    path = named
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            name = "<node>" if _NODE.fullmatch(key) else key
            yield from fields(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from fields(inner, f"{path}[]")
    else:
        yield path


def pattern_of(field: str) -> re.Pattern[str]:
    pieces = (
        re.escape(part) if not part.startswith("<") else r"[^.\[\]]+" for part in re.split(r"(<\w+>)", field)
    )
    return re.compile("".join(pieces))


def compare(found: Iterable[str], said: dict[str, bool]) -> tuple[list[str], list[str]]:
    """Return what is found and not said, and what is said of every run and not found."""
    patterns = {field: pattern_of(field) for field in said}
    unseen = {field for field, always in said.items() if always}
    unknown = []
    for field in sorted(set(found)):
        matching = [name for name, pattern in patterns.items() if pattern.fullmatch(field)]
        # Null, an empty list or object in the place of something that has fields is no field of its own.
        within = [name for name in said if pattern_of_parent(name, field)]
        if not matching and not within:
            unknown.append(field)
        # A list that is null or empty here is there all the same.
        unseen -= {name for name in said if name.endswith("[]") and pattern_of(name[:-2]).fullmatch(field)}
        unseen -= {*matching, *(name for name in said if field.startswith((f"{name}.", f"{name}[")))}
    return unknown, sorted(unseen)


def pattern_of_parent(name: str, field: str) -> bool:
    parts = re.split(r"(?=\.)|(?=\[\])", name)
    return any(pattern_of("".join(parts[:n])).fullmatch(field) for n in range(1, len(parts)))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A real run on an emulated node, with points that were measured, skipped, ended and broken."""
    given = {
        "size": "1MiB", "samples": 2, "sample_seconds": 0.002, "operations": ["read", "latency"],
        "patterns": ["0", "0,2"], "emulate": "2=optane-dcpmm",
        "results": str(tmp_path_factory.mktemp("results")),
    }  # fmt: skip
    plan = make_plan(SweepParameters.from_mapping(given), read_topology())
    path = run_sweep(plan, _Silent(), lambda _: None).path
    records = [json.loads(line) for line in (path / POINTS).read_text().splitlines()]
    assert all(record["status"] == "ok" for record in records)
    point = plan.points[0]
    task = Task(replace(point, emulate=None), None, False, plan.dram_nodes, plan.cpus_of(point))
    records.append(launch(task, timeout_seconds=0.001))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "allocate", None)
        records.append(worker.run(task))
    assert [record["status"] for record in records[-2:]] == ["failed", "failed"]
    assert "traceback" in records[-1]
    return records, json.loads((path / RUN).read_text())


class _Silent:
    def show(self, progress: object) -> None:
        pass


def test_every_field_of_a_point_is_documented_and_the_other_way_round(
    measured: tuple[list[dict[str, Any]], dict[str, Any]],
) -> None:
    found = [field for record in measured[0] for field in fields(record)]
    _judge(found, POINTS)


def test_every_field_of_a_run_is_documented_and_the_other_way_round(
    measured: tuple[list[dict[str, Any]], dict[str, Any]],
) -> None:
    _judge(list(fields(measured[1])), RUN)


def test_the_example_run_is_documented() -> None:
    example = ROOT / "results" / "example"
    records = [json.loads(line) for line in (example / POINTS).read_text().splitlines()]
    unknown, _ = compare((f for record in records for f in fields(record)), documented(POINTS))
    assert not unknown
    unknown, _ = compare(fields(json.loads((example / RUN).read_text())), documented(RUN))
    assert not unknown


def _judge(found: list[str], section: str) -> None:
    unknown, unseen = compare(found, documented(section))
    rows = "\n".join(f"| `{field}` | TYPE | | MEANING |" for field in unknown)
    assert not unknown, (
        f"docs/records.md, {section}, lacks:\n{rows}\n(when it is not in every record: `sometimes`)"
    )
    assert not unseen, f"docs/records.md, {section}, says what no record has: {', '.join(unseen)}"


def test_a_field_that_is_missing_on_either_side_is_found() -> None:
    said = {"a": True, "b": True, "b.c[]": True, "n.<node>.x": True, "rare": False}
    assert compare(["a", "b.c[]", "n.<node>.x"], said) == ([], [])
    assert compare(["a", "b.c[]", "n.<node>.y"], said) == (["n.<node>.y"], ["n.<node>.x"])
    assert compare(["a", "b", "n", "new.field[]"], said) == (["new.field[]"], ["b.c[]", "n.<node>.x"])
