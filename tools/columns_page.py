"""Write docs/reference/columns.md from the list of columns: `.venv/bin/python tools/columns_page.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from hmexp.report.model.columns import POINT_COLUMNS
from hmexp.report.model.sample_columns import SAMPLE_COLUMNS

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "columns.md"
_TYPES: Final = {"string": "text", "Int64": "integer", "Float64": "number", "boolean": "boolean"}
_HEAD: Final = """\
<!-- Made by tools/columns_page.py from hmexp/report/model/columns.py and sample_columns.py: change those. -->

# Columns of the tables

`points.csv`, `samples.csv` and the tables of `hmexp.load` have the same columns, in the same order, with the
same names; `hmexp.load` puts a column `run` before them. What a point does not have is empty in a file, and
missing (`<NA>`) in a table.

Units are in the names: `_gbps` is GB/s, 10^9 bytes per second. The columns without a unit in their name, from
`median` to `maximum` and `model`, are in the unit that the column `unit` names: they suit a table of one
operation, and the columns with a unit suit a table of several.
"""
#: Of the columns that the table of points does not have.
_OF_SAMPLES: Final[Mapping[str, str]] = {
    "launch": "number of the launch within its point",
    "sample": "number of the sample within its point",
    "value": "the sample, in the unit that `unit` names",
    "unit": "of `value`",
    "bandwidth_gbps": "the sample [GB/s]",
    "latency_ns": "the sample [ns]",
    "sample_seconds": "how long it took [s]",
    "payload_bytes": "what its loads and stores asked for [bytes]",
    "disturbed": "whether anything disturbed it",
    "disturbances": "what: `preempted`, `migrated`, `foreign`, `steal`, `short`",
}


def page() -> str:
    """Make the page."""
    meanings = {column.name: column.meaning for column in POINT_COLUMNS}
    points = ((column.name, column.dtype, column.meaning) for column in POINT_COLUMNS)
    samples = (
        (name, dtype, _OF_SAMPLES[name] if name in _OF_SAMPLES else meanings[name])
        for name, dtype in SAMPLE_COLUMNS.items()
    )
    parts = (
        ("Points", "A row for each point: `points.csv`, `hmexp.load(RUN).points`.", points),
        ("Samples", "A row for each raw sample: `samples.csv`, `hmexp.load(RUN).samples`.", samples),
    )
    return _HEAD + "".join(f"\n## {title}\n\n{text}\n\n{_table(rows)}" for title, text, rows in parts)


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| `{name}` | {_TYPES[dtype]} | {meaning} |\n" for name, dtype, meaning in rows]
    return "| column | type | meaning |\n|---|---|---|\n" + "".join(lines)


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
