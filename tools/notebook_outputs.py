"""Say which notebooks carry outputs, or with --clear take them out.

A committed notebook is source: outputs make its differences unreadable and go stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def find_outputs(notebook: dict[str, object]) -> list[str]:
    """Return one line for each cell that carries an output or an execution count."""
    cells = notebook["cells"]
    assert isinstance(cells, list)
    found = []
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] != "code":
            continue
        if cell["outputs"]:
            found.append(f"cell {number}: {len(cell['outputs'])} outputs")
        if cell["execution_count"] is not None:
            found.append(f"cell {number}: execution count {cell['execution_count']}")
        if "papermill" in cell["metadata"] or "execution" in cell["metadata"]:
            found.append(f"cell {number}: metadata of an execution")
    return found


def clear_outputs(notebook: dict[str, object]) -> None:
    """Take outputs, execution counts and traces of an execution out of a notebook, in place."""
    cells = notebook["cells"]
    assert isinstance(cells, list)
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = []
        cell["execution_count"] = None
        for trace in ("papermill", "execution", "ExecuteTime"):
            cell["metadata"].pop(trace, None)


def main() -> int:
    """Check (or clear) the notebooks named on the command line; 1 if any carries outputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clear", action="store_true", help="take the outputs out")
    parser.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args()
    dirty = False
    for path in arguments.notebooks:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        found = find_outputs(notebook)
        if found and arguments.clear:
            clear_outputs(notebook)
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        elif found:
            dirty = True
            for line in found:
                print(f"{path}: {line}", file=sys.stderr)
    if dirty:
        print("-> python tools/notebook_outputs.py --clear NOTEBOOK", file=sys.stderr)
    return int(dirty)


if __name__ == "__main__":
    sys.exit(main())
