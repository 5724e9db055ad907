"""The command ``hmexp compare``: did anything change between two runs, beyond the noise."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

#: Status with --fail-on-slower if a point is slower, or if no point could be compared.
EXIT_SLOWER = 1


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "compare", help="did anything change between two runs, beyond the noise", allow_abbrev=False,
        description="Compare run B with run A, point by point, with a verdict that respects the noise.",
        epilog="Exit status: 0 when the runs were compared; with --fail-on-slower, 1 if a point is slower in "
        "B or no point could be compared; 2 if a run cannot be read or an option is wrong.",
    )  # fmt: skip
    parser.add_argument("a", type=Path, metavar="A", help="run directory, the one compared with")
    parser.add_argument("b", type=Path, metavar="B", help="run directory")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write an HTML file that opens offline"
    )
    parser.add_argument("--all", action="store_true", help="print every row, not the most important ones")
    parser.add_argument(
        "--fail-on-slower",
        action="store_true",
        help="exit with 1 if B is slower anywhere, or was not compared",
    )
    parser.add_argument(
        "--of-model", action="store_true",
        help="emulated runs of different scale: compare how far each is from its own model",
    )  # fmt: skip
    parser.add_argument(
        "--by-ratio", action="store_true", help="match patterns by DRAM:slow ratio (nodes have other numbers)"
    )
    parser.add_argument(
        "--least", type=float, default=0.0, metavar="PERCENT",
        help="differences up to this are none, however certain (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--false", type=float, default=5.0, metavar="PERCENT", dest="false_discoveries",
        help="of the verdicts faster and slower, how many may be false (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--launch-noise", type=float, default=None, metavar="PERCENT",
        help="standard deviation from launch to launch, instead of what the records tell",
    )  # fmt: skip
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    from hmexp.report.comparison.verdicts import Options, compare
    from hmexp.report.comparison.views import MOST_ROWS, terminal, write_page

    noise = options.launch_noise
    chosen = Options(
        of_model=options.of_model,
        by_ratio=options.by_ratio,
        least=options.least / 100,
        false_discoveries=options.false_discoveries / 100,
        launch_noise=None if noise is None else noise / 100,
    )
    comparison = compare(options.a, options.b, chosen)
    if options.json:
        record = msgspec.json.encode(comparison.to_record())
        print(msgspec.json.format(record, indent=1).decode())
    else:
        print(terminal(comparison, None if options.all else MOST_ROWS))
    if options.html is not None:
        written = write_page(comparison, options.html)
        if not options.json:
            print(f"Page: {written}")
    bad = comparison.counts["slower"] > 0 or comparison.compared == 0
    return EXIT_SLOWER if options.fail_on_slower and bad else 0
