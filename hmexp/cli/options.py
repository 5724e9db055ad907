"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from hmexp.errors import ParameterError
from hmexp.units import parse_size

#: What shell completion needs to know of an option's values; see `hmexp.cli.completion`.
FILE: Final = "file"
DIRECTORY: Final = "directory"
_CPUS: Final = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


class Commands(Protocol):
    """What `argparse.ArgumentParser.add_subparsers` returns; its class has no public name."""

    def add_parser(self, name: str, **given: Any) -> argparse.ArgumentParser:
        """Add a command."""


@dataclass(frozen=True)
class Command:
    """A command of `hmexp`: how it is called, what it is for, its options, and what it does.

    Parameters
    ----------
    name : str
        What a person types.
    help : str
        One line, without a full stop.
    description : str
        What it does, in sentences.
    epilog : str
        Its exit statuses, and examples.
    add_options : callable
        Adds its options to its parser.
    run : callable
        Carries out what was parsed, and returns the exit status.
    """

    name: str
    help: str
    description: str
    epilog: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]

    def add_to(self, commands: Commands) -> argparse.ArgumentParser:
        """Make its parser."""
        parser = commands.add_parser(
            self.name,
            help=self.help,
            description=self.description,
            epilog=self.epilog,
            allow_abbrev=False,
            formatter_class=Formatter,
        )
        self.add_options(parser)
        add_loudness(parser)
        parser.set_defaults(run=self.run)
        return parser


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Descriptions and epilogs are filled a paragraph at a time; indented ones stand as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        filled = [
            part if part.startswith("  ") or "\n  " in part
            else argparse.HelpFormatter._fill_text(self, part, width, indent)  # noqa: SLF001
            for part in paragraphs
        ]  # fmt: skip
        return "\n\n".join(filled)


def add_loudness(parser: argparse.ArgumentParser) -> None:
    """Add -v and -q."""
    # No default: an option before the command must not be undone by the command's own.
    parser.add_argument(
        "-v", "--verbose", action="count", default=argparse.SUPPRESS,
        help="also print details on standard error; a traceback after an error",
    )  # fmt: skip
    parser.add_argument(
        "-q", "--quiet", action="count", default=argparse.SUPPRESS,
        help="print no progress and no notes; twice: no warnings either",
    )  # fmt: skip


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON, and nothing else")


def add_region(parser: argparse.ArgumentParser) -> None:
    """Add the options of a region and of its samples, for one measurement."""
    parser.add_argument(
        "--pattern", required=True,
        help="node of each granule in turn, such as 0,2,2; or a DRAM:slow ratio, such as 1:2",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=size, default="256MiB", help="size of the region; units are binary (default: 256MiB)"
    )
    parser.add_argument(
        "--granule", type=granule, default="page",
        help="bytes in a row on one node: page (the machine's) or a power of two up to 1GiB (default: page)",
    )  # fmt: skip
    parser.add_argument(
        "--page-bytes", metavar="SIZE", default="page",
        help="page size: page (the machine's) or 2MiB (default: page)",
    )  # fmt: skip
    parser.add_argument(
        "--placer", default="first_touch",
        help="how pages get to their nodes; `hmexp placers` lists the ways (default: first_touch)",
    )  # fmt: skip
    parser.add_argument(
        "--emulate", default="auto",
        help="auto: emulate a node of the pattern that this machine does not have (Optane's speed); none; "
        "or NODE=PROFILE[@absolute], such as 2=cxl-expander; PROFILE may be a .toml file (default: auto)",
    )  # fmt: skip
    add_ratio_nodes(parser)
    parser.add_argument("--cpus", type=cpus, metavar="LIST", help="CPUs of the threads, such as 0,2 or 0-3")
    parser.add_argument(
        "--vector-bits", type=whole, metavar="BITS", help="vector width (default: the widest of this CPU)"
    )
    parser.add_argument("--samples", type=whole, default=10, help="samples, at least (default: 10)")
    parser.add_argument(
        "--sample-seconds", type=number, metavar="S", default=0.05,
        help="shortest time of a sample [s] (default: 0.05)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", type=number, metavar="PART", default=0.0,
        help="take more samples until half the interval is at most this part of the median; 0: take "
        "exactly --samples (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--most-samples", type=whole, metavar="N", help="cap on the samples (default: twice --samples)"
    )


