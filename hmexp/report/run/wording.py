"""Parameters as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hmexp.store.schema import Fact
from hmexp.units import format_size

#: All parameters of a point but its pattern and its operation: points that share them are comparable.
Series = tuple[tuple[str, Fact], ...]


_MIX: Final = "mix_"


def say_parameter(name: str, value: Fact) -> str:
    """Write one parameter for people: `4 threads`, `4KiB granule`."""
    if name.endswith("_bytes") and isinstance(value, int):
        noun = name.removesuffix("_bytes")
        noun += "s" if noun == "page" else ""
        return f"{format_size(value)} {noun}" if noun != "size" else format_size(value)
    if name == "threads":
        return f"{value} thread{'s' if value != 1 else ''}"
    match name:
        case "access":
            return f"{value} access".replace("_", " ")
        case "cpu_node":
            return "near CPUs" if value == "near" else f"CPUs of node {value}"
        case "samples":
            return f"{value} samples"
        case "most_samples":
            return f"up to {value}"
        case "precision" if isinstance(value, int | float):
            return f"until ±{value * 100:g} %"
        case "launches":
            return f"{value} launch{'es' if value != 1 else ''}"
    if name == "sample_seconds":
        return f"{value} s each"
    return str(value) if name == "placer" else f"{name} {value}"


def say_operation(name: str) -> str:
    """Write an operation for people: `3:1 mix`, `store nt`."""
    if name.startswith(_MIX):
        return f"{name.removeprefix(_MIX).replace('_', ':')} mix"
    if name == "latency_tail":
        return "latency, p99 of single accesses"
    if name == "latency_tail_loaded":
        return "latency under load, p99 of single accesses"
    return name.replace("_", " ")


def say_series(series: Series, names: Iterable[str]) -> str:
    """Write the named parameters of a series for people."""
    values = dict(series)
    order = [
        "size_bytes", "granule_bytes", "page_bytes", "access", "threads", "cpu_node", "placer",
        "launches", "samples", "sample_seconds", "most_samples", "precision",
    ]  # fmt: skip
    given = {name for name, value in values.items() if value is not None}
    if not values.get("precision"):
        given -= {"precision", "most_samples"}  # no stop rule: as many samples as asked for
    wanted = sorted(set(names) & given, key=lambda n: (order.index(n) if n in order else 99, n))
    return ", ".join(say_parameter(name, values[name]) for name in wanted)
