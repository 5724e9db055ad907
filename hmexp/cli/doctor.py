"""The command ``hmexp doctor``: whether numbers measured here now can be trusted, and what mends it."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from itertools import chain, groupby
from typing import TYPE_CHECKING

from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json, teller
from hmexp.cli.status import ExitStatus, describe_statuses

if TYPE_CHECKING:
    from hmexp.machine.doctor.screen import Screen


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--watch-noise", type=_seconds, metavar="TIME",
        help="measure the noise of this machine for so long, such as 10s or 2min: gaps in the time of every "
        "CPU, other processes, stolen time, interrupts, and how much one and the same read varies",
    )  # fmt: skip
    add_json(parser, "every finding")


def _seconds(text: str) -> float:
    """A time with its unit, from a second to an hour [s]."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min)\s*", text, re.ASCII)
    seconds = float(match[1]) * {"ms": 0.001, "s": 1, "min": 60}[match[2]] if match is not None else None
    if seconds is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write a number and a unit: 10s or 2min")
    if not 0.5 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 500ms to 60min")
    return seconds


def _run(options: argparse.Namespace) -> int:
    from hmexp.machine.doctor import Diagnosis, diagnose, examine

    if options.watch_noise is not None:
        return _watch_noise(options)
    if options.json:
        diagnosis = diagnose()
        print_json(diagnosis.to_record())
    else:
        screen, findings = _screen(options), []
        for group, found in groupby(examine(), key=lambda finding: finding.group):
            findings += (members := list(found))
            print("\n".join(screen.group(group, members)), flush=True)
        diagnosis = Diagnosis(tuple(findings))
        print("\n".join(screen.verdict(diagnosis)))
    return ExitStatus.OK if diagnosis.ok else ExitStatus.FAILED


def _watch_noise(options: argparse.Namespace) -> int:
    from hmexp.machine.doctor import Diagnosis, Subject
    from hmexp.machine.doctor.quiet import judge_noise
    from hmexp.machine.doctor.watch import watch_noise

    subject, show = Subject(), teller(options)
    noise = watch_noise(options.watch_noise, show=show, subject=subject)
    show("")
    diagnosis = Diagnosis(tuple(judge_noise(noise, subject)))
    if options.json:
        print_json(diagnosis.to_record() | {"noise": noise})
    else:
        screen = _screen(options)
        lines = (screen.noise(noise), screen.remarks(diagnosis.findings), screen.verdict(diagnosis))
        print("\n".join(chain.from_iterable(lines)))
    return ExitStatus.OK if diagnosis.ok else ExitStatus.FAILED


def _screen(options: argparse.Namespace) -> Screen:
    from hmexp.machine.doctor.screen import Screen

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
    width = shutil.get_terminal_size((100, 24)).columns
    return Screen(width, colour=colour, verbose=getattr(options, "verbose", 0) > 0)


COMMAND = Command(
    "doctor",
    "check what this machine is, what it can do, and what is in the way of measuring",
    "Look at the kernel, the nodes, the limits of this process, every placer and the module, the CPUs and "
    "who else uses them, and the results folder. Each finding is fine, worth knowing, or in the way of "
    "numbers that can be trusted, with the command that mends it. -v shows every finding with its details.",
    "JSON: an object with ok (boolean: nothing is in the way), counts (findings by severity) and findings, "
    "each with group, about, severity (fine, worth knowing or in the way), seen, remedy (or null), details "
    "(an array) and minor (boolean: shown with -v alone).\n\n"
    + describe_statuses("if something is in the way: numbers measured here now cannot be trusted"),
    _add_options,
    _run,
)