def add_ratio_nodes(parser: argparse.ArgumentParser) -> None:
    """Add --dram and --slow: the nodes of a ratio."""
    parser.add_argument(
        "--dram", metavar="NODE", default="auto",
        help="DRAM node of a ratio (default: auto, the one nearest to the threads)",
    )  # fmt: skip
    parser.add_argument(
        "--slow", metavar="NODE", default="auto",
        help="slow node of a ratio, whatever its kind (default: auto, the nearest that is known to be slow; "
        "never HBM or the memory of a GPU)",
    )  # fmt: skip


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        close = _as_whole(text)
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number" + (f"; write {close}" if close is not None else "")
        ) from None


def threads(text: str) -> int:
    """A number of threads; ``auto`` is 0."""
    count = 0 if text == "auto" else whole(text)
    if count < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of threads; use 1 or more, or auto")
    return count


def number(text: str) -> float:
    """A finite number."""
    try:
        found = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number{_like(text)}") from None
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return found


def percent(text: str) -> float:
    """A percentage, with or without its sign, as a share."""
    found = number(text.strip().removesuffix("%").strip())
    if not 0 <= found <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to 100 percent")
    return found / 100


def kept_percent(text: str) -> float:
    """A percentage that is to be kept: what is less than one percent was meant as a share."""
    found = percent(text)
    if found <= 0.01 and not text.strip().endswith("%"):
        meant = f"; write {found * 1e4:g}" if found else "; write for example 90"
        raise argparse.ArgumentTypeError(f"{text!r} would be {found * 100:g} percent{meant}")
    return found


def share(text: str) -> float:
    """A share: a number from 0 to 1, or a percentage with its sign."""
    if text.strip().endswith("%"):
        return percent(text)
    found = number(text)
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not from 0 to 1; write a percentage with its sign, 75%"
        )
    return found


def price(text: str) -> float:
    """A price without its currency."""
    try:
        found = number(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{error}; a price is a number alone, such as 8.5, in any currency"
        ) from None
    if found <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a price above 0")
    return found


def size(text: str) -> str:
    """A size, checked and handed on as it was written."""
    return _checked(text, parse_size)


def granule(text: str) -> str:
    """A granule: ``page``, or a size."""
    return text if text == "page" else _checked(text, parse_size)


def cpus(text: str) -> tuple[int, ...]:
    """The CPUs of a list such as ``0,2`` or ``0-3``."""
    from hmexp.system.cpus import allowed_cpus
    from hmexp.system.sysfs import format_id_list

    found: list[int] = []
    for part in text.split(","):
        match = _CPUS.fullmatch(part.strip())
        ends = (0, -1) if match is None else (int(match[1]), int(match[2] or match[1]))
        if ends[0] > ends[1]:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a list of CPUs; write for example {format_id_list(allowed_cpus()[:2])}"
            )
        # In the order given: the first thread runs on the first CPU.
        found += range(ends[0], ends[1] + 1)
    return tuple(found)


def completed(action: argparse.Action, kind: str) -> None:
    """Say what shell completion offers for an option or argument: files or directories."""
    action.complete = kind  # type: ignore[attr-defined] # shtab looks for it under this name


def run_directory(text: str) -> Path:
    """A run directory, or a file in it that says it all: ``run.json``, ``points.jsonl``, ``report.html``."""
    path = Path(text)
    return path.parent if path.name in ("run.json", "points.jsonl", "report.html") else path


def _checked(text: str, check: Callable[[str], object]) -> str:
    try:
        check(text)
    except ParameterError as error:
        remedy = f"; {error.remedy}" if error.remedy else ""
        raise argparse.ArgumentTypeError(f"{error.message}{remedy}") from None
    return text


def _as_whole(text: str) -> int | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return int(found) if math.isfinite(found) and found == int(found) and abs(found) < 1e15 else None


def _like(text: str) -> str:
    """What may have been meant by a number that is none."""
    for meant in (text.replace(",", "."), text.rstrip("%").strip()):
        try:
            float(meant)
        except ValueError:
            continue
        return f"; write {meant}"
    return ""
