"""Stored runs as tidy tables: a row is one point, one sample or one run, and units are in the names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from hmexp.errors import ParameterError, StoreError
from hmexp.report.run.facts import common_facts, truth, whole
from hmexp.report.run.point import Point, Record, finite
from hmexp.report.run.raw_samples import RawSamples, array, samples_table
from hmexp.store.reader import read_points
from hmexp.store.run import LATEST, POINTS, RUN, read_run

Source = str | Path
Sources = Source | Sequence[Source] | Mapping[str, Source]

# Column -> pandas type. Nullable: what a point does not have is empty, never 0.
POINT_COLUMNS: Final[dict[str, str]] = {
    "run": "string", "point_id": "string", "status": "string", "operation": "string", "pattern": "string",
    "ratio": "string", "dram_share": "Float64", "placer": "string", "granule_bytes": "Int64",
    "size_bytes": "Int64", "page_bytes": "Int64", "threads": "Int64", "samples": "Int64",
    "median_gbps": "Float64", "ci_low_gbps": "Float64", "ci_high_gbps": "Float64", "mad_gbps": "Float64",
    "minimum_gbps": "Float64", "maximum_gbps": "Float64", "model_gbps": "Float64",
    "median_ns": "Float64", "ci_low_ns": "Float64", "ci_high_ns": "Float64", "mad_ns": "Float64",
    "minimum_ns": "Float64", "maximum_ns": "Float64", "model_ns": "Float64",
    "emulated": "boolean", "profile": "string", "timing_valid": "boolean", "proof_ok": "boolean",
    "pages_found": "string", "misplaced_pages": "Int64", "absent_pages": "Int64",
    "disturbed_samples": "Int64", "setup_ns_per_page": "Float64", "started": "string",
    "elapsed_seconds": "Float64", "reason": "string",
}  # fmt: skip
SAMPLE_COLUMNS: Final[dict[str, str]] = {
    "run": "string", "point_id": "string", "operation": "string", "pattern": "string", "ratio": "string",
    "dram_share": "Float64", "threads": "Int64", "launch": "Int64", "sample": "Int64",
    "bandwidth_gbps": "Float64", "latency_ns": "Float64", "sample_seconds": "Float64",
    "payload_bytes": "Int64", "disturbed": "boolean", "emulated": "boolean", "timing_valid": "boolean",
}  # fmt: skip
RUN_COLUMNS: Final[dict[str, str]] = {
    "run": "string", "folder": "string", "started": "string", "finished": "string", "points": "Int64",
    "ok": "Int64", "failed": "Int64", "skipped": "Int64", "emulated": "boolean", "profile": "string",
    "timing_valid": "boolean", "cpu_model": "string", "cpus_online": "Int64", "memory_total_bytes": "Int64",
    "kernel": "string", "architecture": "string", "cpu_governors": "string", "turbo": "boolean",
    "thp_enabled": "string", "numa_balancing": "Int64", "hypervisor": "boolean", "hmexp": "string",
    "commit": "string",
}  # fmt: skip
_UNITS: Final = {"GB/s": "gbps", "ns": "ns"}
_NUMBERS: Final = ("median", "ci_low", "ci_high", "mad", "minimum", "maximum")
_MOST_SHOWN: Final = 8


@dataclass(frozen=True, repr=False)
class Dataset:
    """One run or several, as tables.

    Parameters
    ----------
    points : DataFrame
        A row per point, the columns `POINT_COLUMNS`, then one for each further parameter. A bandwidth is in
        the columns that end in ``_gbps`` [10^9 bytes per second], a latency in those that end in ``_ns``.
    samples : DataFrame
        A row per raw sample, the columns `SAMPLE_COLUMNS`.
    run : DataFrame
        A row per run, the columns `RUN_COLUMNS`: what it was measured on.
    records : mapping of str to dict
        What `run.json` of each run holds, by the name in the column `run`.
    """

    points: pd.DataFrame
    samples: pd.DataFrame
    run: pd.DataFrame
    records: Mapping[str, Record] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = {"run": len(self.run), "point": len(self.points), "sample": len(self.samples)}
        lines = [", ".join(f"{count} {noun}{'s'[: count != 1]}" for noun, count in counts.items())]
        for row in self.run.head(_MOST_SHOWN).to_dict("records"):
            label = f", EMULATED {row['profile']}" if row["emulated"] is True else ""
            label += ", timings not valid" if row["timing_valid"] is False else ""
            lines.append(
                f"  {row['run']}: {row['ok']} of {row['points']} points{label}; "
                f"{row['cpu_model']}, Linux {row['kernel']}"
            )
        hidden = len(self.run) - _MOST_SHOWN
        return "\n".join([*lines, f"  and {hidden} more"] if hidden > 0 else lines)

    def _repr_html_(self) -> str:
        first, *rest = repr(self).splitlines()
        return f"<b>{escape(first)}</b><br>" + "<br>".join(map(escape, rest))


def load(sources: Sources) -> Dataset:
    """Read stored runs, of this machine and of others, as tables.

    Parameters
    ----------
    sources : path, sequence of paths, or mapping of str to path
        Run directories such as ``results/latest``, or folders of run directories. A mapping says what each
        run is to be called; otherwise it is the name that it was given when it was measured.

    Returns
    -------
    Dataset

    Raises
    ------
    StoreError
        If a folder is no run, cannot be read, or was written by a newer hmexp.
    ParameterError
        If nothing is given.
    """
    folders = find_runs(sources)
    rows: list[dict[str, Any]] = []
    samples: list[tuple[dict[str, Any], RawSamples]] = []
    runs: list[dict[str, Any]] = []
    records: dict[str, Record] = {}
    for name, folder in folders.items():
        run = records[name] = read_run(folder)
        dram = [int(node) for node in run.get("dram_nodes") or ()]

        def take(record: dict[str, Any], name: str = name, dram: Sequence[int] = dram) -> _Taken:
            point = Point.from_record(record, dram)
            return _point_row(point, name), RawSamples.of(point)

        taken = list(read_points(folder / POINTS, take).values())
        rows += [row for row, _ in taken]
        samples += [(row, raw) for row, raw in taken if raw.numbers and raw.unit in _UNITS]
        runs.append(_run_row(name, folder, run, [row for row, _ in taken]))
    columns = {name: array([row.get(name) for row in rows], kind) for name, kind in POINT_COLUMNS.items()}
    for name in dict.fromkeys(key for row in rows for key in row if key not in POINT_COLUMNS):
        columns[name] = pd.Series([row.get(name) for row in rows], dtype=object).convert_dtypes().array
    table = {name: array([row[name] for row in runs], kind) for name, kind in RUN_COLUMNS.items()}
    return Dataset(pd.DataFrame(columns), _samples_frame(samples), pd.DataFrame(table), records)


def find_runs(sources: Sources) -> dict[str, Path]:
    """Find the run directories that are meant, by a name for each that no other has.

    Raises
    ------
    StoreError
        If a folder neither is a run nor holds one.
    ParameterError
        If nothing is given.
    """
    if isinstance(sources, Mapping):
        named = {str(name): Path(source) for name, source in sources.items()}
        if not named:
            raise ParameterError("no run is given", "name a folder, such as results/latest")
        for folder in named.values():
            read_run(folder)
        return named
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    folders = [folder for source in given for folder in _expand(Path(source))]
    if not folders:
        raise ParameterError("no run is given", "name a folder, such as results/latest")
    found: dict[str, Path] = {}
    names = [str(read_run(folder).get("name") or folder.name) for folder in folders]
    for name, folder in zip(names, folders, strict=True):
        if folder.resolve() in {known.resolve() for known in found.values()}:
            continue
        # The same name twice: two machines, or a copy. Then the folder says which.
        label = name if names.count(name) == 1 or name not in found else str(folder)
        found[label] = folder
    return found


def _expand(folder: Path) -> list[Path]:
    folder = folder.expanduser()
    if (folder / RUN).is_file():
        return [folder]
    inner = sorted(path.parent for path in folder.glob(f"*/{RUN}") if path.parent.name != LATEST)
    if not inner:
        raise StoreError(
            f"{folder} is no run directory and holds none: there is no {RUN}", "name a folder under results/"
        )
    return inner


_Taken = tuple[dict[str, Any], RawSamples]


def _point_row(point: Point, run: str) -> dict[str, Any]:
    record, parameters = point.record, dict(point.series)
    result, setup, proof = (record.get(part) or {} for part in ("result", "setup", "proof"))
    last = proof.get("after") or proof.get("before") or {}
    unit = _UNITS.get(point.unit or "")
    row: dict[str, Any] = common_facts(point) | {
        "run": run,
        "page_bytes": whole((result.get("details") or {}).get("page_bytes") or setup.get("page_bytes")),
        "misplaced_pages": whole(last.get("misplaced")),
        "disturbed_samples": whole((result.get("noise") or {}).get("disturbed")),
    }
    if unit is not None:
        row |= {f"{name}_{unit}": finite(result.get(name)) for name in _NUMBERS}
        row[f"model_{unit}"] = finite((record.get("model") or {}).get("value"))
    # Not `samples`, which were asked for: the row has how many there are.
    row |= {name: _plain(value) for name, value in parameters.items() if name not in row}
    return row


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _samples_frame(samples: Sequence[tuple[Mapping[str, Any], RawSamples]]) -> pd.DataFrame:
    parts = [raw for _, raw in samples]

    def values(unit: str) -> Iterator[list[float | None]]:
        return (raw.numbers if raw.unit == unit else [None] * len(raw.numbers) for raw in parts)

    own: dict[str, Iterator[Iterable[Any]]] = {
        "bandwidth_gbps": values("GB/s"),
        "latency_ns": values("ns"),
        "sample_seconds": (raw.seconds for raw in parts),
        "payload_bytes": (raw.payload_bytes for raw in parts),
        "launch": (raw.launches for raw in parts),
        "disturbed": ((None if m is None else bool(m) for m in raw.marks) for raw in parts),
    }
    return samples_table([row for row, _ in samples], parts, own, SAMPLE_COLUMNS)


def _run_row(name: str, folder: Path, run: Record, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    machine = run.get("provenance") or {}
    statuses = [row["status"] for row in rows]
    governors = machine.get("cpu_governors")
    return {
        "run": name,
        "folder": str(folder),
        "started": run.get("started"),
        "finished": run.get("finished"),
        "points": max(whole(run.get("points")) or 0, len(rows)),
        **{status: statuses.count(status) for status in ("ok", "failed", "skipped")},
        "emulated": run.get("emulation") is not None or any(row["emulated"] for row in rows),
        "profile": ((run.get("emulation") or {}).get("profile") or {}).get("name"),
        "timing_valid": truth(run.get("timing_valid")),
        "cpu_model": machine.get("cpu_model"),
        "cpus_online": whole(machine.get("cpus_online")),
        "memory_total_bytes": whole(machine.get("memory_total_bytes")),
        "kernel": machine.get("kernel"),
        "architecture": machine.get("architecture"),
        "cpu_governors": ", ".join(governors) if governors else None,
        "turbo": truth(machine.get("turbo")),
        "thp_enabled": machine.get("thp_enabled"),
        "numa_balancing": whole(machine.get("numa_balancing")),
        "hypervisor": truth((machine.get("virtualization") or {}).get("hypervisor_flag")),
        "hmexp": (machine.get("packages") or {}).get("hmexp"),
        "commit": (machine.get("checkout") or {}).get("commit"),
    }
