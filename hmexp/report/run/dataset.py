"""Stored runs as tidy tables: a row is one point, one sample or one run, and units are in the names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

import pandas as pd

from hmexp.errors import ParameterError, StoreError
from hmexp.report.model.columns import Cell, array, points_table
from hmexp.report.model.predictions import Prediction, predict
from hmexp.report.model.sample_columns import samples_table
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.store.provenance import Provenance
from hmexp.store.reader import RUN, collector_paused, read_run
from hmexp.store.records import RunRecord
from hmexp.store.run import LATEST

Source = str | Path
Sources = Source | Sequence[Source] | Mapping[str, Source]

RUN_COLUMNS: Final[dict[str, str]] = {
    "run": "string", "folder": "string", "started": "string", "finished": "string", "points": "Int64",
    "ok": "Int64", "failed": "Int64", "skipped": "Int64", "emulated": "boolean", "profile": "string",
    "timing_valid": "boolean", "cpu_model": "string", "cpus_online": "Int64", "memory_total_bytes": "Int64",
    "kernel": "string", "architecture": "string", "cpu_governors": "string", "turbo": "boolean",
    "thp_enabled": "string", "numa_balancing": "Int64", "hypervisor": "boolean", "hmexp": "string",
    "commit": "string",
}  # fmt: skip
_MOST_SHOWN: Final = 8


@dataclass(frozen=True, repr=False)
class Dataset:
    """One run or several, as tables.

    Parameters
    ----------
    points : DataFrame
        A row per point: the run, then the columns of `hmexp.report.model.columns`, which `points.csv` has
        too. A number stands in the unit that the column `unit` names, and again in the columns that end in
        ``_gbps`` [10^9 bytes per second] or ``_ns``.
    samples : DataFrame
        A row per raw sample: the run, then the columns of `samples.csv`.
    run : DataFrame
        A row per run, the columns `RUN_COLUMNS`: what it was measured on.
    records : mapping of str to RunRecord
        What `run.json` of each run holds, by the name in the column `run`.
    """

    points: pd.DataFrame
    samples: pd.DataFrame
    run: pd.DataFrame
    records: Mapping[str, RunRecord] = field(default_factory=dict)

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
    with collector_paused():
        return _load(find_runs(sources))


def _load(folders: Mapping[str, Path]) -> Dataset:
    names: list[str] = []
    points: list[Point] = []
    predictions: dict[str, Prediction] = {}
    runs: list[dict[str, Cell]] = []
    records: dict[str, RunRecord] = {}
    for name, folder in folders.items():
        results = Results.load(folder)
        records[name] = results.run
        names += [name] * len(results.points)
        points += results.points
        predictions |= predict(results)
        runs.append(_run_row(name, folder, results))
    table = points_table(points, predictions, {"run": names})
    rows = {name: array([row[name] for row in runs], dtype) for name, dtype in RUN_COLUMNS.items()}
    return Dataset(table, samples_table(points, {"run": names}), pd.DataFrame(rows), records)


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
    given = [sources] if isinstance(sources, str | Path) else _paths(sources)
    folders = [folder for source in given for folder in _expand(Path(source))]
    if not folders:
        raise ParameterError("no run is given", "name a folder, such as results/latest")
    found: dict[str, Path] = {}
    names = [read_run(folder).name or folder.name for folder in folders]
    for name, folder in zip(names, folders, strict=True):
        if folder.resolve() in {known.resolve() for known in found.values()}:
            continue
        # The same name twice: two machines, or a copy. Then the folder says which.
        label = name if names.count(name) == 1 or name not in found else str(folder)
        found[label] = folder
    return found


def _paths(sources: object) -> list[Source]:
    """The paths of a sequence; a caller without a type checker may hand over anything."""
    given: list[object] = list(sources) if isinstance(sources, Iterable) else [sources]
    paths: list[Source] = []
    for source in given:
        if not isinstance(source, str | Path):
            raise ParameterError(
                f"{source!r} is not the path of a run", 'name a folder: hmexp.load("results/latest")'
            )
        paths.append(source)
    return paths


def _expand(folder: Path) -> list[Path]:
    folder = folder.expanduser()
    if (folder / RUN).is_file():
        return [folder]
    inner = sorted(path.parent for path in folder.glob(f"*/{RUN}") if path.parent.name != LATEST)
    if not inner:
        raise StoreError(
            f"{folder} is not a run directory and contains none: it has no {RUN}",
            "name a folder under results/",
        )
    return inner


def _run_row(name: str, folder: Path, results: Results) -> dict[str, Cell]:
    run, machine = results.run, results.run.provenance or Provenance()
    statuses = [point.status for point in results.points]
    hypervisor = (machine.virtualization or {}).get("hypervisor_flag")
    return {
        "run": name,
        "folder": str(folder),
        "started": run.started or None,
        "finished": run.finished,
        "points": max(run.points or 0, len(statuses)),
        "ok": statuses.count("ok"),
        "failed": statuses.count("failed"),
        "skipped": statuses.count("skipped"),
        "emulated": results.emulated,
        "profile": None if run.emulation is None else run.emulation.profile.name,
        "timing_valid": run.timing_valid,
        "cpu_model": machine.cpu_model,
        "cpus_online": machine.cpus_online,
        "memory_total_bytes": machine.memory_total_bytes,
        "kernel": machine.kernel,
        "architecture": machine.architecture,
        "cpu_governors": ", ".join(machine.cpu_governors) if machine.cpu_governors else None,
        "turbo": machine.turbo,
        "thp_enabled": machine.thp_enabled,
        "numa_balancing": machine.numa_balancing,
        "hypervisor": hypervisor if isinstance(hypervisor, bool) else None,
        "hmexp": (machine.packages or {}).get("hmexp"),
        "commit": None if machine.checkout is None else machine.checkout.commit,
    }
