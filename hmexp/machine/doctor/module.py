"""Findings about the kernel module: loaded, of these sources, open to this user, or how to get it."""

from __future__ import annotations

import contextlib
import grp
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section
from hmexp.machine.doctor.kernel_options import read_options
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.sysfs import read_text

_PLACERS: Final = Section(Group.PLACERS)
_ABOUT: Final = "kernel module"
_BUILD: Final = "make -C kernel_module && sudo make -C kernel_module install && sudo modprobe hybridmem"
_RELOAD: Final = "sudo rmmod hybridmem; " + _BUILD


@dataclass(frozen=True)
class ModuleVersion:
    """What identifies a build of the module.

    Parameters
    ----------
    version : str or None
        The text of ``MODULE_VERSION``.
    srcversion : str or None
        The kernel build's checksum of the sources.
    """

    version: str | None
    srcversion: str | None


def read_loaded_version(sys_root: Path) -> ModuleVersion | None:
    """The module that is loaded; None if none is."""
    folder = sys_root / "module/hybridmem"
    if not folder.is_dir():
        return None
    return ModuleVersion(read_text(folder / "version"), read_text(folder / "srcversion"))


def read_source_version(checkout: Path) -> str | None:
    """The version that the sources of the checkout have; None where there are none."""
    source = read_text(checkout / "kernel_module/main.c")
    match = re.search(r'^MODULE_VERSION\("([^"]*)"\);', source, re.MULTILINE) if source else None
    return match[1] if match is not None else None


def read_built_version(path: Path) -> ModuleVersion | None:
    """What a `.ko` file says of itself (its section .modinfo); None if there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return None

    def value(name: bytes) -> str | None:
        match = re.search(rb"(?:^|\0)" + name + rb"=([^\0]*)\0", data)
        return match[1].decode("ascii", "replace") if match is not None else None

    return ModuleVersion(value(b"version"), value(b"srcversion"))


@check(_PLACERS, _ABOUT)
def look_at_module(subject: Subject) -> Iterator[Finding]:
    """Whether the module is there, which one, and who may open its device."""
    loaded = read_loaded_version(subject.sys)
    if loaded is None:
        yield _absent(subject)
        return
    source = read_source_version(subject.checkout)
    built = read_built_version(subject.checkout / "kernel_module/hybridmem.ko")
    names = f"hybridmem {loaded.version or 'of unknown version'} is loaded"
    details = [f"srcversion {loaded.srcversion}"] if loaded.srcversion else []
    if source is not None and loaded.version != source:
        yield _PLACERS.know(
            _ABOUT, f"{names}, and the sources of this checkout are {source}", _RELOAD, details
        )
    elif built and built.srcversion and loaded.srcversion and built.srcversion != loaded.srcversion:
        yield _PLACERS.know(
            _ABOUT,
            f"{names}, and was built from other sources than kernel_module/hybridmem.ko (srcversion "
            f"{loaded.srcversion}, not {built.srcversion})",
            _RELOAD,
            details,
        )
    else:
        yield _PLACERS.fine(_ABOUT, names + (", as in this checkout" if source else ""), details)
    yield from _look_at_device(subject)


def _absent(subject: Subject) -> Finding:
    """Why there is no module, and the next command."""
    options = read_options(subject.root, subject.release)
    if options is not None and options[0].get("MODULES") != "y":
        return _PLACERS.know(
            _ABOUT,
            "hybridmem is not loaded, and this kernel loads no modules (CONFIG_MODULES is not set)",
            "hmexp lab run -- hmexp doctor",
        )
    modules = subject.root / f"lib/modules/{subject.release}"
    installed = next(modules.glob("**/hybridmem.ko*"), None) if subject.release else None
    if installed is not None:
        return _PLACERS.know(
            _ABOUT, f"hybridmem is installed ({installed}), not loaded", "sudo modprobe hybridmem"
        )
    if not (modules / "build/Makefile").exists():
        return _PLACERS.know(
            _ABOUT,
            f"hybridmem is not loaded, and the headers of Linux {subject.release}, to build it, are missing",
            f"sudo apt-get install linux-headers-{subject.release}; then {_BUILD}",
        )
    return _PLACERS.know(_ABOUT, "hybridmem is not loaded; the headers to build it are there", _BUILD)


def _look_at_device(subject: Subject) -> Iterator[Finding]:
    path = subject.root / "dev/hybridmem"
    about = "module's device"
    try:
        found = path.stat()
    except OSError as error:
        yield _PLACERS.know(
            about,
            f"hybridmem is loaded, but {path} cannot be found ({error.strerror})",
            "in a container: docker run --device /dev/hybridmem",
        )
        return
    group = str(found.st_gid)
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(found.st_gid).gr_name
    mode = stat.filemode(found.st_mode)
    if os.access(path, os.R_OK | os.W_OK):
        yield _PLACERS.fine(about, f"{path} may be opened ({mode}, group {group})")
    elif found.st_mode & stat.S_IWGRP and found.st_gid != 0:
        yield _PLACERS.know(
            about,
            f"this user may not open {path} ({mode}, group {group})",
            f"sudo usermod -aG {group} $USER, then log in again",
        )
    else:
        yield _PLACERS.know(
            about,
            f"only root may open {path} ({mode}): its udev rule has not been applied",
            "sudo make -C kernel_module install && sudo udevadm trigger /dev/hybridmem",
        )
