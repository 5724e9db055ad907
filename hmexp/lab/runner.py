"""Running one command in a guest."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hmexp.lab.accelerator import choose_accelerator
from hmexp.lab.cache import run_directory
from hmexp.lab.catalogue import DISTRIBUTION
from hmexp.lab.emulator import Emulator, Follower
from hmexp.lab.errors import LabCrashError, LabError, LabTimeoutError
from hmexp.lab.initramfs import write_initramfs
from hmexp.lab.job import job_files
from hmexp.lab.kernels import Kernel, find_kernel
from hmexp.lab.machine import KVM, Share, kernel_command_line, machine_arguments, quoted, share_arguments
from hmexp.lab.tools import Tools, ensure_tools
from hmexp.lab.topology import Topology, find_topology

DEFAULT_TOPOLOGY = "three-dram"
DEFAULT_TIMEOUT_SECONDS = 600.0

_SPLAT = re.compile(
    r"\bBUG: |\bWARNING: |\bOops|\bKASAN: |\bUBSAN: |\bINFO: task .* blocked|\bINFO: rcu|Kernel panic"
    r"|general protection fault|possible .*locking|possible recursive|inconsistent lock state"
    r"|suspicious RCU usage|kmemleak: \d+ new"
)
_MARK = re.compile(r"HMEXP-LAB(-FAILURE)? (.*)")


@dataclass(frozen=True)
class LabResult:
    """What came of a command in the guest.

    Parameters
    ----------
    command : tuple of str
    status : int
        Exit status of the command; 128 + n if signal n ended it.
    stdout, stderr : bytes
        What it wrote.
    console : str
        What the kernel wrote on the console.
    splats : tuple of str
        Lines of the console in which the kernel complains (warnings, bugs, lock reports).
    kernel : str
        Release of the guest's kernel.
    topology : str
        Name of the topology.
    accelerator : str
        ``kvm`` or ``tcg``.
    timing_valid : bool
        False under software emulation: the guest's timings mean nothing.
    boot_seconds : float
        From the start of the emulator until the command could start [s].
    elapsed_seconds : float
        From the start of the emulator to its end [s].
    """

    command: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes
    console: str
    splats: tuple[str, ...]
    kernel: str
    topology: str
    accelerator: str
    timing_valid: bool
    boot_seconds: float
    elapsed_seconds: float

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "replace")

    def check(self) -> LabResult:
        """Give the result itself if the command succeeded without a complaint of the kernel.

        Raises
        ------
        LabError
            If its status is not 0, or the kernel complained.
        """
        if self.status == 0 and not self.splats:
            return self
        what = (
            f"ended with status {self.status}"
            if self.status
            else f"made the kernel complain: {self.splats[0]}"
        )
        said = self.stderr.decode("utf-8", "replace").strip().splitlines()[-20:]
        raise LabError(
            "\n".join([f"in the lab, {' '.join(self.command)} {what}", *said]), console=self.console
        )


def run(
    command: Sequence[str] | str,
    kernel: str = DISTRIBUTION,
    topology: str | Topology = DEFAULT_TOPOLOGY,
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
    *,
    accelerator: str = "auto",
    modules: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    directory: str | Path | None = None,
    writable: Sequence[str | Path] = (),
    append: str = "",
    stdin: bytes = b"",
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
    console: BinaryIO | None = None,
) -> LabResult:
    """Run a command in a virtual machine that sees the host's files.

    What the command writes stays in the guest's memory and is lost with it, but for the
    directories named in `writable`.

    Parameters
    ----------
    command : sequence of str, or str
        Program and arguments; a text is given to ``sh -c``.
    kernel : str
        ``distribution``, ``running``, a version such as ``6.12``, a release name or a path.
    topology : str or Topology
        Name of a shipped topology, or path of a file.
    timeout_seconds : float, optional
        Longest time from the start of the emulator to the end [s]; None waits for ever.
    accelerator : str
        ``auto``, ``kvm`` or ``tcg``.
    modules : path, optional
        Modules of a kernel given by path.
    environment : mapping, optional
        Variables to add.
    directory : path, optional
        Where the command runs; the current directory by default.
    writable : sequence of path
        Directories of the host in which the guest's writes are real.
    append : str
        More kernel parameters.
    stdin : bytes
        What the command reads.
    stdout, stderr, console : binary stream, optional
        Where to copy the output as it comes; it is in the result as well.

    Returns
    -------
    LabResult

    Raises
    ------
    LabTimeoutError, LabCrashError
        If the guest had to be ended, or died; both carry its console.
    """
    tools = ensure_tools()
    found = find_kernel(kernel, tools, modules)
    nodes = find_topology(topology) if isinstance(topology, str) else topology
    chosen = choose_accelerator(accelerator, found, tools)
    words = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
    shares = writable_shares(writable)
    files = job_files(
        words, kernel=found, topology=nodes, accelerator=chosen, has_tools=tools.layer is not None,
        environment=environment, directory=None if directory is None else Path(directory).absolute(),
        shares=shares, stdin=stdin,
    )  # fmt: skip
    with run_directory() as work:
        out = work / "out"
        out.mkdir()
        write_initramfs(work / "initrd", found, tools, files)
        serial = work / "console"
        arguments = guest_arguments(found, nodes, chosen, tools, shares, work, append)
        arguments += ["-serial", f"file:{quoted(serial)}"]
        followers = [
            Follower(out / "stdout", stdout), Follower(out / "stderr", stderr), Follower(serial, console)
        ]  # fmt: skip
        ready: list[float] = []

        def tick() -> bool:
            if not ready and (out / "started").exists():
                ready.append(time.monotonic() - emulator.started)
            for follower in followers:
                follower.pump()
            return False

        with Emulator(tools, arguments, work) as emulator:
            in_time = emulator.watch(tick, timeout_seconds)
            emulator.stop()
            elapsed_seconds = emulator.elapsed_seconds
            messages = emulator.messages
        tick()
        written = _read(serial).decode("utf-8", "replace").replace("\r\n", "\n")
        status = _read(out / "status").strip()
        if not status:
            raise _failure(written, messages, in_time, timeout_seconds, bool(ready))
        return LabResult(
            command=words, status=int(status), stdout=_read(out / "stdout"), stderr=_read(out / "stderr"),
            console=written, splats=splats(written), kernel=found.release, topology=nodes.name,
            accelerator=chosen,
            timing_valid=chosen == KVM, boot_seconds=ready[0] if ready else elapsed_seconds,
            elapsed_seconds=elapsed_seconds,
        )  # fmt: skip


def guest_arguments(
    kernel: Kernel,
    topology: Topology,
    accelerator: str,
    tools: Tools,
    shares: Sequence[Share],
    work: Path,
    append: str,
) -> list[str]:
    """Give QEMU's arguments, all but the console's."""
    mounts = [Share("root", Path("/")), Share("out", work / "out", writable=True)]
    if tools.layer is not None:
        mounts.append(Share("tools", tools.layer))
    return [
        *machine_arguments(topology, accelerator),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        *share_arguments([*mounts, *shares]),
        "-kernel", str(kernel.image), "-initrd", str(work / "initrd"),
        "-append", kernel_command_line(topology, append),
    ]  # fmt: skip


def writable_shares(paths: Sequence[str | Path]) -> list[Share]:
    """Give the shares for directories in which the guest may write."""
    shares = []
    for number, path in enumerate(paths):
        absolute = Path(path).absolute()
        if not absolute.is_dir():
            raise LabError(f"{path} is not a directory", "make it before the lab starts")
        shares.append(Share(f"share{number}", absolute, writable=True))
    return shares


def splats(console: str) -> tuple[str, ...]:
    """Find the lines in which the kernel complains."""
    return tuple(line.strip() for line in console.splitlines() if _SPLAT.search(line))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _failure(
    console: str, messages: str, in_time: bool, timeout_seconds: float | None, started: bool
) -> LabError:
    marks = [match for match in map(_MARK.search, console.splitlines()) if match]
    failed = next((match[2] for match in marks if match[1]), None)
    if failed is not None:
        return LabCrashError(f"the guest could not be set up: {failed}", "its console tells more", console)
    if not in_time:
        where = "while the command ran" if started else "before the command started"
        return LabTimeoutError(
            f"the guest was ended after {timeout_seconds:.0f} s, {where}",
            "give it more time (--timeout), if it was still at work",
            console,
        )
    found = splats(console)
    if found:
        return LabCrashError(f"the guest's kernel died: {found[0]}", None, console)
    if messages:
        return LabCrashError(f"the emulator failed: {messages.splitlines()[-1]}", None, console)
    where = "after the command had started" if started else "before the command started"
    return LabCrashError(f"the guest ended {where}, without an exit status", None, console)
