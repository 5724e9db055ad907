"""Running one command in a guest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hmexp.lab.accelerator import choose_accelerator
from hmexp.lab.boot import Sinks, boot, failure, read_if_there, splats
from hmexp.lab.cache import run_directory
from hmexp.lab.catalogue import DISTRIBUTION
from hmexp.lab.counting import ARGUMENTS, INSTRUCTIONS, KERNEL_WORDS, counted
from hmexp.lab.errors import LabError
from hmexp.lab.guest_node import GuestTopology
from hmexp.lab.initramfs import write_initramfs
from hmexp.lab.job import job_files
from hmexp.lab.kernels import Kernel, find_kernel
from hmexp.lab.machine import KVM, Share, kernel_command_line, machine_arguments, share_arguments
from hmexp.lab.qemu import check_kernel, tools_for
from hmexp.lab.slow_node import SLOW_NODE, SlowNode, emulated, plugin_arguments
from hmexp.lab.tools import Tools, ensure_tools
from hmexp.lab.topology import find_topology

DEFAULT_TOPOLOGY = "three-dram"
DEFAULT_TIMEOUT_SECONDS = 600.0
MOST_TIMEOUT_SECONDS = 7 * 86400.0
"""The longest time limit [s]: a week."""


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
    counts_instructions : bool
        Whether a nanosecond of the guest was an instruction.
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
    counts_instructions: bool = False

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
            f"ended with status {self.status}" if self.status else f"made the kernel log {self.splats[0]!r}"
        )
        said = self.stderr.decode("utf-8", "replace").strip().splitlines()[-20:]
        raise LabError(
            "\n".join([f"in the lab, `{' '.join(self.command)}` {what}", *said]), console=self.console
        )


def run(
    command: Sequence[str] | str,
    kernel: str = DISTRIBUTION,
    topology: str | GuestTopology = DEFAULT_TOPOLOGY,
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS,
    *,
    accelerator: str = "auto",
    modules: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    directory: str | Path | None = None,
    writable: Sequence[str | Path] = (),
    append: str = "",
    slow_node: str | SlowNode | None = None,
    count_instructions: bool = False,
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
    topology : str or GuestTopology
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
    slow_node : str or SlowNode, optional
        A node whose accesses are delayed by a plugin of the emulator, such as ``2:read=600,write=1200``.
    count_instructions : bool
        Whether the guest's clocks count instructions instead of time; by software emulation alone.
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
    _check_timeout(timeout_seconds)
    tools = ensure_tools()
    found = find_kernel(kernel, tools, modules)
    nodes = find_topology(topology) if isinstance(topology, str) else topology
    check_kernel(nodes, found.release)
    slow = SlowNode.parse(slow_node) if isinstance(slow_node, str) else slow_node
    tools = tools_for(nodes, tools, plugin=slow is not None)
    if slow is not None:
        accelerator = emulated(accelerator)
    if count_instructions:
        accelerator = counted(accelerator, slowed=slow is not None)
    chosen = choose_accelerator(accelerator, found, tools)
    more = [] if slow is None else plugin_arguments(slow, nodes)
    told = dict(environment or {})
    if slow is not None:
        told[SLOW_NODE] = str(slow)
    if count_instructions:
        more += ARGUMENTS
        told[INSTRUCTIONS] = "1"
        append = f"{append} {KERNEL_WORDS}"
    words = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
    shares = writable_shares(writable)
    files = job_files(
        words, kernel=found, topology=nodes, accelerator=chosen, has_tools=tools.layer is not None,
        environment=told, directory=None if directory is None else Path(directory).absolute(),
        shares=shares, stdin=stdin,
    )  # fmt: skip
    with run_directory() as work:
        (work / "out").mkdir()
        write_initramfs(work / "initrd", found, tools, files)
        arguments = guest_arguments(found, nodes, chosen, tools, shares, work, append) + more
        ending = boot(work, tools, arguments, timeout_seconds, Sinks(stdout, stderr, console))
        out = work / "out"
        status = read_if_there(out / "status").strip()
        if not status:
            raise failure(ending, timeout_seconds)
        return LabResult(
            command=words, status=int(status),
            stdout=read_if_there(out / "stdout"), stderr=read_if_there(out / "stderr"),
            console=ending.console, splats=splats(ending.console), kernel=found.release, topology=nodes.name,
            accelerator=chosen, timing_valid=chosen == KVM,
            boot_seconds=ending.elapsed_seconds if ending.boot_seconds is None else ending.boot_seconds,
            elapsed_seconds=ending.elapsed_seconds, counts_instructions=count_instructions,
        )  # fmt: skip


def _check_timeout(seconds: float | None) -> None:
    if seconds is not None and not 0 < seconds <= MOST_TIMEOUT_SECONDS:
        raise LabError(
            f"the time limit {seconds:g} s is not above 0 and at most {MOST_TIMEOUT_SECONDS:.0f} s",
            "use a limit in this range, or None for no limit",
        )


def guest_arguments(
    kernel: Kernel,
    topology: GuestTopology,
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
            raise LabError(f"{path} is not a directory", "create it before the lab starts")
        shares.append(Share(f"share{number}", absolute, writable=True))
    return shares
