"""The notebook of a search, through papermill, tiny: it ends with an answer, or fails and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.notebook.find import SWEEP
from hmexp.store.reader import read_run
from hmexp.sweep.find import RATIOS
from hmexp.sweep.parameters import SweepParameters
from tests.notebook.test_study import papermill, shown

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "find.ipynb"
TINY = [
    "-y", 'size: ["8MiB"]', "-y", 'patterns: ["3:1", "0:1"]', "-p", "launches", "5", "-p", "samples", "2",
    "-p", "sample_seconds", "0.01", "-p", "emulate", "9=optane-dcpmm",
]  # fmt: skip


@pytest.mark.slow
def test_a_search_ends_with_an_answer(tmp_path: Path) -> None:
    # All slow memory keeps a twentieth of reading, whatever the noise.
    done = papermill("find.ipynb", *TINY, "-y", 'needs: ["read>=5"]', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "results" / "latest-find"
    search = read_run(run).search
    assert search is not None and search.looked_at and search.launches <= search.grid_launches
    text = shown(tmp_path / "out.ipynb")
    assert "Yes, on the emulated machine: set all NVM" in text and "EMULATED" in text
    assert "kept" in text and "image/png" in text
    assert (run / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-y", "needs: []"], "nothing is needed"),
        (["-p", "needs", "read>=90"], "is one text"),
        (["-y", 'needs: ["read<=90"]'], "write read>=90"),
        (["-p", "need", "x"], "did you mean 'needs'"),
        (["-p", "launches", "1"], "gives no interval"),
    ],
)
def test_a_search_for_nothing_is_refused(
    tmp_path: Path, refused: Callable[..., str], arguments: list[str], says: str
) -> None:
    assert says in refused(NOTEBOOK, *arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"out.ipynb"}


def test_the_parameters_cell_is_what_the_library_knows() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    [cell] = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    values: dict[str, object] = {}
    exec(source, values)
    given = {name: value for name, value in values.items() if not name.startswith("__")}
    assert given.pop("needs") == ["read>=90", "latency<=1.6x"] and given.pop("prices") == "none"
    assert set(given) == set(SWEEP) and given["patterns"] == ["auto"]
    given["patterns"] = RATIOS
    usual = SweepParameters.from_mapping({"patterns": RATIOS})
    assert SweepParameters.from_mapping(given) == usual
    for line in source.splitlines():
        # papermill --help-notebook cannot read other lines.
        assert ": " in line.split(" = ")[0] and "  # " in line and line.count(" = ") == 1
