"""Write docs/records.md from the types of the records: `.venv/bin/python tools/records_page.py [--check]`.

Types and their docstrings are all there is: a field is described where it is declared. With `--check` nothing
is written, and the exit status is 1 if the page is not what the types say.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hmexp.store import (
    curves,
    details,
    evidence,
    fleet,
    following_records,
    limits,
    machine,
    parameters,
    parts,
    program_points,
    program_records,
    provenance,
    records,
    results,
    shapes,
    stop,
    tails,
    workload_records,
)
from hmexp.store.schema import OLDEST_SCHEMA, SCHEMA, Fact, Remark, Stored, Tagged

PAGE = Path(__file__).resolve().parents[1] / "docs" / "records.md"
TEXT = Path(__file__).with_suffix(".md")
Record = type[Stored]
#: The page: a heading, a sentence or two, and its records, each after those that contain it.
SECTIONS: tuple[tuple[str, str, tuple[Record, ...]], ...] = (
    (
        "run.json",
        "One object: a `RunRecord`.",
        (
            records.RunRecord, parts.BudgetRecord, parts.SearchRecord, parts.EffectsRecord,
            shapes.ShapeRecord, shapes.ShapeTrial, machine.NodeRecord,
            machine.ClaimsRecord, machine.ClaimRecord, machine.EmulationRecord,
            machine.ProfileRecord, machine.SpeedRecord, machine.LinkRecord,
            machine.MediumRecord, machine.FamilyCurveRecord, machine.Calibration, provenance.Provenance,
            provenance.MemoryDevices, provenance.Checkout, limits.LimitsRecord, limits.AllowedNodesRecord,
            limits.MemoryLimitRecord, limits.CpuQuotaRecord,
        ),
    ),
    (
        "points.jsonl and launches.jsonl",
        (
            "A line of `points.jsonl` is a `PointRecord`, a line of `launches.jsonl` a `LaunchRecord`. Both "
            "have the fields of a `MeasuredRecord`, and a few of their own."
        ),
        (
            records.MeasuredRecord, records.PointRecord, records.LaunchRecord, parts.LaunchPart,
            parts.Multiple, parts.Model, parts.SettingRecord, parts.MachineState, evidence.SetupRecord,
        ),
    ),
    (
        "Parameters of a point",
        "The field `kind` says which of these a point has. The id of the point is a hash of them.",
        (
            parameters.LoopPoint, parameters.CostPoint, parameters.MappingsPoint, parameters.BehaviourPoint,
            parameters.GranulePoint, parameters.CurvePoint, program_points.ProgramPoint,
        ),
    ),
    (
        "Workloads",
        (
            "How a program is started, loaded, measured and stopped: what a workload file holds. The point "
            "of a program has it as its `definition`."
        ),
        (
            workload_records.WorkloadRecord, workload_records.CommandRecord, workload_records.ProgramCommand,
            workload_records.ReadyRecord, workload_records.MeasureRecord, workload_records.StopRecord,
            workload_records.MetricRecord,
        ),
    ),
    (
        "Results",
        "The field `kind` says which of these a result is; it is the kind of the point's parameters.",
        (
            results.Measured, results.LaunchSummary, results.CostRecord, results.PopulateCost,
            results.Mappings, results.MappedRegion, results.Behaviour, results.Windows,
            program_points.ProgramResult, program_points.MetricValues, program_points.ProgramLaunch,
            program_points.ClientRecord,
        ),
    ),
    (
        "Details of a measurement",
        "How the samples were taken. The field `kind` says which of the first four it is.",
        (
            details.BandwidthDetails, details.LatencyDetails, details.StoreLatencyDetails,
            details.LoadedDetails, tails.TailDetails, tails.TailOfNode, curves.LoadedRate, curves.KneeRecord,
            details.Distribution,
            details.PerPayload, details.Stragglers, stop.Stop,
        ),
    ),
    (
        "Evidence",
        "Where the pages were, and what disturbed the samples.",
        (evidence.Proof, evidence.PlacementRecord, evidence.NoiseRecord),
    ),
    (
        "program.json",
        (
            "A program that `hmexp run` started has a folder of its own with one object: a `ProgramRun`. It "
            "is written when the program has started, and replaced as a whole while it runs and when it has "
            "ended."
        ),
        (
            program_records.ProgramRun, program_records.RefusedWay, program_records.PlacementSample,
            program_records.ProgramUsage, program_records.FallenBack,
        ),
    ),
    (
        "fleet.json",
        (
            "The folder of a fleet has one object, a `FleetRecord`, and below `hosts/` a run directory for "
            "each host. It is replaced as a whole when anything becomes of a host."
        ),
        (fleet.FleetRecord, fleet.HostRecord),
    ),
    (
        "What following prints",
        (
            "`hmexp move --json` prints a `Following`, and with `--dry-run` a `MovePreview`; `hmexp.follow` "
            "returns the former."
        ),
        (
            following_records.Following, following_records.FollowedProcess, following_records.PageOutcomes,
            following_records.SpanOfTimes, following_records.MovePreview,
        ),
    ),
)  # fmt: skip
_ENTRY = re.compile(r"(?P<names>[a-z_0-9]+(?:, [a-z_0-9]+)*)(?: : .*)?")
_UNIT = re.compile(r" \[([^]]+)\](?=\.?$)")
_UNITS = {
    "bytes": "bytes", "pages": "pages", "ns": "ns", "seconds": "s", "gbps": "GB/s", "bits": "bits",
}  # fmt: skip
_SIMPLE = {bool: "truth value", int: "integer", float: "number", str: "text"}


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    text = page()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE} has {text.count(chr(10))} lines")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what the types say: run {Path(__file__).name}", file=sys.stderr)
    return 1


def page() -> str:
    """The whole page."""
    missing = sorted({record.__name__ for record in reachable()} - {record.__name__ for record in listed()})
    if missing:
        raise SystemExit(f"these records are in no section of {Path(__file__).name}: {', '.join(missing)}")
    text = TEXT.read_text(encoding="utf-8")
    for name, value in (("OLDEST_SCHEMA", OLDEST_SCHEMA), ("SCHEMA", SCHEMA)):
        text = text.replace(f"{{{name}}}", str(value))
    before, after = text.split("<!-- tables -->\n")
    tables = "".join(
        f"## {heading}\n\n{linked(words)}\n\n" + "".join(map(section, members))
        for heading, words, members in SECTIONS
    )
    return before + tables + after


def listed() -> Iterator[Record]:
    """Every record of the page, in its order."""
    for _, _, members in SECTIONS:
        yield from members


def reachable() -> set[Record]:
    """Every record that a file of a run can hold."""
    found: set[Record] = set()
    waiting: list[object] = [
        records.RunRecord, records.PointRecord, records.LaunchRecord, program_records.ProgramRun,
        fleet.FleetRecord,
    ]  # fmt: skip
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, type) and issubclass(hint, Stored):
            if hint not in found:
                found.add(hint)
                waiting += hints(hint).values()
        else:
            waiting += typing.get_args(hint)
    return found


def hints(record: Record) -> dict[str, object]:
    """The type of each field, in the order of the file."""
    found = typing.get_type_hints(record)
    return {field.name: found[field.name] for field in msgspec.structs.fields(record)}


def section(record: Record) -> str:
    """A heading, what the record is, and the table of its fields."""
    described = descriptions(record)
    inherited = inspect.getmro(record)[1]
    shared = set(inherited.__struct_fields__) if issubclass(inherited, records.MeasuredRecord) else set()
    fields = {name: hint for name, hint in hints(record).items() if name not in shared}
    if described.keys() != fields.keys():
        wrong = ", ".join(sorted(described.keys() ^ fields.keys()))
        raise SystemExit(f"{record.__name__}: these are fields or described, not both: {wrong}")
    rows = [row(name, spelled(hint), described[name]) for name, hint in fields.items()]
    if tag := record.__struct_config__.tag:
        rows.insert(0, f"| `kind` | text |  | Always `{tag}`. |\n")
    summary = " ".join((inspect.getdoc(record) or "").partition("\nParameters\n")[0].split())
    summary = re.sub(r"\bNone\b", "null", summary)
    heading = f"### {record.__name__}\n\n{linked(summary, record)}\n\n"
    return heading + "| field | type | unit | meaning |\n|---|---|---|---|\n" + "".join(rows) + "\n"


def descriptions(record: Record) -> dict[str, str]:
    """What the docstring says of each field, and that of a base whose fields have no page of their own."""
    inherited = inspect.getmro(record)[1]
    own = inherited in (Stored, Tagged) or issubclass(inherited, records.MeasuredRecord)
    found = {} if own or not issubclass(inherited, Stored) else descriptions(inherited)
    names: list[str] = []
    body = (inspect.getdoc(record) or "").partition("\nParameters\n")[2].split("\n")[1:]
    for line in body:
        if line.startswith(" "):
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
        elif entry := _ENTRY.fullmatch(line):
            names = entry["names"].split(", ")
            found |= dict.fromkeys(names, "")
    return found


def row(name: str, kind: str, meaning: str) -> str:
    """A line of a table."""
    unit = ""
    if said := _UNIT.search(meaning):
        unit = said[1]
    elif re.search("integer|number", kind):
        unit = next((_UNITS[part] for part in reversed(name.split("_")) if part in _UNITS), "")
    words = re.sub(r"\bNone\b", "null", _UNIT.sub("", meaning))
    return f"| `{name}` | {kind} | {unit} | {linked(words)} |\n"


def spelled(hint: object) -> str:
    """A type, in the words of JSON."""
    if hint == Fact:
        return "any single value"
    if hint == Remark:
        return "any value"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if item is type(None) else spelled(item) for item in inner)
    if origin is typing.Literal:
        return " or ".join(f"`{item}`" for item in inner)
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"pair of {' and '.join(spelled(item) for item in inner)}"
    if origin is tuple:
        return f"list of {several(inner[0])}"
    if origin is dict:
        return f"object of {several(inner[1])} by {spelled(inner[0])}"
    if isinstance(hint, type) and issubclass(hint, Stored):
        return linked(f"`{hint.__name__}`")
    return _SIMPLE[typing.cast("type", hint)]


def several(hint: object) -> str:
    """Many of a type, such as `lists of integers`."""
    if hint in (Fact, Remark):
        return f"{spelled(hint)}s"
    if type(None) in typing.get_args(hint):
        return f"({spelled(hint)})"
    if hint in (bool, int, float):
        return f"{spelled(hint)}s"
    return re.sub(r"^(list|pair|object) of", r"\1s of", spelled(hint))


def linked(text: str, besides: Record | None = None) -> str:
    """Make the names of records links to their tables."""
    names = {record.__name__ for record in listed() if record is not besides}
    return re.sub(
        r"`(\w+)`",
        lambda found: f"[{found[1]}](#{found[1].lower()})" if found[1] in names else found[0],
        text,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
