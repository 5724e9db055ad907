"""The command ``hmexp placers``: what can put pages on nodes here, and what stands in the way of the rest."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any, Final

from hmexp.memory.placers import PLACERS, Placer
from hmexp.units import format_size

_WIDTH: Final = 110
_INDENT: Final = " " * 15


def add_placers(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "placers", help="ways of placing pages: what they promise and need, which work here",
        allow_abbrev=False,
        description="Ways of placing pages: what each promises and needs, and whether it works here.",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print records instead of words")
    parser.set_defaults(run=_placers)


def describe(placer: Placer) -> dict[str, Any]:
    """What there is to know about a placer on this machine, JSON-able."""
    obstacle = placer.unavailable()
    return {
        "name": placer.name,
        "promise": "exact order" if placer.exact_order else "ratio only",
        "lazy": placer.lazy,
        "smallest_granule_bytes": placer.granules[0],
        "largest_granule_bytes": placer.granules[1],
        "needs": placer.needs,
        "available": obstacle is None,
        "reason": None if obstacle is None else obstacle.reason,
        "remedy": None if obstacle is None else obstacle.remedy,
    }


def _placers(options: argparse.Namespace) -> int:
    records = [describe(placer) for placer in PLACERS.values()]
    if options.json:
        print(json.dumps(records))
        return 0
    print("placer         here  promise      at fault  granules        needs")
    for record in records:
        smallest, largest = (format_size(record[f"{end}_granule_bytes"]) for end in ("smallest", "largest"))
        granules = smallest if smallest == largest else f"{smallest}..{largest}"
        print(
            f"{record['name']:<13}  {'yes' if record['available'] else 'no':<4}  {record['promise']:<11}  "
            f"{'yes' if record['lazy'] else 'no':<8}  {granules:<14}  {record['needs']}"
        )
        if not record["available"]:
            _tell(f"not here: {record['reason']}")
            _tell(f"-> {record['remedy']}")
    return 0


def _tell(text: str) -> None:
    print(
        textwrap.fill(
            text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT + "   ",
            break_long_words=False, break_on_hyphens=False,
        )
    )  # fmt: skip
