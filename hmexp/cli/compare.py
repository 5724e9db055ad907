"""The command ``hmexp compare``: whether anything changed between two runs, beyond the noise."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hmexp.cli.options import DIRECTORY, FILE, Command, add_json, completed, percent, run_directory
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError, SweepError

if TYPE_CHECKING:
    from hmexp.report.comparison.outcome import Comparison


def _add_options(parser: argparse.ArgumentParser) -> None:
    for name, many, what in (
        ("a", None, "run directory to compare with"),
        ("b", "+", "run directory to judge; each of several is compared with A"),
    ):
        run = parser.add_argument(name, nargs=many, type=run_directory, metavar=name.upper(), help=what)
        completed(run, DIRECTORY)
    add_json(parser, "the comparison")
    page = parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="also write an HTML file that opens offline; of several B, one for each, numbered",
    )
    completed(page, FILE)
    parser.add_argument("--all", action="store_true", help="print every row, not the most important ones")
    parser.add_argument(
        "--fail-on-slower", action="store_true",
        help="exit with 1 if any point is slower in B, or if no point could be compared",
    )  # fmt: skip
    parser.add_argument(
        "--of-model", action="store_true",
        help="for emulated runs of different scale: compare how far each is from its own model",
    )  # fmt: skip
    parser.add_argument(
        "--of-profile", action="store_true",
        help="where B emulates a profile that was captured from A: compare how far A is from the profile, "
        "and B from the profile as it was scaled to its host",
    )  # fmt: skip
    parser.add_argument(
        "--by-ratio", action="store_true",
        help="match patterns by their DRAM:slow ratio, for machines that number their nodes differently",
    )  # fmt: skip
    parser.add_argument(
        "--ignore-below", type=percent, default=0.0, metavar="PERCENT",
        help="ignore differences smaller than this, however certain (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--false-discoveries", type=percent, default=0.05, metavar="PERCENT",
        help="how many of the verdicts faster and slower may be false (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--launch-noise", type=percent, metavar="PERCENT",
        help="standard deviation from launch to launch, instead of what the records show",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    from hmexp.cli.requirements import require_folder, require_measured
    from hmexp.report.comparison.options import ComparisonOptions
    from hmexp.report.comparison.record import record_of
    from hmexp.report.comparison.verdicts import compare_with_each
    from hmexp.report.comparison.views import MOST_ROWS, overview, terminal

    if not options.false_discoveries:
        raise ParameterError(
            "--false-discoveries 0 would find nothing: no verdict is certain",
            "give a percentage above 0; the usual is 5",
        )
    for folder in (options.a, *options.b):
        require_measured(folder)
    if options.html is not None:
        require_folder(options.html)
    chosen = ComparisonOptions(
        of_model=options.of_model,
        of_profile=options.of_profile,
        by_ratio=options.by_ratio,
        least=options.ignore_below,
        false_discoveries=options.false_discoveries,
        launch_noise=options.launch_noise,
    )
    comparisons = compare_with_each(options.a, options.b, chosen)
    if options.json:
        records = [record_of(comparison) for comparison in comparisons]
        print_json(records if len(records) > 1 else records[0])
    else:
        for comparison in comparisons:
            print(terminal(comparison, None if options.all else MOST_ROWS))
            advice = _advise(comparison)
            if advice is not None:
                print(advice)
        if len(comparisons) > 1:
            print(overview(comparisons))
    _write_pages(options, comparisons)
    for folder, comparison in zip(options.b, comparisons, strict=True):
        _require_whole(options, folder, comparison)
    slower = any(comparison.counts["slower"] for comparison in comparisons)
    return ExitStatus.FAILED if options.fail_on_slower and slower else ExitStatus.OK


def _write_pages(options: argparse.Namespace, comparisons: Sequence[Comparison]) -> None:
    from hmexp.report.comparison.views import write_page

    if options.html is None:
        return
    file = options.html
    for number, comparison in enumerate(comparisons, start=1):
        name = f"{file.stem}-{number}{file.suffix}" if len(comparisons) > 1 else file.name
        written = write_page(comparison, file.with_name(name))
        if not options.json:
            print(f"Page: {written}")


def _require_whole(options: argparse.Namespace, folder: Path, comparison: Comparison) -> None:
    if comparison.compared == 0:
        raise SweepError(
            f"no point of {options.a} could be compared with one of {folder}",
            "see above which points are in one run only, or why they are not comparable"
            if not options.json
            else "see why, only_a and only_b",
        )
    if comparison.incomplete:
        raise SweepError(
            f"the comparison is not complete: {'; '.join(comparison.incomplete)}",
            "what could be compared is above; complete the runs by the commands that began them",
        )


def _advise(comparison: Comparison) -> str | None:
    """The option that would make more of the points comparable, if there is one."""
    whys = [point.why for point in comparison.points if point.why is not None]
    options = comparison.options
    other = any("emulated by other profiles" in why or "is emulated," in why for why in whys)
    if not options.of_profile and comparison.b.run.emulation is not None and other:
        return (
            "If B emulates a profile that was captured from A, `hmexp compare --of-profile` holds both "
            "against that profile."
        )
    if not options.of_model and any("scaled differently" in why for why in whys):
        return (
            "The emulated nodes of the two runs were scaled to different speeds. `hmexp compare --of-model` "
            "compares each with its own model."
        )
    matched = comparison.matched
    if not comparison.points and matched.only_a and matched.only_b and not options.by_ratio:
        return "No point is in both runs. If only the node numbers differ, use `hmexp compare --by-ratio`."
    return None


COMMAND = Command(
    "compare",
    "compare runs: did anything change beyond the noise",
    "Compare run B with run A, point by point, with a verdict that respects the noise. Of several runs B, "
    "each is compared with A, and the false verdicts that are allowed are shared among them.",
    "JSON: an object (of several B, an array of them) with a, b, labels, summary, counts (points by "
    "verdict), differences (of the machines), "
    "points (each with parameters, median_a, median_b, quotient, ci_low, ci_high, verdict and why), only_a, "
    "only_b and ambiguous.\n\n"
    + describe_statuses(
        "if no point could be compared, points of a run are missing or failed, or with "
        "--fail-on-slower if a point is slower in B"
    ),
    _add_options,
    _run,
)
