"""The notebook of the first hour, through papermill and with its controls moved."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hmexp.notebook.explore import ExploreParameters

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "explore.ipynb"
SMALL = {
    "size": "1MiB",
    "samples": 2,
    "sample_seconds": 0.005,
    "compare": ["1:0", "0:1"],
    "emulate": "2=optane-dcpmm",
}


def papermill(
    folder: Path, parameters: dict[str, Any], **environment: str
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("VSCODE_", "PYCHARM_", "JPY_SESSION"))}
    return subprocess.run(
        [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", "-y", json.dumps(parameters)],
        cwd=folder, capture_output=True, text=True, timeout=300, env=clean | environment,
    )  # fmt: skip


def html_of(cells: list[dict[str, Any]], source: str) -> list[str]:
    """What the cell with this source shows, as HTML."""
    cell = next(c for c in cells if source in "".join(c["source"]) and c["cell_type"] == "code")
    shown = [output.get("data", {}).get("text/html") for output in cell["outputs"]]
    return ["".join(html) for html in shown if html]


def rows_of(html: str) -> list[list[str]]:
    page = ElementTree.fromstring(html)
    return [
        ["".join(cell.itertext()) for cell in row] for row in page.iter("tr") if row.find("td") is not None
    ]


@pytest.mark.slow
def test_the_first_hour_through_papermill(tmp_path: Path) -> None:
    done = papermill(tmp_path, SMALL)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"out.ipynb"}
    saved = json.loads((tmp_path / "out.ipynb").read_text())
    cells = saved["cells"]
    assert not [o for c in cells for o in c.get("outputs", ()) if o["output_type"] == "error"]
    assert "EMULATED" in html_of(cells, "Exploration(globals())")[0]

    [placement] = html_of(cells, "region.placement()")
    assert "✓ proven" in placement
    assert [row[1:4] for row in rows_of(placement)] == [["256", "256", "256"]]
    for source in ("hmexp.measure_bandwidth", "hmexp.measure_latency"):
        [measured] = html_of(cells, source)
        assert "EMULATED optane-dcpmm" in measured and measured.count("<circle") == 2

    table = next(c for c in cells if "".join(c["source"]) == "results")
    rows = rows_of("".join(table["outputs"][0]["data"]["text/html"]))
    assert table["outputs"][0]["data"]["text/plain"] == ["this notebook: 3 points measured"]
    assert [row[:3] for row in rows] == [["read", "1:0", "0"], ["read", "1:2", "0,2,2"], ["read", "0:1", "2"]]
    for row in rows:
        median = float(row[3].removesuffix(" GB/s").replace(",", ""))
        low, high = (float(part.replace(",", "")) for part in row[4].split(" to "))
        assert low <= median <= high
    plot = next(c for c in cells if "first.plot" in "".join(c["source"]))
    assert sum("image/png" in o.get("data", {}) for o in plot["outputs"]) == 1

    # Nobody can move controls under papermill: they are left out, that is said, and the picture is there.
    for source, picture in (("play_with_patterns", "0: 33.3%"), ("play_with_threads", "GB/s")):
        note, first = html_of(cells, source)
        assert "ran without a person" in note and picture in first
    assert "widget-view" not in json.dumps(cells)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"patern": "0"}, "did you mean 'pattern'"),
        ({"pattern": "0,,2"}, "entry 2 is empty"),
        ({"operation": "latency"}, "is not a bandwidth"),
        ({"operation": "loaded_read"}, "is not a bandwidth"),
        ({"threads": 0}, "not a whole number above 0"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(
    refused: Callable[..., str], parameters: dict[str, Any], says: str
) -> None:
    assert says in refused(NOTEBOOK, "-y", json.dumps(SMALL | parameters))


MOVE = """
import hmexp.notebook.widgets
plays = []
original = hmexp.notebook.widgets.Play.show
def show(self):
    plays.append(self)
    original(self)
hmexp.notebook.widgets.Play.show = show
"""


@pytest.mark.slow
def test_the_controls_move_the_pictures(tmp_path: Path) -> None:
    """As a person in front of a Jupyter server has it: the kernel's environment names the session."""
    notebook = json.loads(NOTEBOOK.read_text())

    def code(source: str) -> dict[str, Any]:
        return {
            "cell_type": "code", "id": f"x{abs(hash(source)):x}"[:8], "metadata": {}, "source": source,
            "execution_count": None, "outputs": [],
        }  # fmt: skip

    cells = notebook["cells"]
    at = next(n for n, c in enumerate(cells) if "Exploration(" in "".join(c["source"]))
    cells.insert(at, code(MOVE))
    cells.append(code("patterns, threads = plays\npatterns.controls['node 0'].value = 3"))
    cells.append(code("patterns.controls['node 0'].value = patterns.controls['node 2'].value = 0"))
    cells.append(code("threads.controls['pattern'].value = first.plan.points[-1].parsed_pattern"))
    cells.append(code("threads.button.click()\nassert not threads.button.disabled"))
    changed = tmp_path / "moved.ipynb"
    changed.write_text(json.dumps(notebook))
    # As `papermill -p pattern 0` has it: a number, not a text.
    given = json.dumps(SMALL | {"pattern": 0})
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(changed), "out.ipynb", "-y", given],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | {"JPY_SESSION_NAME": "/notebooks/explore.ipynb"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    assert json.dumps(cells).count("application/vnd.jupyter.widget-view+json") == 2
    # The pictures were replaced where they are; the one of the patterns by what is wrong with no node at all.
    note, picture = html_of(cells, "first.play_with_patterns()")
    assert "follows the controls" in note
    assert "not possible" in picture and "no node with a weight above zero" in picture
    _, picture = html_of(cells, "first.play_with_threads()")
    assert [row[:3] for row in rows_of(picture)] == [["2", "read", "1"], ["0", "read", "1"]]


def test_the_notebook_has_each_parameter_with_its_default_and_a_comment() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    [cell] = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    values = {name: value for name, value in namespace.items() if not name.startswith("__")}
    assert tuple(values) == ExploreParameters.names()
    assert ExploreParameters(**values).as_sweep() == ExploreParameters().as_sweep()
    assert all(re.match(r"\w+: [\w\[\]]+ = .*  # ", line) for line in source.splitlines())
