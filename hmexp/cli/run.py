"""The command ``hmexp run``: any program on hybrid memory, in one of several ways."""

from __future__ import annotations

import argparse
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.cli.options import (
    DIRECTORY,
    Command,
    add_ratio_nodes,
    completed,
    granule,
    number,
    size,
)  # fmt: skip
from hmexp.cli.output import say
from hmexp.cli.parser import Parser
from hmexp.cli.status import ExitStatus
from hmexp.errors import HmexpError, StartError, StoreError

if TYPE_CHECKING:
    from hmexp.pattern import Pattern
    from hmexp.program.launch.started import Started
    from hmexp.program.launch.ways import PreparedStart
    from hmexp.store.program_records import ProgramRun
    from hmexp.system.topology import Topology

_log = logging.getLogger(__name__)
_WAYS: Final = ("auto", "preload", "policy", "follow", "default", "node", "tiering", "numactl")


def _add_options(parser: argparse.ArgumentParser) -> None:
    if isinstance(parser, Parser):
        parser.usage_status = ExitStatus.REFUSED
    parser.add_argument(
        "--pattern",
        help="node of each granule in turn, by virtual page number, such as 0,2,2; or a DRAM:slow ratio, "
        "such as 1:2 (default: the kernel decides)",
    )  # fmt: skip
    parser.add_argument(
        "--via", choices=_WAYS, default="auto",
        help="how pages get to their nodes (default: auto, the first of preload, policy and follow that puts "
        "each page in its place here)",
    )  # fmt: skip
    parser.add_argument(
        "--granule", type=granule, default="page",
        help="bytes in a row on one node: page (the machine's) or a power of two up to 1GiB (default: page)",
    )  # fmt: skip
    add_ratio_nodes(parser)
    parser.add_argument(
        "--needs", type=size, metavar="SIZE",
        help="memory that the program will take: it is not started where its nodes have no room for that",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=size, metavar="SIZE", default="128KiB",
        help="with preload: smaller mappings stay as they are (default: 128KiB)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=number, metavar="PAGES",
        help="with follow: the most pages that are moved in a second (default: no limit)",
    )  # fmt: skip
    parser.add_argument(
        "--look-every", type=number, metavar="S",
        help="time between two looks at where the pages are, at the longest; 0: never [s] (default: 10, or "
        "more where looking would take more than 5%% of the time)",
    )  # fmt: skip
    record = parser.add_argument(
        "--record", metavar="DIR", default="auto",
        help="folder for the record; auto: a new one in results/programs; none: keep none (default: auto)",
    )  # fmt: skip
    completed(record, DIRECTORY)
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the program and its arguments"
    )


def _run(options: argparse.Namespace) -> int:
    try:
        prepared = _prepare(options)
    except HmexpError as error:
        return _refuse(error, error.status if isinstance(error, StartError) else ExitStatus.REFUSED)
    for warning in prepared.warnings:
        _log.warning("%s", warning)
    started = _carry_out(prepared)
    if isinstance(started, int):
        return started
    record, status = started.record, started.poll()
    for problem in started.problems:
        _log.error("%s", problem)
    if record.ended is not None:
        _report(record, started)
    return ExitStatus.INTERNAL if status is None else status


def _carry_out(prepared: PreparedStart) -> Started | int:
    """Start the program and attend to it until it has ended."""
    from hmexp.program.launch.child import ForegroundWatch, attend

    with ForegroundWatch() as watch:
        try:
            started = prepared.spawn()
        except HmexpError as error:
            _remove_empty(prepared.request.options.record)
            return _refuse(error, error.status if isinstance(error, StartError) else ExitStatus.REFUSED)
        attend(started, watch)
        try:
            # Signals still change nothing: what was set is put back, and the record is written.
            started.finish()
        except Exception:  # noqa: BLE001 # the program has a status, whatever we did wrong
            _log.exception("internal error. This is a bug; please report it with these lines:")
    return started


