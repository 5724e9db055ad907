"""docs/records.md is what the types say, and the types have every field that is stored."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from hmexp.store.conversion import upgrade, upgrade_run
from hmexp.store.program_records import ProgramRun
from hmexp.store.reader import POINTS, RUN
from hmexp.store.records import LaunchRecord, PointRecord, RunRecord
from hmexp.store.schema import Stored

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "records_page.py"
EXAMPLES = ("example", "example-placers")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("records_page", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_types_say(tool: ModuleType) -> None:
    assert (ROOT / "docs" / "records.md").read_text() == tool.page(), "run tools/records_page.py"


def test_a_page_that_is_out_of_date_fails_the_check(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "records.md"
    monkeypatch.setattr(tool, "PAGE", page)
    assert tool.main(["--check"]) == 1 and not page.exists()
    assert tool.main([]) == 0 and tool.main(["--check"]) == 0
    page.write_text(page.read_text().replace("Every raw sample", "Some samples"))
    capsys.readouterr()
    assert tool.main(["--check"]) == 1
    assert "run records_page.py" in capsys.readouterr().err
    assert subprocess.run([sys.executable, TOOL, "--check"]).returncode == 0


def test_every_stored_type_and_field_has_a_row(tool: ModuleType) -> None:
    text = tool.page()
    sections = {part.split("\n", 1)[0]: part.split("\n## ")[0] for part in text.split("\n### ")[1:]}
    for record in stored():
        rows = [line for line in sections[record.__name__].splitlines() if line.startswith("| `")]
        inherited = record in (LaunchRecord, PointRecord)
        expected = [
            name
            for name in record.__struct_fields__
            if not (inherited and name in record.__bases__[0].__struct_fields__)
        ]
        tag = [] if record.__struct_config__.tag is None else ["kind"]
        assert [row.split("`")[1] for row in rows] == [*tag, *expected]
        # Field, type, unit and meaning; only the unit may be empty.
        cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
        assert all(len(row) == 4 and row[0] and row[1] and row[3].endswith(".") for row in cells), record


def test_a_field_without_a_description_makes_no_page(tool: ModuleType) -> None:
    class Silent(Stored, frozen=True, kw_only=True, gc=False):
        """A record of which nobody says what its second field is.

        Parameters
        ----------
        first : int
            Well known.
        """

        first: int
        second: int

    with pytest.raises(SystemExit, match=r"Silent: .*second"):
        tool.section(Silent)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_types_have_every_field_of_the_examples(name: str) -> None:
    example = ROOT / "results" / name
    for line in (example / POINTS).read_text().splitlines():
        assert not unknown(upgrade(json.loads(line)), PointRecord)
    run = json.loads((example / RUN).read_text())
    assert not unknown(upgrade_run(run), RunRecord)


def test_a_field_that_the_types_do_not_have_is_found() -> None:
    line = (ROOT / "results" / "example" / POINTS).read_text().splitlines()[0]
    record = json.loads(line)
    record["result"]["details"]["novel"] = 1
    record["launches"][1]["machine"]["other"] = None
    assert unknown(upgrade(record), PointRecord) == [".result.details.novel", ".launches[1].machine.other"]


def unknown(raw: object, record: object, path: str = "") -> list[str]:
    """Fields that are in the JSON of a record, but not in its type."""
    known = msgspec.to_builtins(msgspec.convert(raw, record, str_keys=True), str_keys=True)
    return list(_unknown(raw, known, path))


def _unknown(raw: object, known: object, path: str) -> Iterator[str]:
    if isinstance(raw, dict) and isinstance(known, dict):
        for name, value in raw.items():
            if name not in known:
                yield f"{path}.{name}"
            else:
                yield from _unknown(value, known[name], f"{path}.{name}")
    elif isinstance(raw, list):
        assert isinstance(known, list | tuple)
        for index, (one, other) in enumerate(zip(raw, known, strict=True)):
            yield from _unknown(one, other, f"{path}[{index}]")
    else:
        assert raw == known, path


def stored() -> list[type[Stored]]:
    """Every type that a file of a run holds, by msgspec's own account."""
    found: dict[str, type[Stored]] = {}
    waiting: list[object] = [RunRecord, PointRecord, LaunchRecord, ProgramRun]
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, type) and issubclass(hint, Stored) and hint.__name__ not in found:
            found[hint.__name__] = hint
            waiting += [typing.get_type_hints(hint)[name] for name in hint.__struct_fields__]
        waiting += typing.get_args(hint)
    return list(found.values())
