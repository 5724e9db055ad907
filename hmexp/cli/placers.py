"""The command ``hmexp placers``: what can put pages on nodes here, and what stands in the way of the rest."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Final

from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.units import format_size

if TYPE_CHECKING:
    from hmexp.memory.placers import Placer

_WIDTH: Final = 110
_INDENT: Final = " " * 15


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_json(parser, "the placers")


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


def _run(options: argparse.Namespace) -> int:
    from hmexp.memory.placers import PLACERS

    records = [describe(placer) for placer in PLACERS.values()]
    if options.json:
        print_json(records)
        return ExitStatus.OK
    print("placer         here  promise      at fault  granules        needs")
    for record in records:
        smallest, largest = (format_size(record[f"{end}_granule_bytes"]) for end in ("smallest", "largest"))
        granules = smallest if smallest == largest else f"{smallest}..{largest}"
        print(
            f"{record['name']:<13}  {'yes' if record['available'] else 'no':<4}  {record['promise']:<11}  "
            f"{'yes' if record['lazy'] else 'no':<8}  {granules:<14}  {record['needs']}"
        )
        if not record["available"]:
            _print_filled(f"not available here: {record['reason']}")
            _print_filled(f"-> {record['remedy']}")
    return ExitStatus.OK


def _print_filled(text: str) -> None:
    print(
        textwrap.fill(
            text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT + "   ",
            break_long_words=False, break_on_hyphens=False,
        )
    )  # fmt: skip


COMMAND = Command(
    "placers",
    "list the ways of placing pages: what each promises and needs, and whether it works here",
    "List the ways of placing pages: what each promises and needs, and whether it works here. Each is tried "
    "on a page.",
    "JSON: an array of objects with name, promise (exact order or ratio only), lazy (boolean: pages find "
    "their node at the first access), smallest_granule_bytes, largest_granule_bytes, needs, available "
    "(boolean), reason and remedy (null if available).\n\n" + describe_statuses(),
    _add_options,
    _run,
)
