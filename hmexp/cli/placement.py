"""The command ``hmexp placement``: where the pages of any running program are."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from hmexp.cli.options import Command, add_json, add_ratio_nodes, granule, number, whole
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError, ProgramError

if TYPE_CHECKING:
    from hmexp.pattern import Pattern
    from hmexp.program.placement import ProgramPlacement


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pid", type=whole, required=True, metavar="PID", help="the process")
    parser.add_argument(
        "--against", metavar="PATTERN",
        help="hold the private memory against a pattern, such as 0,2,2, or a DRAM:slow ratio, such as 1:2",
    )  # fmt: skip
    parser.add_argument(
        "--granule", type=granule, default="page",
        help="bytes in a row on one node, by address: page (the machine's) or a power of two up to 1GiB "
        "(default: page)",
    )  # fmt: skip
    add_ratio_nodes(parser)
    parser.add_argument(
        "--no-children", action="store_true", help="leave out the processes that descend from it"
    )
    parser.add_argument("--all", action="store_true", help="list every mapping, those without pages too")
    parser.add_argument(
        "--watch", type=number, nargs="?", const=2.0, metavar="S",
        help="read again every S seconds, a line each, until the process ends or Ctrl-C (default of S: 2)",
    )  # fmt: skip
    add_json(parser, "the placement")


def _run(options: argparse.Namespace) -> int:
    from hmexp.program.placement import read_placement

    if options.pid < 1:
        raise ParameterError(f"--pid {options.pid} is not the number of a process", "`ps -e` lists them")
    against = _read_pattern(options)
    if options.watch is not None:
        return _watch(options, against)
    found = read_placement(options.pid, children=not options.no_children, against=against)
    if options.json:
        print(found.to_json())
    else:
        from hmexp.program.look.words import lines_of

        print("\n".join(lines_of(found, every_mapping=options.all)))
    return _status(found)


def _watch(options: argparse.Namespace, against: Pattern | None) -> int:
    from hmexp.cli.output import say
    from hmexp.program.look.words import line_of
    from hmexp.program.placement import read_placement

    if options.watch <= 0:
        raise ParameterError(f"--watch {options.watch:g} is not a time", "write seconds, such as --watch 2")
    status, began = ExitStatus.OK, time.monotonic()
    found = None
    try:
        while True:
            try:
                found = read_placement(options.pid, children=not options.no_children, against=against)
            except ProgramError as error:
                if found is None:
                    raise
                say(f"{error.message}; this was the last")
                return status
            line = found.to_json() if options.json else line_of(found)
            print(line if options.json else f"{time.monotonic() - began:8.1f} s  {line}", flush=True)
            status = _status(found)
            # A program should not be read for more than a tenth of the time.
            time.sleep(max(options.watch, 10 * found.cost_seconds))
    except KeyboardInterrupt:
        return status


def _read_pattern(options: argparse.Namespace) -> Pattern | None:
    if options.against is None:
        if options.granule != "page":
            raise ParameterError("--granule needs --against", "add the pattern, or leave it out")
        return None
    from hmexp.memory.page_sizes import read_page_size
    from hmexp.pattern import Pattern

    granule_bytes = read_page_size(options.granule)
    if ":" not in options.against:
        return Pattern.parse(options.against, granule_bytes)
    from hmexp.cli.machine import this_machine
    from hmexp.measure.point import read_pattern

    machine = this_machine()
    return read_pattern(options.against, granule_bytes, "none", machine, options.dram, options.slow)


def _status(found: ProgramPlacement) -> ExitStatus:
    return ExitStatus.OK if found.ok else ExitStatus.FAILED


COMMAND = Command(
    "placement",
    "show where the pages of a running program are, and hold them against a pattern",
    "Where the pages of any process and its children are: each mapping, by node. Pages are found by their "
    "frames where this user may see them (CAP_SYS_ADMIN), else by asking move_pages about each, and always "
    "by numa_maps, too; a disagreement is reported, and so is what cannot be seen. With --against, private "
    "memory (anonymous, heap, stack, and private mappings of /dev/hybridmem) is held against a pattern: the "
    "page at an address belongs to its entry number address / granule, modulo the number of entries. Pages "
    "of files, shared memory and devices are shown apart. You may look into your own programs; those of "
    "other users need CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, which root has.",
    "Examples:\n\n"
    "  hmexp placement --pid $(pidof -s redis-server)\n"
    "  hmexp placement --pid 4711 --against 0,2,2 --json\n"
    "  hmexp placement --pid 4711 --against 1:2 --watch 5\n\n"
    "JSON: an object with by_node, by_kind, by_sort, verdict, outside, ok, unseen, cost_seconds, and "
    "processes, each with its mappings and disagreements; counts are pages of page_bytes. With --watch, a "
    "line of it each time.\n\n"
    + describe_statuses("if, with --against, a page is misplaced, swapped out or could not be seen"),
    _add_options,
    _run,
)
