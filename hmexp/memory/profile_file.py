"""The file of a profile: TOML, of which every key and every number is checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hmexp.errors import EmulationError
from hmexp.memory.duplex import Carriers, Link, Medium
from hmexp.memory.family import MOST_CURVES, Family, FamilyCurve
from hmexp.memory.fit import fit_peaks
from hmexp.memory.speed import BANDWIDTHS, FIGURES, NodeSpeed

KINDS: Final = ("dram", "nvm", "cxl", "hbm", "gpu", "unknown")
#: A profile is a page of figures; the longest family has some thousand points.
MOST_BYTES: Final = 4 << 20
_RATES: Final = tuple(FIGURES[quantity] for quantity in BANDWIDTHS)
_TEXTS: Final = ("title", "kind", "source")
_TABLES: Final = ("writers", "link", "medium", "curves", "intervals")
_LINK: Final = ("toward_gbps", "back_gbps", "request", "completion")
_MEDIUM: Final = ("read_gbps", "write_gbps", "turnaround_gbps")
_CURVE: Final = ("read_percent", "bandwidth_gbps", "latency_ns")


@dataclass(frozen=True)
class Contents:
    """What a file says, checked; the parameters are those of `hmexp.memory.profile.Profile`."""

    title: str
    kind: str
    source: str
    dram: NodeSpeed
    slow: NodeSpeed
    intervals: Mapping[str, tuple[float, float]]


def read_profile(path: Path) -> Contents:
    """Read the file of a profile.

    Raises
    ------
    EmulationError
        Naming the file and the key, if the file cannot be read, or a figure is unknown, missing or absurd.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise EmulationError(f"emulation profile {path} is longer than {MOST_BYTES} bytes")
        data = tomllib.loads(text.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise EmulationError(f"emulation profile {path} cannot be read: {error}") from error
    return check_profile(data, f"emulation profile {path}")


def check_profile(data: Mapping[str, Any], where: str) -> Contents:
    """Check what a file of a profile says.

    Parameters
    ----------
    data : mapping
        The file's tables.
    where : str
        What is read, for errors.

    Raises
    ------
    EmulationError
        Naming `where` and the key.
    """
    _refuse_unknown(where, "", data, (*_TEXTS, "dram", "slow"), "a profile has title, kind, source, and the "
                    "tables [dram] and [slow]")  # fmt: skip
    texts = [_text(where, data, key) for key in _TEXTS]
    if texts[1] not in KINDS:
        raise EmulationError(f"{where}: kind {texts[1]!r} is unknown", f"use one of: {', '.join(KINDS)}")
    intervals: dict[str, tuple[float, float]] = {}
    dram = _speed(where, data, "dram", intervals)
    slow = _speed(where, data, "slow", intervals) if "slow" in data else dram
    for name in FIGURES.values():
        if (getattr(dram, name) is None) != (getattr(slow, name) is None):
            missing = "dram" if getattr(dram, name) is None else "slow"
            raise EmulationError(
                f"{where} has no number {missing}.{name}",
                "both nodes are modelled: a figure is given for both or for neither",
            )
    return Contents(texts[0], texts[1], texts[2], dram, slow, intervals)


def _text(where: str, data: Mapping[str, Any], key: str) -> str:
    text = data.get(key)
    if not isinstance(text, str) or not text.strip():
        raise EmulationError(
            f"{where} has no text {key!r}",
            "title names the memory, kind is nvm, cxl, dram or unknown, source says whose figures they are",
        )
    return text.strip()


def _refuse_unknown(
    where: str, part: str, table: Mapping[str, Any], known: tuple[str, ...], remedy: str = ""
) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise EmulationError(
            f"{where}: {part}{unknown[0]} is unknown",
            remedy or f"the figures are: {', '.join(sorted(known))}",
        )


def _speed(
    where: str, data: Mapping[str, Any], part: str, intervals: dict[str, tuple[float, float]]
) -> NodeSpeed:
    table = data.get(part)
    if not isinstance(table, dict):
        raise EmulationError(f"{where} has no table [{part}]")
    _refuse_unknown(where, f"{part}.", table, (*FIGURES.values(), *_TABLES))
    family = _family(where, part, table.get("curves", []))
    carriers = _carriers(where, part, table, family)
    needed = (*(() if carriers else ("read_gbps", "write_gbps")), *(() if family else ("latency_ns",)))
    values: dict[str, Any] = {}
    for figure in FIGURES.values():
        if figure in table or figure in needed:
            values[figure] = _number(where, f"{part}.{figure}", table.get(figure), 1e-3, 1e6)
    intervals.update(_intervals(where, part, table, values))
    others: dict[str, Any] = {"writers": _writers(where, part, table.get("writers", {})), "family": family}
    if family is not None:
        values.setdefault("latency_ns", family.idle_ns)
    return NodeSpeed.carried(carriers, **values, **others) if carriers else NodeSpeed(**values, **others)


def _carriers(where: str, part: str, table: Mapping[str, Any], family: Family | None) -> Carriers | None:
    link = medium = None
    if "link" in table:
        link = _link(where, f"{part}.link", table["link"])
    if "medium" in table:
        medium = _medium(where, f"{part}.medium", table["medium"])
    given = [name for name in _RATES if name in table]
    if link is None and medium is None:
        if given or family is None:
            return None
        return fit_peaks(family.read_shares, [curve.peak_gbps for curve in family.curves]).carriers
    if given:
        raise EmulationError(
            f"{where}: {part}.{given[0]} is given beside a link or a medium",
            "leave it out: with a link or a medium the bandwidths follow from their figures",
        )
    return Carriers(link, medium)


def _numbers(where: str, part: str, table: object, known: tuple[str, ...], needed: int) -> dict[str, float]:
    if not isinstance(table, dict):
        raise EmulationError(f"{where}: {part} is not a table", f"its figures are: {', '.join(known)}")
    _refuse_unknown(where, f"{part}.", table, known)
    found = {}
    for number, name in enumerate(known):
        if number < needed or name in table:
            rate = name.endswith("_gbps")
            found[name] = _number(
                where, f"{part}.{name}", table.get(name), 1e-3 if rate else 0.0, 1e6 if rate else 10.0
            )
    return found


def _link(where: str, part: str, table: object) -> Link:
    return Link(**_numbers(where, part, table, _LINK, 2))


def _medium(where: str, part: str, table: object) -> Medium:
    return Medium(**_numbers(where, part, table, _MEDIUM, 2))


def _family(where: str, part: str, tables: object) -> Family | None:
    if not isinstance(tables, list) or len(tables) > MOST_CURVES:
        raise EmulationError(
            f"{where}: {part}.curves is not a list of up to {MOST_CURVES} tables",
            f"write [[{part}.curves]] for each share of reads",
        )
    curves = []
    for number, table in enumerate(tables):
        name = f"{part}.curves[{number}]"
        if not isinstance(table, dict):
            raise EmulationError(f"{where}: {name} is not a table")
        _refuse_unknown(where, f"{name}.", table, _CURVE)
        share = _number(where, f"{name}.read_percent", table.get("read_percent"), 0.0, 100.0)
        axes = []
        for axis in _CURVE[1:]:
            values = table.get(axis)
            if not isinstance(values, list):
                raise EmulationError(f"{where}: {name}.{axis} is missing or is not a list of numbers")
            axes.append(tuple(_number(where, f"{name}.{axis}", value, 0.0, 1e6) for value in values))
        curves.append(FamilyCurve(share, axes[0], axes[1]))
    try:
        return Family(tuple(curves)) if curves else None
    except EmulationError as error:
        raise EmulationError(f"{where}: {part}.curves: {error.message}", error.remedy) from error


def _intervals(
    where: str, part: str, table: Mapping[str, Any], values: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    given = table.get("intervals", {})
    if not isinstance(given, dict):
        raise EmulationError(f"{where}: {part}.intervals is not a table", "give FIGURE = [low, high]")
    _refuse_unknown(where, f"{part}.intervals.", given, tuple(values))
    found = {}
    for name, ends in given.items():
        key = f"{part}.intervals.{name}"
        if not isinstance(ends, list) or len(ends) != 2:
            raise EmulationError(f"{where}: {key} is not [low, high]")
        low, high = (_number(where, key, end, 0.0, 1e6) for end in ends)
        if not low <= values[name] <= high:
            raise EmulationError(
                f"{where}: {part}.{name} = {values[name]:g} is outside its interval {low:g} to {high:g}"
            )
        found[f"{part}.{name}"] = (low, high)
    return found


def _number(where: str, name: str, value: object, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EmulationError(f"{where}: {name} is missing or is not a number")
    if not least <= value <= most:
        raise EmulationError(
            f"{where}: {name} = {value} is out of range", f"it must lie in {least:g}..{most:g}"
        )
    return float(value)


def _writers(where: str, part: str, table: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(table, dict):
        raise EmulationError(
            f"{where}: {part}.writers is not a table",
            "give the part of the write bandwidth that is left for numbers of threads, such as 4 = 1.0",
        )
    curve = []
    for threads, value in table.items():
        if not threads.isascii() or not threads.isdigit() or not 1 <= len(threads) <= 6 or int(threads) < 1:
            raise EmulationError(f"{where}: {part}.writers.{threads} is not a number of threads")
        curve.append((int(threads), _number(where, f"{part}.writers.{threads}", value, 0.001, 1.0)))
    return tuple(sorted(curve))
