"""What the guest is asked to do: the script of the command, and the settings of the first process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from hmexp.lab.errors import LabError
from hmexp.lab.guest_node import GuestTopology
from hmexp.lab.kernels import Kernel
from hmexp.lab.machine import KVM, Share, cxl_request, online_request

_FORWARDED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "TZ", "VIRTUAL_ENV", "NO_COLOR")
_FORWARDED_PREFIXES = ("LC_", "PYTHON", "HMEXP_")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HIDDEN = ("/proc", "/sys", "/dev", "/run")
"""Directories of the host that the guest does not see: it has its own."""


def guest_environment(
    host: Mapping[str, str],
    kernel: Kernel,
    topology: GuestTopology,
    accelerator: str,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """Choose the command's environment: what finds programs and speaks a language, not what may be secret.

    Parameters
    ----------
    host : mapping
        The caller's environment.
    extra : mapping
        What the caller adds by name; it wins.
    """
    chosen = {
        name: value
        for name, value in host.items()
        if name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES)
    }
    # insmod and its like are in /sbin, which is not in an ordinary user's PATH; the guest runs as root.
    chosen["PATH"] = ":".join(dict.fromkeys(f"{chosen.get('PATH', '')}:{_SYSTEM_PATH}".strip(":").split(":")))
    chosen["HMEXP_LAB"] = topology.name
    chosen["HMEXP_LAB_KERNEL"] = kernel.release
    chosen["HMEXP_LAB_ACCELERATOR"] = accelerator
    chosen["HMEXP_TIMING_VALID"] = "1" if accelerator == KVM else "0"
    return {**chosen, **extra}


def job_script(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> bytes:
    """Write the script that becomes the command, in the caller's current directory."""
    if not command or any("\0" in word for word in command):
        raise LabError("the command is empty or contains a NUL character", "give a program after --")
    for name in environment:
        if not name.isidentifier():
            raise LabError(
                f"{name!r} is not a valid name for an environment variable", "use letters, digits and _"
            )
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    lines.append(f"cd {shlex.quote(str(directory))} || exit 125")
    # exec: the status, or the signal, is the command's own.
    lines.append(f"exec {shlex.join(command)}")
    # surrogateescape: an argument may be any bytes but NUL.
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def job_files(
    command: Sequence[str],
    *,
    kernel: Kernel,
    topology: GuestTopology,
    accelerator: str,
    has_tools: bool = False,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    shares: Sequence[Share] = (),
    interactive: bool = False,
    stdin: bytes = b"",
) -> dict[str, bytes]:
    """Give the files that the guest's first process reads.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell in between.
    kernel, topology, accelerator
        What the machine is made of.
    has_tools : bool
        Whether unpacked tools are to be laid over the host's files.
    environment : mapping, optional
        Variables added to those that are passed on from the caller.
    directory : Path, optional
        Where the command runs; the caller's current directory by default.
    shares : sequence of Share
        Directories that the guest mounts at the same path.
    interactive : bool
        The command talks to the console.
    stdin : bytes
        What the command reads.
    """
    where = Path.cwd() if directory is None else directory
    hidden = next((name for name in HIDDEN if where == Path(name) or where.is_relative_to(name)), None)
    if hidden is not None:
        raise LabError(
            f"{where} is not visible in the guest, which has its own {hidden}",
            "run the command from another directory",
        )
    variables = guest_environment(os.environ, kernel, topology, accelerator, environment or {})
    settings = {
        "TOOLS": "1" if has_tools else "",
        "MODULES": "" if kernel.modules is None else str(kernel.modules.resolve()),
        "ONLINE": online_request(topology),
        "CXL": cxl_request(topology),
        "INTERACTIVE": "1" if interactive else "",
        # Words are split at blanks there.
        "SHARES": " ".join(
            f"{share.tag}:{str(share.path).replace('%', '%25').replace(' ', '%20')}" for share in shares
        ),
    }
    return {
        "settings": "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()).encode(),
        "job": job_script(command, where, variables),
        "stdin": stdin,
        "nvdimm": _guest_script("nvdimm"),
        "cxl": _guest_script("cxl"),
    }


def _guest_script(name: str) -> bytes:
    return resources.files("hmexp.lab").joinpath(f"guest/{name}.sh").read_bytes()
