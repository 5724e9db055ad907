"""The command ``hmexp profile``: memories as data, to be looked at, checked and emulated."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import msgspec

from hmexp.cli.options import FILE, Command, Commands, add_json, completed
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses

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
    from hmexp.errors import ParameterError
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
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    actions: Commands = parser.add_subparsers(required=True, metavar="ACTION")
    for action in _ACTIONS:
        action.add_to(actions)


COMMAND = Command(
    "profile",
    "list, show and check profiles: memories as data, to be emulated anywhere",
    "A profile has the speeds of DRAM and of a slow memory, as a few figures or as curves of latency against "
    "bandwidth. `--emulate NODE=PROFILE` of other commands emulates it on DRAM.",
    "`hmexp profile ACTION --help` has the options of each action.\n\n" + describe_statuses(),
    _add_options,
    lambda _options: ExitStatus.USAGE,
)
