"""Records of programs: written whole, read back, never mixed up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hmexp.errors import StoreError
from hmexp.store.program_records import PROGRAM_SCHEMA, PlacementSample, ProgramRun, RefusedWay
from hmexp.store.programs import (
    PROGRAM,
    list_programs,
    make_folder,
    read_program,
    take_folder,
    write_program,
)

RECORD = ProgramRun(
    command=("/usr/bin/sort", "a b", "\u2028"),
    pattern="0,2,2",
    granule_bytes=4096,
    way="policy",
    refused=(RefusedWay(way="preload", reason="no module"),),
    pid=7,
    started="2026-11-26T00:00:00+00:00",
    placements=(PlacementSample(seconds=1.5, by_node={0: 3, 2: 6}, in_place=9),),
)


def test_a_record_is_read_back_and_replaced(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path, "/usr/bin/so rt"), make_folder(tmp_path, "/usr/bin/so rt")]
    assert len(set(folders)) == 2 and all(folder.name.count("so-rt") == 1 for folder in folders)
    for folder in folders:
        write_program(folder, RECORD)
    assert list_programs(tmp_path) == sorted(folders)
    folder = folders[0]
    assert read_program(folder) == read_program(folder / PROGRAM) == RECORD
    assert json.loads((folder / PROGRAM).read_text())["placements"][0]["by_node"] == {"0": 3, "2": 6}
    write_program(folder, ProgramRun(command=("true",), way="default", pid=8, started="", status=0))
    assert read_program(folder).status == 0
    assert [path.name for path in folder.iterdir()] == [PROGRAM]


def test_what_is_not_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*program.json"):
        read_program(tmp_path)
    path = write_program(take_folder(tmp_path / "new" / "one"), RECORD)
    with pytest.raises(StoreError, match="another program"):
        take_folder(path.parent)
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="not the record of a program"):
        read_program(path)
    path.write_text(json.dumps(json.loads(whole) | {"schema": PROGRAM_SCHEMA + 1, "novel": 1}))
    with pytest.raises(StoreError, match=f"schema {PROGRAM_SCHEMA + 1}"):
        read_program(path)
    path.write_text(json.dumps(json.loads(whole) | {"novel": 1}))
    assert read_program(path) == RECORD
    with pytest.raises(ValueError, match=r"not the same|Expected"):
        write_program(
            path.parent, ProgramRun(command=("x",), way="y", pid=1, started="", elapsed_seconds=float("nan"))
        )
