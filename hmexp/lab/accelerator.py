"""Hardware virtualization (KVM) where it works, software emulation (TCG) elsewhere.

That ``/dev/kvm`` exists is no proof: inside another virtual machine the guest may die or hang.
So a small guest is started, once after each boot of the host.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from hmexp.lab.cache import cache_directory, ensure_directory, locked, run_directory
from hmexp.lab.emulator import Emulator
from hmexp.lab.errors import LabError
from hmexp.lab.initramfs import cpio, regular
from hmexp.lab.kernels import Kernel
from hmexp.lab.machine import KVM, TCG
from hmexp.lab.tools import Tools

PROBE_SECONDS = 15.0
_PROBE_TOKEN = b"HMEXP-KVM-WORKS"
_DEVICE = Path("/dev/kvm")


def choose_accelerator(request: str, kernel: Kernel, tools: Tools) -> str:
    """Decide between ``kvm`` and ``tcg``.

    Parameters
    ----------
    request : str
        ``auto``, or one of the two to insist on it.
    """
    if request in (KVM, TCG):
        return request
    if request != "auto":
        raise LabError(f"accelerator {request!r} is unknown", "use auto, kvm or tcg")
    works, _ = kvm_state(kernel, tools)
    return KVM if works else TCG


def kvm_state(kernel: Kernel, tools: Tools) -> tuple[bool, str]:
    """Say whether KVM works here, and why or why not. Tried once after each boot of the host."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return (
            False,
            f"{_DEVICE} is missing"
            if not _DEVICE.exists()
            else f"{_DEVICE} cannot be opened: this user is not in the group kvm",
        )
    path = cache_directory() / "kvm.json"
    key = f"{_boot_id()} {os.getuid()} {tools.programs['qemu-system-x86_64']}"
    with locked(path):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return bool(kept["works"]), str(kept["reason"])
        except (OSError, ValueError, KeyError):
            pass  # never tried on this boot
        works, reason = _probe(kernel, tools)
        ensure_directory(path.parent)
        path.write_text(json.dumps({"key": key, "works": works, "reason": reason}), encoding="utf-8")
    return works, reason


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def _probe(kernel: Kernel, tools: Tools) -> tuple[bool, str]:
    script = (
        b"#!/bin/busybox sh\n/bin/busybox echo "
        + _PROBE_TOKEN
        + b"\n/bin/busybox poweroff -f\n/bin/busybox sleep 99\n"
    )
    directory_mode = 0o040755
    files = {
        "bin": (directory_mode, b""),
        "dev": (directory_mode, b""),
        "bin/busybox": regular(tools.programs["busybox"].read_bytes(), 0o755),
        "init": regular(script, 0o755),
    }
    with run_directory() as directory:
        (directory / "initrd").write_bytes(cpio(files))
        console = directory / "console"
        arguments = [
            "-machine", "q35", "-accel", KVM, "-cpu", "host", "-m", "512M", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-serial", f"file:{console}", "-kernel", str(kernel.image),
            "-initrd", str(directory / "initrd"), "-append", "console=ttyS0 rdinit=/init panic=-1 quiet",
        ]  # fmt: skip
        started = time.monotonic()
        with Emulator(tools, arguments, directory) as emulator:
            ended = emulator.watch(lambda: False, PROBE_SECONDS)
            said = emulator.messages
        seconds = time.monotonic() - started
        if console.exists() and _PROBE_TOKEN in console.read_bytes():
            return True, f"a probe booted in {seconds:.1f} s"
        if ended:
            return False, f"the probe ended after {seconds:.1f} s without booting: {said or 'no message'}"
        return False, f"the probe did not boot within {PROBE_SECONDS:.0f} s"
