"""The command ``hmexp doctor``: what this machine is, what it can do, what is missing."""

from __future__ import annotations

import argparse

from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses

_INDENT = "\n" + " " * 29


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_json(parser, "every check")


def _run(options: argparse.Namespace) -> int:
    from hmexp.machine.doctor import Verdict, examine

    checks = []
    for check in examine():
        checks.append(check)
        if not options.json:
            seen = check.seen.replace("\n", _INDENT)
            print(f"{check.verdict:>7}  {check.what:<18}  {seen}", flush=True)
    failed = sum(check.verdict is Verdict.FAILED for check in checks)
    if options.json:
        records = [{"verdict": str(c.verdict), "what": c.what, "seen": c.seen} for c in checks]
        print_json({"ok": not failed, "checks": records})
    return ExitStatus.FAILED if failed else ExitStatus.OK


COMMAND = Command(
    "doctor",
    "check what this machine is, what it can do, and what is missing",
    "Check the NUMA library, the nodes, the CPUs, the clock, every placer and the results folder. Each "
    "check that does not pass says what to do.",
    "JSON: an object with ok (boolean) and checks, each with verdict (ok, note, warning or FAILED), what and "
    "seen.\n\n" + describe_statuses("if a check failed"),
    _add_options,
    _run,
)
