"""The command ``hmexp workloads``: the programs that hmexp knows how to measure."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from hmexp.cli.options import FILE, Command, add_json, completed
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses

if TYPE_CHECKING:
    from hmexp.program.workload.files import Workload


def _add_options(parser: argparse.ArgumentParser) -> None:
    name = parser.add_argument(
        "workload", nargs="?", metavar="WORKLOAD",
        help="print this one, to be copied; a file of your own is checked",
    )  # fmt: skip
    completed(name, FILE)
    add_json(parser, "the workloads")


def _run(options: argparse.Namespace) -> int:
    from hmexp.program.workload.files import find_workload, shipped

    if options.workload is not None:
        found = find_workload(options.workload)
        if options.json:
            print_json(_describe(found))
        else:
            print(found.path.read_text(encoding="utf-8-sig"), end="")
        return ExitStatus.OK
    every = [find_workload(name) for name in shipped()]
    if options.json:
        print_json([_describe(workload) for workload in every])
        return ExitStatus.OK
    for workload in every:
        missing = workload.missing()
        packages = f": apt install {workload.record.packages}" if workload.record.packages else ""
        note = f"  (not installed here: {', '.join(missing)}{packages})" if missing else ""
        print(f"{workload.name:<9}  {workload.record.title}{note}")
    print("`hmexp workloads NAME` prints one: copy it to a file, and change what you like.")
    return ExitStatus.OK


def _describe(workload: Workload) -> dict[str, object]:
    return {
        "name": workload.name,
        "path": str(workload.path),
        "missing": workload.missing(),
        "workload": msgspec.to_builtins(workload.record),
    }


COMMAND = Command(
    "workloads",
    "list the programs that hmexp knows how to measure, or print one to copy",
    "List the workloads that hmexp ships: small files that say how a program is started, loaded, measured "
    "and stopped. With the name of one, print it; with a file, check it.",
    "JSON: an array of objects with name, path, missing (programs that are not installed) and workload (the "
    "content of the file); with a WORKLOAD one such object.\n\n" + describe_statuses(),
    _add_options,
    _run,
)
