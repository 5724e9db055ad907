"""The command ``hmexp runs``: the runs of a results folder, their tags, and points over many of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from hmexp.cli.options import Command, Commands, add_json
from hmexp.cli.output import print_json, say
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.cli.stored import add_results, add_run, results_of
from hmexp.cli.trend import add_trend, follow
from hmexp.errors import ParameterError, StoreError

if TYPE_CHECKING:
    from hmexp.store.history import StoredEntry

_HEADS: Final = ("run", "kind", "started", "points", "memory", "tags")


def _add_options(parser: argparse.ArgumentParser) -> None:
    actions: Commands = parser.add_subparsers(required=True, metavar="ACTION")
    for command in _ACTIONS:
        command.add_to(actions)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="only runs that have it; may be repeated"
    )
    add_results(parser)
    add_json(parser, "the runs")


def _list(options: argparse.Namespace) -> int:
    from hmexp.store.history import list_runs

    rows = [_describe(entry) for entry in list_runs(results_of(options), options.tag)]
    if options.json:
        print_json(rows)
        return ExitStatus.OK
    if not rows:
        print(f"There is no run in {results_of(options)}{' with this tag' if options.tag else ''}.")
        return ExitStatus.OK
    cells = [_HEADS, *([str(row[name]) for name in ("name", "kind", "started", "said", "memory")]
                       + [" ".join(row["tags"])] for row in rows)]  # fmt: skip
    widths = [max(len(row[n]) for row in cells) for n in range(len(_HEADS))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return ExitStatus.OK


def _describe(entry: StoredEntry) -> dict[str, Any]:
    """A run in a few facts; of one that cannot be read, why."""
    run = entry.run
    found = {"name": entry.path.name, "path": str(entry.path), "kind": entry.kind, "started": entry.started}
    if run is None:
        return found | {"said": entry.why, "memory": "", "tags": [], "counts": None, "finished": None}
    try:
        counts = entry.count()
    except StoreError as error:
        return found | {
            "said": error.message, "memory": "", "tags": list(run.tags), "counts": None, "finished": None,
        }  # fmt: skip
    planned = max(run.points or 0, sum(counts.values()))
    said = f"{counts['ok']} of {planned}"
    said += "".join(f", {counts[name]} {name}" for name in ("failed", "skipped") if counts[name])
    memory = "real" if run.emulation is None else f"EMULATED {run.emulation.profile.name}"
    return found | {
        "said": said, "memory": memory if run.timing_valid else "functional only", "tags": list(run.tags),
        "counts": counts, "finished": run.finished,
    }  # fmt: skip


def _add_show(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_results(parser)
    add_json(parser, "the run")


def _show(options: argparse.Namespace) -> int:
    from hmexp.store.history import StoredEntry, find_stored
    from hmexp.store.reader import read_run

    path = find_stored(results_of(options), options.named)
    run = read_run(path)
    found = _describe(StoredEntry(path, run))
    if options.json:
        print_json(found | {"headline": run.headline, "notes": run.notes, "parameters": run.parameters})
        return ExitStatus.OK
    print(f"{found['name']} ({found['kind']}), {path}")
    print(run.headline)
    print(f"started {run.started or 'at an unknown time'}, finished {run.finished or 'not yet'}")
    print(f"points: {found['said']}; tags: {' '.join(run.tags) or 'none'}")
    if run.search is not None:
        print(f"searched for {' and '.join(run.search.needs)}, in {run.search.launches} launches")
    for name, value in run.parameters.items():
        print(f"  {name}: {' '.join(map(str, value)) if isinstance(value, tuple) else value}")
    for note in run.notes:
        print(f"note: {note}")
    return ExitStatus.OK


def _add_tag(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("tags", nargs="+", metavar="TAG", help="a short word, such as baseline")
    parser.add_argument("--remove", action="store_true", help="take these tags away")
    add_results(parser)


def _tag(options: argparse.Namespace) -> int:
    from hmexp.store.history import find_stored, tag_run

    path = find_stored(results_of(options), options.named)
    add, remove = ([], options.tags) if options.remove else (options.tags, [])
    run = tag_run(path, add, remove, say)
    print(f"{path.name}: {' '.join(run.tags) or 'no tags'}")
    return ExitStatus.OK


def _add_rm(parser: argparse.ArgumentParser) -> None:
    add_run(parser, "+")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--force", action="store_true", help="also a run with tags, or with files that hmexp did not write"
    )
    add_results(parser)


def _rm(options: argparse.Namespace) -> int:
    from hmexp.store.history import find_stored, remove_run, why_kept

    paths = list(dict.fromkeys(find_stored(results_of(options), name) for name in options.runs))
    for path in paths:
        why = None if options.force else why_kept(path)
        if why is not None:
            raise ParameterError(f"{path} was not removed: {why}", "use --force to remove it all the same")
    names = ", ".join(str(path) for path in paths)
    if not options.yes:
        if not sys.stdin.isatty():
            raise ParameterError(f"nobody can be asked whether to remove {names}", "use --yes")
        if input(f"Remove {names} for good? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return ExitStatus.FAILED
    for path in paths:
        remove_run(path, say)
        print(f"Removed: {path}")
    return ExitStatus.OK


def _action(
    name: str,
    text: str,
    more: str,
    add: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    failed: str | None = None,
) -> Command:
    return Command(name, text, f"{text[0].upper()}{text[1:]}. {more}", describe_statuses(failed), add, run)


_ACTIONS: Final = (
    _action(
        "list", "list the runs of a folder, the oldest first",
        "JSON: an array of objects with name, path, kind, started, finished, counts, said, memory and tags.",
        _add_list, _list,
    ),
    _action(
        "show", "show what a run is, and its parameters",
        "JSON: an object as of `hmexp runs list`, with headline, notes and parameters.",
        _add_show, _show,
    ),
    _action(
        "tag", "give a run tags, or take some away",
        "A tag is in run.json. `hmexp runs list --tag` finds it; a run with one is not removed by mistake.",
        _add_tag, _tag,
    ),
    _action(
        "rm", "remove runs for good",
        "A run with tags, with other files in its folder, or in use by another process is not removed.",
        _add_rm, _rm, "if the answer was no",
    ),
    _action(
        "trend", "follow points over many runs, and say where their level changed beyond the noise",
        "One value is counted for each run; five comparable runs are needed. Emulated nodes are followed as "
        "multiples of their own model. JSON: an array of objects with parameters, ratio, unit, changed, "
        "enough_runs, chance, runs (run, started, value, change) and left_out.",
        add_trend, follow, "if no point matches",
    ),
)  # fmt: skip

COMMAND = Command(
    "runs",
    "list, show, tag and remove runs, and follow a point over many of them",
    "What is in a results folder. `hmexp runs ACTION --help` lists the options of each action.",
    "Examples:\n\n"
    "  hmexp runs list\n"
    "  hmexp runs tag sweep-20270101-120000-abcdef baseline\n"
    "  hmexp runs trend --operation read --ratio 1:2\n\n" + describe_statuses(),
    _add_options,
    _list,
)
