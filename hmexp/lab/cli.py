"""``hmexp lab``: the command line of the lab."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from hmexp.lab.catalogue import DISTRIBUTION
from hmexp.lab.errors import LabError, LabTimeoutError
from hmexp.lab.listing import STATUS_LAB, list_kernels, list_topologies, print_headers, print_needs
from hmexp.lab.runner import DEFAULT_TIMEOUT_SECONDS, DEFAULT_TOPOLOGY, MOST_TIMEOUT_SECONDS, LabResult, run
from hmexp.lab.shell import shell

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 # it has no public name

STATUS_TIMEOUT = 124
"""Exit status when the time ran out, as of timeout(1)."""
CONSOLE_LINES = 60

_EXAMPLES = """\
examples:
  hmexp lab run -- numactl --hardware
  hmexp lab run --topology dram-nvm --writable results -- hmexp sweep --patterns 0,1
  make -C kernel_module KDIR="$(hmexp lab headers 6.12)"
  hmexp lab run --kernel 6.12 -- sh -c 'insmod kernel_module/hybridmem.ko && ls -l /dev/hybridmem'

The guest sees this machine's files. What it writes is lost, except in directories given with --writable.
Exit status: that of the command (128 + n if signal n ended it); 124 if the time ran out; 125 if the
guest died or could not start.
"""


class _Terminated(BaseException):
    """A signal asked the process to end. Not an Exception: nothing on the way may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def add_parser(subparsers: Subparsers) -> None:
    """Add ``lab`` to the commands of ``hmexp``.

    As every command it sets ``run``, a function of the parsed arguments that returns the exit status.
    """
    lab = subparsers.add_parser(
        "lab", help="run a command in a virtual machine with any NUMA nodes and any kernel",
        description="Run commands in a virtual machine with the kernel and NUMA nodes of your choice.",
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _add_commands(lab)


def _seconds(text: str) -> float:
    """Read a time limit [s]; 0 is none."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if seconds != 0 and not 1 <= seconds <= MOST_TIMEOUT_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds from 1 to {MOST_TIMEOUT_SECONDS:.0f}, or 0 for no limit"
        )
    return seconds


def _machine_options() -> argparse.ArgumentParser:
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument(
        "--kernel", default=DISTRIBUTION, metavar="K",
        help="kernel: distribution (default), running, a version such as 6.12, a full release name,"
        " or a path",
    )  # fmt: skip
    machine.add_argument(
        "--modules", metavar="DIR", help="directory of the modules, for a kernel given by path"
    )
    machine.add_argument(
        "--topology", default=DEFAULT_TOPOLOGY, metavar="T",
        help="NUMA nodes: a name from `hmexp lab topologies`, or a TOML file (default: %(default)s)",
    )  # fmt: skip
    machine.add_argument(
        "--accelerator", default="auto", choices=("auto", "kvm", "tcg"),
        help="hardware virtualization (kvm) or software emulation (tcg); auto uses kvm where it works",
    )  # fmt: skip
    machine.add_argument(
        "--writable", action="append", default=[], metavar="DIR",
        help="let the guest write to this directory (repeatable)",
    )  # fmt: skip
    machine.add_argument("--append", default="", metavar="WORDS", help="additional kernel parameters")
    return machine


def _add_commands(lab: argparse.ArgumentParser) -> None:
    commands = lab.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")
    machine = _machine_options()
    one = commands.add_parser(
        "run", parents=[machine], help="run one command in the guest", usage="hmexp lab run [...] -- CMD ..."
    )
    one.add_argument(
        "--timeout", type=_seconds, default=DEFAULT_TIMEOUT_SECONDS, metavar="S",
        help="time limit, boot included [s]; 0 for no limit (default: %(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE",
        help="set an environment variable in the guest (repeatable)",
    )  # fmt: skip
    one.add_argument(
        "--stdin", action="store_true", help="read standard input to its end and pass it to the command"
    )
    one.add_argument(
        "--slow-node", metavar="NODE:read=NS,write=NS",
        help="delay accesses to a node's memory, such as 2:read=600,write=1200",
    )  # fmt: skip
    one.add_argument(
        "--count-instructions", action="store_true",
        help="let the guest's clocks count instructions, one to a nanosecond, instead of time",
    )  # fmt: skip
    one.add_argument("--console", action="store_true", help="show the guest's console on standard error")
    one.add_argument("-v", "--verbose", action="store_true", help="report what ran and how long it took")
    one.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="command to run in the guest"
    )
    one.set_defaults(run=dispatch, handler=_run)

    interactive = commands.add_parser("shell", parents=[machine], help="start a shell in the guest")
    interactive.set_defaults(run=dispatch, handler=_shell)

    kernels = commands.add_parser("kernels", help="list the kernels that are cached or can be fetched")
    kernels.add_argument("--refresh", action="store_true", help="fetch the package lists again first")
    kernels.add_argument(
        "--all", action="store_true", help="list every kernel, not only the newest of each series"
    )
    kernels.set_defaults(run=dispatch, handler=list_kernels)

    commands.add_parser("topologies", help="list the topologies").set_defaults(
        run=dispatch, handler=list_topologies
    )

    headers = commands.add_parser("headers", help="fetch a kernel's headers and print KDIR to build against")
    headers.add_argument(
        "kernel", nargs="?", default=DISTRIBUTION, help="kernel, as for --kernel (default: distribution)"
    )
    headers.set_defaults(run=dispatch, handler=print_headers)

    commands.add_parser(
        "check", help="show the programs the lab needs, where they are, and whether KVM works"
    ).set_defaults(run=dispatch, handler=print_needs)


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    pairs = [entry.partition("=") for entry in arguments.env]
    wrong = next((entry for entry in arguments.env if "=" not in entry), None)
    if wrong is not None:
        raise LabError(f"--env {wrong!r} is not of the form NAME=VALUE", "write for example --env LANG=C")
    timeout_seconds = None if arguments.timeout == 0 else arguments.timeout
    result = run(
        command, arguments.kernel, arguments.topology, timeout_seconds,
        accelerator=arguments.accelerator, modules=arguments.modules, writable=arguments.writable,
        environment={name: value for name, _, value in pairs}, append=arguments.append,
        slow_node=arguments.slow_node, count_instructions=arguments.count_instructions,
        stdin=sys.stdin.buffer.read() if arguments.stdin else b"",
        stdout=sys.stdout.buffer, stderr=sys.stderr.buffer,
        console=sys.stderr.buffer if arguments.console else None,
    )  # fmt: skip
    _remark(result, verbose=arguments.verbose)
    return result.status


def _remark(result: LabResult, *, verbose: bool) -> None:
    if verbose:
        timing = "timings are valid" if result.timing_valid else "timings are not valid"
        if result.counts_instructions:
            timing = "its clocks count instructions, one to a nanosecond"
        print(
            f"hmexp lab: {result.kernel}, {result.topology}, {result.accelerator} ({timing}); "
            f"boot {result.boot_seconds:.1f} s, total {result.elapsed_seconds:.1f} s; "
            f"exit status {result.status}",
            file=sys.stderr,
        )
    for line in result.splats:
        print(f"hmexp lab: kernel warning: {line}", file=sys.stderr)


def _shell(arguments: argparse.Namespace) -> int:
    return shell(
        arguments.kernel, arguments.topology, accelerator=arguments.accelerator, modules=arguments.modules,
        writable=arguments.writable, append=arguments.append,
    )  # fmt: skip


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, so that the guest ends and its directory goes."""

    def handler(number: int, _: FrameType | None) -> NoReturn:
        raise _Terminated(number)

    previous = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def dispatch(arguments: argparse.Namespace) -> int:
    """Carry out a parsed ``lab`` command; say what went wrong; give the exit status."""
    try:
        with _signals_raise():
            status: int = arguments.handler(arguments)
            sys.stdout.flush()
            return status
    except LabError as error:
        if error.console:
            shown = error.console.splitlines()[-CONSOLE_LINES:]
            title = f"--- last {len(shown)} lines of the guest's console ---"
            print(title, *shown, "---", sep="\n", file=sys.stderr)
        print(f"hmexp lab: {error}", file=sys.stderr)
        return STATUS_TIMEOUT if isinstance(error, LabTimeoutError) else STATUS_LAB
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except _Terminated as end:
        return 128 + end.number
    except BrokenPipeError:
        # The reader has gone. Python would complain once more when it flushes at exit.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 128 + signal.SIGPIPE


def main(words: Sequence[str] | None = None) -> int:
    """Run ``lab`` on its own."""
    parser = argparse.ArgumentParser(
        prog="hmexp lab", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_commands(parser)
    return dispatch(parser.parse_args(words))
