"""The record of a fleet: `fleet.json`, above a run directory for each host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from hmexp.decoding import decode
from hmexp.errors import StoreError
from hmexp.store.journal import file_errors, replace_file
from hmexp.store.schema import Remark, Stored

FLEET: Final = "fleet.json"
#: Folder of the run directories, one for each host, by its name.
HOSTS: Final = "hosts"
#: Of `fleet.json`; the run directories below it have the schema of every run.
FLEET_SCHEMA: Final = 1
#: What may be the name of a host, and so of its folder.
HOST_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_LARGEST_BYTES: Final = 64 << 20
#: What became of a host: it is being measured, or was; points failed or are missing; another version of hmexp
#: or schema was refused; or it went away.
HostState = Literal["measuring", "measured", "incomplete", "refused", "lost"]


class HostRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A host of a fleet.

    Parameters
    ----------
    name : str
        Its name, which is also that of its folder.
    state : str
        `measuring`; `measured`; `incomplete`: a point failed or is missing; `refused`: it has another version
        of hmexp or another schema; `lost`: it went away and did not come back in time.
    reason : str or None
        Why the state is not `measured`, for people.
    hmexp : str or None
        Version of hmexp on the host; None if that was not learned.
    clock_offset_seconds : float or None
        How far its clock was ahead of the gatherer's, when the host was greeted [s].
    """

    name: str
    state: HostState
    reason: str | None = None
    hmexp: str | None = None
    clock_offset_seconds: float | None = None


class FleetRecord(Stored, frozen=True, kw_only=True, gc=False):
    """`fleet.json`: what is measured on every host, and what became of each.

    Parameters
    ----------
    schema : int
        Schema of `fleet.json`.
    name : str
        Name of the fleet and of its folder.
    plan : str
        Hash of what was asked for: hmexp finds an unfinished fleet by it.
    measurement : str
        What every host measures: `sweep`, `matrix`, `curves` or `program`.
    parameters : dict of str to remark
        Its parameters, as they were given.
    files : dict of str to str
        What is in the files that a parameter names, by the name it has there: hosts have no such file.
    shared : bool
        Whether the hosts are processes of one machine: then their numbers say nothing of machines.
    hosts : tuple of HostRecord
        Every host that was met.
    started : str
        When the fleet began, in UTC and ISO 8601, by the gatherer's clock.
    finished : str or None
        When every host was measured; None while one is not.
    reported : bool or None
        False until the report of a finished fleet is written: one that was killed there is resumed.
    """

    schema: int = FLEET_SCHEMA
    name: str
    plan: str
    measurement: str
    parameters: dict[str, Remark] = {}
    files: dict[str, str] = {}
    shared: bool = False
    hosts: tuple[HostRecord, ...] = ()
    started: str = ""
    finished: str | None = None
    reported: bool | None = None


def write_fleet(folder: Path, record: FleetRecord) -> None:
    """Write or replace `fleet.json`; a reader sees the old one or the new one, whole.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    replace_file(folder / FLEET, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def read_fleet(folder: Path) -> FleetRecord:
    """Read `fleet.json`.

    Raises
    ------
    StoreError
        If it is missing, damaged, or of a later hmexp.
    """
    file = folder / FLEET
    with file_errors("read", file):
        if not file.is_file():
            raise StoreError(
                f"{folder} is not the folder of a fleet: it has no {FLEET}",
                "name the folder that `hmexp fleet` printed",
            )
        if file.stat().st_size > _LARGEST_BYTES:
            raise StoreError(f"{file} is too large to describe a fleet", "restore it from a copy")
        text = file.read_bytes()
    try:
        record = decode(text, FleetRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"{file} is damaged: {error}", "restore it from a copy") from error
    if record.schema > FLEET_SCHEMA:
        raise StoreError(
            f"{file} has schema {record.schema}; this hmexp reads up to {FLEET_SCHEMA}", "update hmexp"
        )
    strange = next((host.name for host in record.hosts if not HOST_NAME.fullmatch(host.name)), None)
    if strange is not None:
        raise StoreError(f"{file} has a host whose name cannot be that of a folder: {strange!r}")
    return record
