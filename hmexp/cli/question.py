"""Options of the question that a report answers: what is needed, prices, how much memory."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hmexp.cli.options import FILE, completed, kept_percent, price, size
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.report.model.question import Question

_LARGEST_BYTES: Final = 1 << 20
_EXAMPLE: Final = (
    'write for example: needs = ["read>=90", "latency<=1.5x"], and if you like capacity = "1TiB", '
    'price_dram = 8, price_slow = 3, currency = "EUR"'
)
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "needs": (list,),
    "capacity": (str,),
    "price_dram": (int, float),
    "price_slow": (int, float),
    "currency": (str,),
}


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the options of a question, of a run that has an answer for some."""
    add_needs(parser, " (default: --keep of every bandwidth)")
    parser.add_argument(
        "--keep", type=kept_percent, default=0.9, metavar="PERCENT",
        help="find the cheapest ratio that keeps this much of all DRAM's bandwidth (default: 90)",
    )  # fmt: skip


def add_needs(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Add the options of needs, prices and a capacity."""
    parser.add_argument(
        "--need", action="append", metavar="NEED", default=None,
        help="what a ratio has to keep, once a need: read>=90 (percent of all DRAM), mix>=85 (every mix), "
        f"write>=4GB/s, latency<=1.5x, latency<=600ns{default}",
    )  # fmt: skip
    given = parser.add_argument(
        "--needs", type=Path, metavar="FILE",
        help="the same as TOML: needs, capacity, price_dram, price_slow, currency; an option overrides it",
    )  # fmt: skip
    completed(given, FILE)
    parser.add_argument(
        "--capacity", type=size, metavar="SIZE", help="memory that is to be bought, such as 1TiB"
    )
    parser.add_argument(
        "--price-dram", type=price, metavar="PRICE",
        help="price of DRAM per GiB: the report then says what each ratio costs",
    )  # fmt: skip
    parser.add_argument("--price-slow", type=price, metavar="PRICE", help="price of the slow memory per GiB")
    parser.add_argument("--currency", metavar="NAME", help="of the prices, such as EUR")


def read_question(options: argparse.Namespace) -> Question:
    """Check the options of a question, and those of its file.

    Raises
    ------
    ParameterError
        Naming the option, or the key of the file.
    """
    from hmexp.measure.need import parse_need
    from hmexp.report.model.prices import Prices
    from hmexp.report.model.question import Question
    from hmexp.units import parse_size

    found = {} if options.needs is None else _read(options.needs)
    where = "" if options.needs is None else f" (options and {options.needs})"

    def chosen(name: str) -> Any:
        given = getattr(options, name)
        return found.get(name) if given is None else given

    needs = tuple(parse_need(text) for text in (options.need or found.get("needs") or ()))
    dram, slow, currency = chosen("price_dram"), chosen("price_slow"), chosen("currency")
    if (dram is None) != (slow is None):
        raise ParameterError(
            f"one price is missing{where}", "give both --price-dram and --price-slow, per GiB"
        )
    if currency is not None and dram is None:
        raise ParameterError(
            f"a currency without prices{where}", "give --price-dram and --price-slow, or leave --currency out"
        )
    prices = None if dram is None else Prices(dram, slow, (currency or "").strip())
    capacity = chosen("capacity")
    keep = getattr(options, "keep", 0.9)
    return Question(needs, keep, prices, None if capacity is None else parse_size(capacity))


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise ParameterError(f"{file} is too large to be a file of needs", _EXAMPLE)
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ParameterError(f"cannot read {file}: {why}", "name a TOML file of needs") from error
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{file} is not valid TOML: {error}", _EXAMPLE) from error
    for name, value in found.items():
        kinds = _KINDS.get(name)
        if kinds is None:
            raise ParameterError(
                f"{file} has the unknown key {name!r}; it may have: {', '.join(_KINDS)}", _EXAMPLE
            )
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ParameterError(f"{file}: {name} = {value!r} cannot be used", _EXAMPLE)
    if not all(isinstance(need, str) for need in found.get("needs", ())):
        raise ParameterError(f"{file}: needs has something other than texts", _EXAMPLE)
    if not found:
        raise ParameterError(f"{file} has no needs", _EXAMPLE)
    return found