def _prepare(options: argparse.Namespace) -> PreparedStart:
    from hmexp.program.launch.request import StartOptions
    from hmexp.program.launch.ways import prepare
    from hmexp.units import parse_size

    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    pattern = _pattern(options)
    start = StartOptions(
        sample_seconds=options.look_every,
        needs_bytes=None if options.needs is None else parse_size(options.needs),
        threshold_bytes=parse_size(options.threshold),
        pages_per_second=options.rate,
    )
    prepared = prepare(words, options.via, pattern, start)
    try:
        return prepared.recorded_in(_folder(options.record, words[0]))
    except BaseException:
        prepared.close()
        raise


def _pattern(options: argparse.Namespace) -> Pattern | None:
    from hmexp.cli.machine import this_machine
    from hmexp.native.core import PAGE_BYTES
    from hmexp.pattern import Pattern
    from hmexp.ratio import is_ratio

    if options.pattern is None:
        return None
    nodes = _ratio_nodes(options, this_machine()) if is_ratio(options.pattern) else ()
    granule_bytes = PAGE_BYTES if options.granule == "page" else options.granule
    return Pattern.parse(options.pattern, granule_bytes, ratio_nodes=nodes)


def _ratio_nodes(options: argparse.Namespace, topology: Topology) -> tuple[int, ...]:
    from hmexp.system.near import find_ratio

    return find_ratio(topology, dram=options.dram, slow=options.slow, far_dram=True)


def _folder(named: str, program: str) -> Path | None:
    """The folder of the record; one that was not asked for may be impossible."""
    from hmexp.store.programs import make_folder, take_folder
    from hmexp.store.run import resolve_results

    if named == "none":
        return None
    if named != "auto":
        return take_folder(Path(named).expanduser())
    try:
        return make_folder(resolve_results("auto"), program)
    except StoreError as error:
        _log.warning("no record is kept: %s", error)
        return None


def _remove_empty(folder: Path | None) -> None:
    if folder is not None:
        with suppress(OSError):
            folder.rmdir()


def _refuse(error: HmexpError, status: int) -> int:
    _log.error("%s", error)
    return status


def _report(record: ProgramRun, started: Started) -> None:
    from hmexp.program.launch.summary import summarize

    if record.fallen_back is not None and record.fallen_back.text is not None:
        _log.warning("the kernel took other nodes: %s", record.fallen_back.text)
    for line in summarize(record, started.folder):
        say(line)


COMMAND = Command(
    "run",
    "run any program on hybrid memory, by an exact pattern where that is possible",
    "The program is started with its memory laid out by a pattern of nodes, in one of several ways: preload "
    "(a library gives large mappings to the kernel module), policy (a memory policy that it inherits: "
    "weighted interleaving, Linux 6.9), follow (pages are moved to their place soon after they appear); or "
    "what one would choose otherwise: default (first touch), node (all on one), tiering (the kernel moves "
    "pages by itself) and numactl. auto takes the first of preload, policy and follow that is "
    "possible and puts each page in its place, else policy by the ratio alone, and keeps the reason against "
    "the others.\n\n"
    "The program's exit status, signals, terminal and standard streams are its own. hmexp writes to standard "
    "error, before the start and after the end (-q: nothing but warnings). Where the pages were over time, "
    "what the program used and how it was started is in a record (docs/records.md).",
    "Examples:\n\n"
    "  hmexp run --pattern 0,2,2 -- redis-server --save ''\n"
    "  hmexp run --pattern 1:2 --via policy -- sort big.txt\n"
    "  hmexp run --pattern 2 --via node -- python3 program.py\n\n"
    "Exit status: the program's own, 128 + n after signal n. 125 if hmexp did not start it; 126 if it cannot "
    "be executed; 127 if it was not found. `man hmexp` or `hmexp man` lists all of them.",
    _add_options,
    _run,
)
