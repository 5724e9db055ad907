"""An interactive shell in a guest, on its console."""

from __future__ import annotations

import os
import shutil
import sys
import termios
from collections.abc import Sequence

from hmexp.lab.accelerator import choose_accelerator
from hmexp.lab.cache import run_directory
from hmexp.lab.catalogue import DISTRIBUTION
from hmexp.lab.emulator import Emulator
from hmexp.lab.errors import LabCrashError, LabError
from hmexp.lab.initramfs import write_initramfs
from hmexp.lab.job import job_files
from hmexp.lab.kernels import find_kernel
from hmexp.lab.qemu import check_kernel, tools_for
from hmexp.lab.runner import DEFAULT_TOPOLOGY, guest_arguments, writable_shares
from hmexp.lab.tools import ensure_tools
from hmexp.lab.topology import find_topology


def shell(
    kernel: str = DISTRIBUTION,
    topology: str = DEFAULT_TOPOLOGY,
    *,
    accelerator: str = "auto",
    modules: str | None = None,
    writable: Sequence[str] = (),
    append: str = "",
) -> int:
    """Start a shell in a guest and give it the terminal; leaving it ends the guest.

    Returns
    -------
    int
        Exit status of the shell.
    """
    if not sys.stdin.isatty():
        raise LabError(
            "the lab's shell needs a terminal",
            "to run a command without a terminal: hmexp lab run -- COMMAND",
        )
    tools = ensure_tools()
    found = find_kernel(kernel, tools, modules)
    nodes = find_topology(topology)
    check_kernel(nodes, found.release)
    tools = tools_for(nodes, tools)
    chosen = choose_accelerator(accelerator, found, tools)
    size = shutil.get_terminal_size()
    program = "bash" if shutil.which("bash") else "sh"
    # A serial line does not tell the size of the terminal.
    command = ("sh", "-c", f"stty rows {size.lines} cols {size.columns}; exec {program} -i")
    shares = writable_shares(writable)
    files = job_files(
        command, kernel=found, topology=nodes, accelerator=chosen, has_tools=tools.layer is not None,
        shares=shares, interactive=True,
        environment={"TERM": os.environ.get("TERM", "linux")},
    )  # fmt: skip
    print(
        f"{found.release}, {nodes.name} ({nodes.summary}), {chosen}; "
        "type exit to leave, Ctrl-A X to kill the guest"
    )
    sys.stdout.flush()
    settings = termios.tcgetattr(sys.stdin)
    with run_directory() as work:
        (work / "out").mkdir()
        write_initramfs(work / "initrd", found, tools, files)
        arguments = guest_arguments(found, nodes, chosen, tools, shares, work, append)
        # Ctrl-C belongs to the guest; Ctrl-A is QEMU's.
        arguments += ["-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console"]
        arguments += ["-mon", "chardev=console,mode=readline"]
        try:
            with Emulator(tools, arguments, work, interactive=True) as emulator:
                emulator.watch(lambda: False, None)
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        status = work / "out" / "status"
        if not status.exists():
            raise LabCrashError(f"the guest stopped while the shell was running {emulator.messages}".strip())
        return int(status.read_text(encoding="ascii"))
