"""The command ``hmexp``: a face over the layers below, for those who do not open Jupyter."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, Final

import hmexp
from hmexp.cli import logs
from hmexp.cli.options import Command, Formatter, add_loudness
from hmexp.cli.parser import Parser, find_parsers
from hmexp.cli.status import ExitStatus
from hmexp.errors import HmexpError, SweepError

#: Every command with the line that help has for it, in the order of help. Each is a module beside this one
#: with a `COMMAND`; only the one that is called is imported.
COMMANDS: Final[dict[str, str]] = {
    "doctor": "check what this machine is, what it can do, and what is in the way of measuring",
    "nodes": "list the NUMA nodes with their kinds and why, sizes, distances and HMAT speeds",
    "placers": "list the ways of placing pages: what each promises and needs, and whether it works here",
    "presets": "list the presets of sweeps: what each is for, how many points, how long here",
    "sweep": "measure a grid of points and write a report",
    "find": "find the cheapest ratio that keeps what is needed, in few launches",
    "measure": "measure the bandwidth of one pattern, beside all DRAM",
    "latency": "measure the latency of one pattern, idle or loaded",
    "study": "measure placers, granularity or a Redis, as the notebooks of these names do",
    "curves": "measure latency against bandwidth for each share of reads, or show such curves",
    "matrix": "measure every node's memory from every node's CPUs, beside what the firmware claims",
    "profile": "list, show, check and capture profiles: memories as data, to be emulated anywhere",
    "report": "write report.html, the tables and the figures of a run again",
    "runs": "list, show, tag and remove runs, and follow a point over many of them",
    "compare": "compare runs: did anything change beyond the noise",
    "weights": "find the weights for weighted interleave, set them for good, verify them, undo them",
    "move": "move the pages of a program that runs to an exact pattern, and back",
    "run": "run any program on hybrid memory, by an exact pattern where that is possible",
    "placement": "show where the pages of a running program are, and hold them against a pattern",
    "provision": "make NUMA nodes of persistent or CXL memory, and take them back",
    "fleet": "measure the same on many machines through Dask, and compare them",
    "program": "measure a program on each ratio of hybrid memory, beside DRAM alone",
    "predict": "predict a program's slowdown at every ratio from a few runs, and check it",
    "workloads": "list the programs that hmexp knows how to measure, or print one to copy",
    "campaign": "run several notebooks with papermill and gather them in one folder",
    "lab": "run a command in a virtual machine with any NUMA nodes and any kernel",
    "completion": "print a completion script for bash, zsh or tcsh",
    "man": "print or show the manual page",
}
_log = logging.getLogger("hmexp.cli")


def build_parser(only: str | None = None) -> Parser:
    """The parser of the whole command line.

    Parameters
    ----------
    only : str, optional
        Give options to this command alone: the others are known by their names. Without it every command
        is complete, as documentation and completion need it.
    """
    parser = Parser(
        prog="hmexp",
        description="Experiments on hybrid memory: place pages on DRAM and NVM or CXL nodes by an exact "
        "pattern, prove it, measure it.",
        epilog="`hmexp COMMAND --help` lists the options of a command; `hmexp man` shows the whole manual, "
        "exit statuses included.",
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"hmexp {hmexp.__version__}")
    add_loudness(parser)
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        if only is not None and name != only:
            commands.add_parser(name, help=text)
        elif name == "lab":
            from hmexp.lab import cli as lab

            lab.add_parser(commands)
            for inner in find_parsers(commands.choices["lab"]).values():
                if not {"-v", "--verbose"} & set(inner._option_string_actions):  # noqa: SLF001
                    add_loudness(inner)
        else:
            command: Command = importlib.import_module(f"hmexp.cli.{name}").COMMAND
            command.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with an `ExitStatus`."""
    _open_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    named = next((word for word in words if not word.startswith("-")), "")
    options = _parser_or_exit(named).parse_args(words)
    logs.set_up(options)
    _log.debug("hmexp %s, Python %s, %s", hmexp.__version__, platform.python_version(), platform.release())
    started = time.monotonic()
    status = _carry_out(options)
    _log.debug("exit status %d after %.1f s", status, time.monotonic() - started)
    sys.exit(status)


def _parser_or_exit(named: str) -> Parser:
    """Build the parser; some commands import the C core for it, which can refuse to be used."""
    try:
        return build_parser(named)
    except HmexpError as error:
        logs.set_up(argparse.Namespace())
        sys.exit(_fail(error, ExitStatus.USAGE))


def _open_streams() -> None:
    """Open the null device for each standard stream that whoever started us has closed.

    Python has None for such a stream, and the next file that is opened would get its number: what is printed
    would be written into a record.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        try:
            null = os.open(os.devnull, os.O_RDWR)
        except OSError:  # no /dev
            null = os.memfd_create(name)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)  # noqa: FBT003
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _carry_out(options: argparse.Namespace) -> int:
    try:
        _put_back_settings()
        status: int = options.run(options)
        sys.stdout.flush()
    except SweepError as error:
        return _fail(error, ExitStatus.FAILED)
    except HmexpError as error:
        return _fail(error, ExitStatus.USAGE)
    except KeyboardInterrupt:
        _log.error("interrupted; what was measured is kept, and the same command again resumes")
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone (`hmexp nodes | head`): nobody is left to read a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitStatus.OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        # It takes a temporary folder where HOME has none, and ends where that cannot be made either.
        matplotlib = "MPLCONFIGDIR" in str(error)
        remedy = (
            "set MPLCONFIGDIR to a folder that can be written, such as RUN/figures" if matplotlib else None
        )
        return _fail(HmexpError(f"{where}{error.strerror or error}", remedy), ExitStatus.USAGE)
    except Exception:  # noqa: BLE001 # the last stop: a bug has a status of its own
        _log.exception("internal error. This is a bug; please report it with these lines:")
        return ExitStatus.INTERNAL
    return status


def _put_back_settings() -> None:
    """Restore the settings of the machine that a killed hmexp had changed."""
    from hmexp.system.settings import repair

    for restored in repair():
        _log.warning("%s", restored)


def _fail(error: HmexpError, status: ExitStatus) -> ExitStatus:
    _log.error("%s", error)
    _log.debug("%s", "".join(traceback.format_exception(error)).rstrip())
    return status
