"""The notebooks as pages: copied into the site's source when it is built, and executed there.

Those that read records show the committed runs. Those that measure do so on an emulated node with parameters
so small that they take seconds: such a page shows what a notebook does, not what a memory can do.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
PAGES = DOCS / "notebooks"
#: Where notebooks that measure write; the site shows nothing of it but what the notebook shows.
RESULTS = ROOT / "build" / "docs-results"

READS = (
    "On this page the notebook shows a committed run, `{run}`. Its slow memory is emulated or in a virtual "
    "machine: the page shows the tool, not a memory."
)
MEASURES = (
    "On this page the notebook ran while this site was built, on an emulated node and with parameters "
    "so small that it took seconds. It shows the tool; its numbers say nothing about any memory."
)
NEEDS = (
    "This notebook starts servers, for minutes or hours, and needs `redis-server`: it is not executed on "
    "this page. Open `notebooks/redis.ipynb`, or run `make redis`."
)
CONTROL = (
    "In JupyterLab this cell shows controls to play with. A page has no kernel behind it, so it is not "
    "executed here: open `notebooks/{name}` to use them."
)


@dataclass(frozen=True)
class Page:
    """A notebook of the site: what is said above it, the parameters, and whether it is executed."""

    note: str
    parameters: dict[str, object] = field(default_factory=dict)
    executed: bool = True


def pages() -> dict[str, Page]:
    """The notebooks of the site by their file names."""
    small = {"samples": 2, "sample_seconds": 0.02, "emulate": "2=optane-dcpmm"}
    written = {"results": "../../build/docs-results"}
    return {
        "explore.ipynb": Page(MEASURES, small | {"size": "16MiB", "samples": 3}),
        "sweep.ipynb": Page(MEASURES, small | written | {"preset": "quick", "size": "16MiB"}),
        "find.ipynb": Page(
            MEASURES,
            small
            | written
            # What any ratio keeps: the page shows how a search ends, and noise must not forbid that.
            | {"needs": ["read>=5"], "patterns": ["3:1", "1:1", "0:1"], "size": ["16MiB"], "launches": 5},
        ),
        "report.ipynb": Page(READS.format(run="results/example"), {"runs": ["../../results/example"]}),
        "placers.ipynb": Page(
            READS.format(run="results/example-placers"), {"records": "../../results/example-placers"}
        ),
        "granularity.ipynb": Page(MEASURES, small | written | {"size": "16MiB", "window": "1MiB"}),
        "curves.ipynb": Page(
            MEASURES,
            small | written | {"size": "16MiB", "launches": 1, "reads": ["0", "60", "100"], "stores": ["nt"]},
        ),
        "redis.ipynb": Page(NEEDS, executed=False),
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", copy_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def copy_notebooks(_app: Sphinx) -> None:
    """Write the page of each notebook; runs of an earlier build are removed, or they would be resumed."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    for name, page in pages().items():
        text = nbformat.writes(prepare(ROOT / "notebooks" / name, page))
        target = PAGES / name
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def prepare(path: Path, page: Page) -> nbformat.NotebookNode:
    """The notebook of a path with a note, with the page's parameters, and without its controls."""
    notebook = nbformat.read(path, as_version=4)
    cells = []
    for cell in notebook.cells:
        if "play_with" in cell.source and cell.cell_type == "code":
            cell.metadata.tags = ["skip-execution"]
            cells += [cell, say(CONTROL.format(name=path.name))]
            continue
        cells.append(cell)
        if not page.executed:
            if cell.cell_type == "code":
                cell.metadata.tags = ["skip-execution"]
            if cell is notebook.cells[0]:
                cells.append(say(page.note))
            continue
        if "parameters" in cell.metadata.get("tags", []):
            lines = [f"{name} = {value!r}" for name, value in page.parameters.items()]
            injected = nbformat.v4.new_code_cell("\n".join(lines))
            injected.metadata.tags = ["injected-parameters"]
            cells += [say(page.note), injected]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook.cells = cells
    return notebook


def say(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(f":::{{note}}\n{text}\n:::")
