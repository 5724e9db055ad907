"""Curves in the format of Mess 2.0's `memory_curves.csv`, in and out.

`COLUMNS` has its columns. Bandwidths are in GB/s, latencies in ns; the actual share of reads is from 0 to 1.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Final

from hmexp.errors import ParameterError
from hmexp.report.study.curves import DrawnCurve, DrawnFamily, families_of
from hmexp.report.study.results import StudyResults

COLUMNS: Final = (
    "read_pct_rounded", "pause", "bandwidth_mean", "bandwidth_std", "rd_percentage_actual_mean",
    "latency_mean", "latency_std", "bandwidth_smooth", "latency_smooth",
)  # fmt: skip
MOST_BYTES: Final = 32 << 20
_NEEDED: Final = ("read_pct_rounded", "pause")
#: A curve of fewer points has neither a peak nor a knee.
_LEAST_POINTS: Final = 2


def write_mess(family: DrawnFamily) -> str:
    """The text of a file with the curves of one family, as Mess's tools read it.

    Without load Mess has long pauses; ours has none, and is left out.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for curve in family.curves:
        bandwidth_spread = curve.bandwidth_spread or (0.0,) * len(curve.pauses_ns)
        latency_spread = curve.latency_spread or (0.0,) * len(curve.pauses_ns)
        rows = zip(
            curve.pauses_ns, curve.bandwidth_gbps, bandwidth_spread, curve.latency_ns, latency_spread,
            strict=True,
        )  # fmt: skip
        for pause, gbps, gbps_spread, latency, spread in rows:
            if pause is not None:
                share = curve.read_percent / 100
                values = (gbps, gbps_spread, share, latency, spread, gbps, latency)
                # Whole where it is one: their tools look the curve up by this number.
                writer.writerow([f"{curve.read_percent:g}", pause, *(repr(float(v)) for v in values)])
    return text.getvalue()


def mess_files(study: StudyResults) -> dict[str, str]:
    """A file for each family of a run, by its name."""
    return {
        f"memory_curves-{family.pattern.replace(',', '_')[:40]}-{family.stores}.csv": write_mess(family)
        for family in families_of(study)
    }


def read_mess(path: Path) -> DrawnFamily:
    """Read a file that Mess 2.0 or `write_mess` has written.

    Smoothed values are taken where there are some, as Mess's own figures do.

    Raises
    ------
    ParameterError
        Naming the file, the line and the column, if it is none.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise ParameterError(f"{path} is longer than {MOST_BYTES} bytes", "give one family of curves")
        lines = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ParameterError(
            f"{path} cannot be read as CSV: {why}",
            "name a run of `hmexp curves`, or a memory_curves.csv of Mess 2.0",
        ) from error
    header = rows[0] if rows else []
    bandwidth = _column(path, header, ("bandwidth_smooth", "bandwidth_mean"))
    latency = _column(path, header, ("latency_smooth", "latency_mean"))
    share, pause = (_column(path, header, (name,)) for name in _NEEDED)
    found: dict[float, list[tuple[float, float, int]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise ParameterError(
                f"{path}, line {number}: {len(row)} fields, and the header has {len(header)}"
            )
        values = [_number(path, number, header[at], row[at]) for at in (bandwidth, latency, share, pause)]
        if not 0 <= values[2] <= 100:
            raise ParameterError(
                f"{path}, line {number}: {header[share]} = {row[share]} is not from 0 to 100"
            )
        found.setdefault(values[2], []).append((values[0], values[1], int(values[3])))
    curves = [_curve(path, percent, points) for percent, points in sorted(found.items())]
    if not curves:
        raise ParameterError(
            f"{path} has no curves", "give the memory_curves.csv of Mess 2.0, or of hmexp curves"
        )
    return DrawnFamily(path.stem, "unknown", tuple(curves))


def _curve(path: Path, percent: float, points: list[tuple[float, float, int]]) -> DrawnCurve:
    ordered = sorted(points)
    if len(ordered) < _LEAST_POINTS or ordered[-1][0] <= 0:
        raise ParameterError(f"{path}: the curve for {percent:g} % reads has no two points, or no traffic")
    return DrawnCurve(
        percent,
        tuple(pause for _, _, pause in ordered),
        tuple(gbps for gbps, _, _ in ordered),
        tuple(latency for _, latency, _ in ordered),
    )


def _column(path: Path, header: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise ParameterError(
        f"{path} has no column {' or '.join(names)}", f"Mess 2.0's columns are: {', '.join(COLUMNS)}"
    )


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    least = 0.0 if column.startswith(("bandwidth", "pause", "read")) else 1e-6
    if not least <= found <= 1e9:
        raise ParameterError(f"{path}, line {line}: {column} = {text!r} is not a number that it can be")
    return found
