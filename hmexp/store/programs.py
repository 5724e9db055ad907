"""Records of programs on disk: a folder each, with `program.json`, which is replaced as a whole."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from hmexp.decoding import decoder
from hmexp.errors import StoreError
from hmexp.store.journal import file_errors, replace_file, sync_folder
from hmexp.store.program_records import PROGRAM_SCHEMA, ProgramRun

PROGRAM: Final = "program.json"
#: Where records are kept, below the folder of results.
PROGRAMS: Final = "programs"
_decoder: Final = decoder(ProgramRun)


def make_folder(results: Path, program: str) -> Path:
    """Make a new folder for the record of a program, named after the time and the program.

    Parameters
    ----------
    results : Path
        Folder of the results; the record is below its `programs/`.
    program : str
        The program's name; what a file's name should not hold is left out of it.

    Raises
    ------
    StoreError
        If it cannot be made.
    """
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(program).name)[:40].strip(".-") or "program"
    folder = results / PROGRAMS
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{word}"  # noqa: DTZ005 - a name for a person
    with file_errors("make the folder of records", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            path = folder / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            sync_folder(folder)
            return path
    raise StoreError(f"{folder} has 999 records of {stem}", "choose another folder with --record")


def take_folder(path: Path) -> Path:
    """Make a folder that was named for the record of one program.

    Raises
    ------
    StoreError
        If it cannot be made, or holds the record of another program already.
    """
    with file_errors("make the folder of the record", path):
        path.mkdir(parents=True, exist_ok=True)
        taken = (path / PROGRAM).exists()
        sync_folder(path.parent)
    if taken:
        raise StoreError(
            f"{path / PROGRAM} is the record of another program already",
            "name another folder with --record, or move that one away",
        )
    return path


def write_program(folder: Path, record: ProgramRun) -> Path:
    """Write or replace the record of a program; a reader sees the old one or the new one, whole.

    Raises
    ------
    StoreError
        If the file cannot be written.
    ValueError
        If the record could not be read back as it is.
    """
    text = msgspec.json.encode(record)
    if _decoder.decode(text) != record:
        raise ValueError(f"the record is not the same when it is read back: {text[:200]!r}")
    path = folder / PROGRAM
    replace_file(path, msgspec.json.format(text, indent=2) + b"\n")
    return path


def read_program(path: Path) -> ProgramRun:
    """Read the record of a program.

    Parameters
    ----------
    path : Path
        Its `program.json`, or the folder that has it.

    Raises
    ------
    StoreError
        If it is missing, damaged, or of a later hmexp.
    """
    file = path / PROGRAM if path.is_dir() else path
    with file_errors("read", file):
        text = file.read_bytes()
    try:
        record = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{file} is not the record of a program: {error}", "restore it from a copy"
        ) from error
    if record.schema > PROGRAM_SCHEMA:
        raise StoreError(
            f"{file} has schema {record.schema}; this hmexp reads up to {PROGRAM_SCHEMA}", "update hmexp"
        )
    return record


def list_programs(results: Path) -> list[Path]:
    """The folders of all records below a folder of results, the oldest first."""
    return sorted(file.parent for file in (results / PROGRAMS).glob(f"*/{PROGRAM}"))
