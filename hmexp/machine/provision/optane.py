"""Optane modules by what ipmctl says of them, before their memory is a region that ndctl knows.

The program shows values as XML (``-o nvmxml``) and as tables; older versions show the resources as lines
``MemoryCapacity=0.0 GiB``. All three are read, and what makes no sense counts as nothing. The forms are taken
from recorded outputs of versions 1 to 3, except the XML of the resources, of which none was found: where it
is not understood, the table is read. No such machine was ever tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hmexp.machine.provision.tools import Toolbox
from hmexp.system.sysfs import split_lines
from hmexp.units import format_size

#: Said with every step of ipmctl.
NEVER_TRIED: Final = "parsed from recorded outputs of ipmctl, never tried on such a machine"
_UNITS: Final[Mapping[str, int]] = {
    "B": 1, "MB": 10**6, "MIB": 1 << 20, "GB": 10**9, "GIB": 1 << 30, "TB": 10**12, "TIB": 1 << 40,
}  # fmt: skip
_LEAF: Final = re.compile(r"<(\w+)(?:\s[^<>]*)?>([^<>]*)</\1\s*>", re.ASCII)
_PAIR: Final = re.compile(r"^[ \t-]*(\w+)=(.*)$", re.MULTILINE | re.ASCII)
#: The smallest part of the modules that can be given to another purpose is 1 GiB for each of them.
_LEAST_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class OptaneGoal:
    """What one module is to become at the next boot.

    Parameters
    ----------
    module : str
        Its identifier, such as ``0x0001``.
    memory_bytes, app_direct_bytes : int
        For Memory Mode, and for persistent regions [bytes].
    status : str
        What became of it, such as ``New``; empty where ipmctl does not say.
    """

    module: str
    memory_bytes: int
    app_direct_bytes: int
    status: str = ""


@dataclass(frozen=True)
class OptaneState:
    """What the Optane modules of a machine are used for.

    Parameters
    ----------
    memory_bytes : int
        Memory Mode: the system's memory, with the DRAM as its cache [bytes].
    app_direct_bytes : int
        Persistent regions [bytes].
    unconfigured_bytes : int
        What nothing uses [bytes].
    goals : tuple of OptaneGoal
        What waits for the next boot.
    modules : int
        How many modules there are; 0 where ipmctl does not say.
    """

    memory_bytes: int = 0
    app_direct_bytes: int = 0
    unconfigured_bytes: int = 0
    goals: tuple[OptaneGoal, ...] = ()
    modules: int = 0

    def __str__(self) -> str:
        parts = (
            (self.memory_bytes, "in Memory Mode"),
            (self.app_direct_bytes, "in App Direct regions"),
            (self.unconfigured_bytes, "unconfigured"),
        )
        return ", ".join(f"{format_size(size)} {what}" for size, what in parts if size)


def read_optane(tools: Toolbox) -> OptaneState | None:
    """Ask ipmctl; None where it is not installed, or shows no module."""
    if not tools.has("ipmctl"):
        return None

    def show(*what: str) -> str:
        return tools.run(("ipmctl", "show", *what)).out

    resources = show("-u", "B", "-o", "nvmxml", "-memoryresources")
    if not str(parse_resources(resources)):
        resources = show("-memoryresources")
    modules = len({row["dimmid"] for row in parse_rows(show("-o", "nvmxml", "-dimm")) if row.get("dimmid")})
    goals = parse_goals(show("-u", "B", "-o", "nvmxml", "-goal")) or parse_goals(show("-goal"))
    regions = sum(parse_size(row.get("capacity", "")) for row in _regions(show("-o", "nvmxml", "-region")))
    state = parse_resources(resources, regions, modules=modules)
    found = OptaneState(state.memory_bytes, state.app_direct_bytes, state.unconfigured_bytes, goals, modules)
    return found if str(found) or goals or modules else None


def parse_size(text: str) -> int:
    """Read ``126.4 GiB`` or ``94489280512 B`` [bytes]; 0 for what is no size."""
    match = re.fullmatch(r"\s*(\d{1,20}(?:\.\d{1,9})?)\s*([A-Za-z]{1,3})\s*", text, re.ASCII)
    unit = _UNITS.get(match[2].upper()) if match is not None else None
    return 0 if match is None or unit is None else round(float(match[1]) * unit)


def parse_rows(text: str) -> tuple[Mapping[str, str], ...]:
    """Read what ipmctl shows, in any form: one mapping for each thing, with names in small letters."""
    if "<" in text:
        return tuple(_elements(text))
    table = tuple(_table(text))
    if table:
        return table
    pairs = {match[1].lower(): match[2].strip() for match in _PAIR.finditer(text)}
    return (pairs,) if pairs else ()


def parse_resources(text: str, region_bytes: int = 0, *, modules: int = 0) -> OptaneState:
    """Read ``show -memoryresources``.

    Parameters
    ----------
    text : str
        What it said.
    region_bytes : int
        What regions have according to ``show -region``: used where the resources do not say [bytes].
    modules : int
        How many modules there are.

    Notes
    -----
    Newer versions count what is unconfigured as inaccessible, together with a little that the modules keep
    for themselves (0.3 % in recorded outputs): at least a tenth of all counts as unconfigured.
    """
    rows = parse_rows(text)
    by_type = {row["memorytype"].lower(): _of_modules(row) for row in rows if "memorytype" in row}
    if by_type:
        physical, inaccessible = by_type.get("physical", 0), by_type.get("inaccessible", 0)
        idle = by_type.get("unconfigured", inaccessible if inaccessible * 10 >= physical else 0)
        found = by_type.get("volatile", 0), by_type.get("appdirect", 0) or region_bytes, idle
    else:
        one = rows[0] if rows else {}
        sizes = [
            parse_size(one.get(f"{name}capacity", "")) for name in ("memory", "appdirect", "unconfigured")
        ]
        found = sizes[0], sizes[1] or region_bytes, sizes[2]
    memory, direct, idle = (size if size >= _LEAST_BYTES else 0 for size in found)
    return OptaneState(memory, direct, idle, modules=modules)


def parse_goals(text: str) -> tuple[OptaneGoal, ...]:
    """Read ``show -goal``; empty if no goal waits."""
    goals = []
    for row in parse_rows(text):
        if not row.get("dimmid") or "memorysize" not in row:
            continue
        direct = parse_size(row.get("appdirect1size", "")) + parse_size(row.get("appdirect2size", ""))
        goals.append(OptaneGoal(row["dimmid"], parse_size(row["memorysize"]), direct, row.get("status", "")))
    return tuple(goals)


def _regions(text: str) -> tuple[Mapping[str, str], ...]:
    return tuple(row for row in parse_rows(text) if row.get("isetid"))


def _of_modules(row: Mapping[str, str]) -> int:
    """The column of the modules: its name changed with that of the product."""
    for name in ("pmemmodule", "dcpmm", "pmem"):
        if name in row:
            return parse_size(row[name])
    return 0


def _elements(text: str) -> Iterator[Mapping[str, str]]:
    """Elements that hold only values: a value that follows none of its own thing begins the next."""
    row: dict[str, str] = {}
    end = 0
    for match in _LEAF.finditer(text):
        # A closing tag between two values ends the thing that they belong to.
        if row and ("</" in text[end : match.start()] or match[1].lower() in row):
            yield row
            row = {}
        row[match[1].lower()] = match[2].strip()
        end = match.end()
    if row:
        yield row


def _table(text: str) -> Iterator[Mapping[str, str]]:
    names: list[str] = []
    before = ""
    for line in split_lines(text):
        if re.fullmatch(r"\s*={3,}\s*", line) and "|" in before:
            names = [name.strip().lower() for name in before.split("|")]
        elif names and line.count("|") == len(names) - 1:
            yield dict(zip(names, (value.strip() for value in line.split("|")), strict=True))
        before = line
