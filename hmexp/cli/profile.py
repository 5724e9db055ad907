"""The command ``hmexp profile``: memories as data, to be looked at, checked and emulated."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hmexp.cli.options import DIRECTORY, FILE, Command, Commands, add_json, completed, run_directory
from hmexp.cli.output import print_json, say
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError

if TYPE_CHECKING:
    from hmexp.memory.profile import Profile


def _name_profile(parser: argparse.ArgumentParser) -> None:
    completed(parser.add_argument("profile", metavar="PROFILE", help="a name, or a .toml file"), FILE)
    add_json(parser, "the profile")


def _list(options: argparse.Namespace) -> int:
    from hmexp.memory.profile import Profile

    every = [Profile.load(name) for name in Profile.names()]
    if options.json:
        print_json([_describe(profile) for profile in every])
        return ExitStatus.OK
    for profile in every:
        print(f"{profile.name:<22} {profile.kind:<5} {profile.title}")
    print("`hmexp profile show NAME` shows one; `--emulate NODE=NAME` emulates it.")
    return ExitStatus.OK


def _show(options: argparse.Namespace) -> int:
    from hmexp.memory.profile import Profile
    from hmexp.memory.profile_text import lines_of

    profile = Profile.load(options.profile)
    if options.json:
        print_json(_describe(profile))
    else:
        print("\n".join(lines_of(profile)))
    return ExitStatus.OK


def _check(options: argparse.Namespace) -> int:
    from hmexp.memory.profile import Profile

    if not options.profile.endswith(".toml"):
        raise ParameterError(
            f"{options.profile!r} is not a .toml file", "name the file; `hmexp profile show NAME` shows ours"
        )
    profile = Profile.load(options.profile)
    if options.json:
        print_json(_describe(profile))
    else:
        print(f"{options.profile} is a profile: {profile.title}. Emulate it: --emulate 2={options.profile}")
    return ExitStatus.OK


def _name_run(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument(
        "run_directory", type=run_directory, metavar="RUN", help="the folder of a sweep, a matrix or curves"
    )
    completed(run, DIRECTORY)
    _name_output(parser)


def _name_bundle(parser: argparse.ArgumentParser) -> None:
    completed(parser.add_argument("bundle", type=Path, metavar="FILE", help="a bundle"), FILE)
    _name_output(parser)


def _name_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="where to write it; a file that is there is kept"
    )
    completed(output, FILE)


def _capture(options: argparse.Namespace) -> int:
    from hmexp.memory.profile_text import to_toml
    from hmexp.report.atlas.capture import capture

    captured = capture(options.run_directory)
    for note in captured.notes:
        say(f"note: {note}.")
    _write(to_toml(captured.profile), options.output)
    return ExitStatus.OK


def _export(options: argparse.Namespace) -> int:
    from hmexp.report.atlas.bundle import make_bundle
    from hmexp.report.atlas.capture import capture

    _write(make_bundle(capture(options.run_directory)).to_json(), options.output)
    return ExitStatus.OK


def _import(options: argparse.Namespace) -> int:
    from hmexp.memory.profile_text import to_toml
    from hmexp.report.atlas.bundle import read_bundle

    bundle = read_bundle(options.bundle)
    target: Path = options.output or Path(f"{bundle.name}.toml")
    _write(to_toml(bundle.profile), target)
    say(f"{bundle.profile.title}. Emulate it: --emulate 2={target}")
    return ExitStatus.OK


def _write(text: str, target: Path | None) -> None:
    """Write a new file, or to standard output."""
    if target is None:
        print(text, end="")
        return
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ParameterError(f"{target} is there already", "name another file, or remove it") from None
    except OSError as error:
        raise ParameterError(f"{target} cannot be written: {error.strerror}") from error
    say(f"Written: {target}")


def _describe(profile: Profile) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(profile.to_record())
    return found | {"intervals": dict(profile.intervals)}


_ONE: Final = (
    "JSON: an object with name, title, kind, source, dram and slow (figures, link, medium, curves), and "
    "intervals.\n\n" + describe_statuses()
)
_ACTIONS: Final = (
    Command(
        "list",
        "list the profiles that come with hmexp",
        "List the profiles that come with hmexp.",
        "JSON: an array of objects as `hmexp profile show --json` prints one.\n\n" + describe_statuses(),
        lambda parser: add_json(parser, "the profiles"),
        _list,
    ),
    Command(
        "show",
        "show what a profile says, and what follows from it",
        "Show the figures of a profile, whose they are, and the bandwidths of mixes that follow from them.",
        _ONE,
        _name_profile,
        _show,
    ),
    Command(
        "check",
        "check a file of your own",
        "Check every key and every number of a profile's file.",
        _ONE,
        _name_profile,
        _check,
    ),
    Command(
        "capture",
        "make a profile of what a run has measured",
        "Make a profile of a run that has measured nodes alone, with the intervals of its figures: of curves "
        "a family and what carries it, of a sweep or a matrix the fastest of each operation.",
        describe_statuses(),
        _name_run,
        _capture,
    ),
    Command(
        "export",
        "make a bundle of a run that can be published",
        "Make a bundle of a run: the captured profile, its points with their proof, and versions. It has "
        "no name of a host or a user, no path, no address and no serial number; docs/atlas.md says how to "
        "send one in.",
        describe_statuses(),
        _name_run,
        _export,
    ),
    Command(
        "import",
        "make a profile of a bundle from anywhere",
        "Check a bundle, and write its profile as a file to be emulated. Nothing in the bundle is trusted.",
        describe_statuses(),
        _name_bundle,
        _import,
    ),
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    actions: Commands = parser.add_subparsers(required=True, metavar="ACTION")
    for action in _ACTIONS:
        action.add_to(actions)


COMMAND = Command(
    "profile",
    "list, show, check and capture profiles: memories as data, to be emulated anywhere",
    "A profile has the speeds of DRAM and of a slow memory, as a few figures or as curves of latency "
    "against bandwidth. `--emulate NODE=PROFILE` of other commands emulates it on DRAM.",
    "`hmexp profile ACTION --help` has the options of each action.\n\n" + describe_statuses(),
    _add_options,
    lambda _options: ExitStatus.USAGE,
)
