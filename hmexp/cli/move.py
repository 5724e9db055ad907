"""The command ``hmexp move``: lay a running program's memory out by a pattern, and put it back."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.options import Command, add_json, add_ratio_nodes, granule, number, share, whole
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.pattern import Pattern
    from hmexp.program.move.follow_options import FollowOptions
    from hmexp.store.following_records import Following

#: Reasons to stop that are what was asked for.
_DONE: Final = frozenset({"still", "stopped", "time"})


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pid", type=whole, required=True, help="the process whose pages are moved")
    parser.add_argument(
        "--pattern", help="node of each page in turn, such as 0,2,2; or a DRAM:slow ratio, such as 1:2"
    )
    parser.add_argument(
        "--granule", type=granule, default="page",
        help="bytes in a row on one node: page (the machine's) or a power of two up to 1GiB (default: page)",
    )  # fmt: skip
    add_ratio_nodes(parser)
    parser.add_argument(
        "--undo", action="store_true", help="put the pages back where they were before hmexp moved them"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be moved, and whether it fits; move nothing"
    )
    parser.add_argument(
        "--rate", type=number, metavar="PAGES", help="move at most so many pages a second (default: no limit)"
    )
    parser.add_argument(
        "--cpu-share", type=share, default=0.5, metavar="SHARE",
        help="share of one CPU that looking and moving may take (default: 0.5)",
    )  # fmt: skip
    parser.add_argument(
        "--huge", choices=("split", "leave"), default="split",
        help="huge pages that belong on several nodes: split them, or leave them where they are (default: "
        "split)",
    )  # fmt: skip
    parser.add_argument(
        "--all", action="store_true", help="also move pages that other processes map (needs CAP_SYS_NICE)"
    )
    parser.add_argument(
        "--children", action="store_true", help="also move the pages of processes that come from it"
    )
    parser.add_argument(
        "--partial", action="store_true", help="move what fits where a node has no room for all"
    )
    parser.add_argument(
        "--keep", action="store_true", help="follow the program until it ends, or until Ctrl-C"
    )
    parser.add_argument(
        "--limit", type=number, metavar="S", help="stop after so many seconds (default: no limit)"
    )
    parser.add_argument(
        "--interval", type=number, metavar="S", default=0.1,
        help="shortest time between two looks; what appears is in place after about half of it (default: "
        "0.1)",
    )  # fmt: skip
    add_json(parser, "what became of the pages")


def _run(options: argparse.Namespace) -> int:
    if options.undo == (options.pattern is not None):
        raise ParameterError(
            "--pattern and --undo are two things to do" if options.undo else "there is no --pattern",
            "give --pattern to move the pages, or --undo to put them back",
        )
    if options.undo and (options.keep or options.children):
        raise ParameterError(
            "--undo puts the pages of one process back and ends: it takes neither --keep nor --children",
            "undo each process that was moved",
        )
    how = _read_options(options)
    if options.dry_run:
        return _preview(options, how)
    with _stopped_by_signals() as stop:
        found = _undo(options, how, stop) if options.undo else _move(options, how, stop)
    if options.json:
        print_json(found)
    else:
        from hmexp.program.move.following_text import describe

        print(describe(found))
    if stop.number is not None:
        return ExitStatus.INTERRUPTED if stop.number == signal.SIGINT else ExitStatus.TERMINATED
    good = found.complete or (options.keep and found.why == "ended")
    return ExitStatus.OK if good and found.why in (*_DONE, "ended") else ExitStatus.FAILED


def _read_options(options: argparse.Namespace) -> FollowOptions:
    from hmexp.program.move.follow_options import FollowOptions
    from hmexp.program.pages.choice import ChoiceOptions
    from hmexp.program.pages.pace import PaceOptions

    return FollowOptions(
        pace=PaceOptions(pages_per_second=options.rate, cpu_share=options.cpu_share),
        choice=ChoiceOptions(everybody=options.all, huge=options.huge),
        interval_seconds=options.interval,
        slow_seconds=max(2.0, options.interval),
        until_still=not options.keep,
        limit_seconds=options.limit,
        children=options.children,
    )


def _read_pattern(options: argparse.Namespace) -> Pattern:
    from hmexp.cli.region import read_pattern

    options.emulate = "none"
    return read_pattern(options.pattern, options, this_machine())


def _preview(options: argparse.Namespace, how: FollowOptions) -> int:
    from hmexp.program.move.access import require_nodes
    from hmexp.program.move.following_text import describe_preview
    from hmexp.program.move.foresight import preview, require_room
    from hmexp.program.move.moves import require_journal
    from hmexp.program.pages.held import HeldProcess
    from hmexp.program.pages.wish import PatternWish, Wish

    if options.undo:
        with HeldProcess(options.pid) as target:
            wish: Wish = require_journal(target).wish
    else:
        pattern = _read_pattern(options)
        require_nodes(options.pid, pattern)
        wish = PatternWish(pattern)
    found = preview(options.pid, wish, how)
    if options.json:
        print_json(found)
    else:
        print(describe_preview(found))
    if not options.partial:
        require_room(found)
    return ExitStatus.OK


def _move(options: argparse.Namespace, how: FollowOptions, stop: _Stop) -> Following:
    from hmexp.program.move.moves import move_program

    pattern = _read_pattern(options)
    return move_program(options.pid, pattern, how, stop, partial=options.partial)


def _undo(options: argparse.Namespace, how: FollowOptions, stop: _Stop) -> Following:
    from hmexp.program.move.moves import undo_move

    return undo_move(options.pid, how, stop)


class _Stop(threading.Event):
    """Set by a signal; remembers which."""

    number: int | None = None


@contextmanager
def _stopped_by_signals() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM end a move in an orderly way: after the batch in flight, with a report."""
    stop = _Stop()

    def handler(number: int, _frame: FrameType | None) -> None:
        stop.number = number
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {
        each: signal.signal(each, handler) for each in numbers if signal.getsignal(each) != signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for each, former in before.items():
            signal.signal(each, former)


COMMAND = Command(
    "move",
    "move the pages of a program that runs to an exact pattern, and back",
    "Move the private memory of a running program to the nodes of a pattern, by virtual page number, until a "
    "fresh look finds nothing left to be moved. Each page has one outcome, from that look and not from "
    "what the kernel reports. Where each page was is noted before it is moved: --undo puts the pages back. "
    "Killed at "
    "any moment, hmexp leaves a running program; the next `hmexp move` on it says where the move stopped.",
    "Examples:\n\n"
    "  hmexp move --pid 1234 --pattern 0,2,2 --dry-run\n"
    "  hmexp move --pid 1234 --pattern 0,2,2 --rate 5000\n"
    "  hmexp move --pid 1234 --undo\n\n"
    "JSON: an object with why, reason, complete, outcomes (pages), by_node, processes, call_times, "
    "lag_at_most, "
    "lag_at_least, settings, counters and notes; with --dry-run an object with moving, splitting, arriving, "
    "leaving, "
    "room_bytes and outcomes.\n\n"
    + describe_statuses("if a page that the program has is not in its place, or following was of no use"),
    _add_options,
    _run,
)
