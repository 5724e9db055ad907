"""The emulator that a topology needs: the lab's own, or a later one unpacked from backports."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from hmexp.lab.apt import AptArea, own_release, scratch, unpack
from hmexp.lab.cache import built_once, cache_directory
from hmexp.lab.catalogue import upstream_version
from hmexp.lab.errors import LabError, LabKernelError, LabNeedError
from hmexp.lab.guest_node import CXL, GuestTopology
from hmexp.lab.tools import Tools

CXL_QEMU = (10,)
"""The first QEMU tried whose volatile CXL memory Linux can use; 7.2 (Debian 12) has none that boots. Its
plugins can tell the physical address of an access, too."""

CXL_KERNEL = (6, 3)
"""The first kernel that makes regions of volatile CXL memory."""

_PROGRAM = "qemu-system-x86_64"
_PACKAGE = "qemu-system-x86"


def tools_for(topology: GuestTopology, tools: Tools, *, plugin: bool = False) -> Tools:
    """Give the tools with an emulator that has the topology's devices.

    Parameters
    ----------
    topology : GuestTopology
    tools : Tools
    plugin : bool
        Whether it must take the plugin of a slow node.

    Raises
    ------
    LabNeedError
        If this machine has no such emulator and its package archive neither.
    """
    if not topology.of_kind(CXL) and not plugin:
        return tools
    version = emulator_version(tools)
    if version >= CXL_QEMU:
        return tools
    what = "a CXL device" if topology.of_kind(CXL) else "a slow node"
    wanted = f"{what} needs QEMU {CXL_QEMU[0]} or later, and this is {'.'.join(map(str, version))}"
    try:
        return _with_emulator(tools, _fetched())
    except LabError as error:
        raise LabNeedError(
            f"topology {topology.name}: {wanted}; a later one cannot be fetched: {error.message}",
            f"install {_PACKAGE} {CXL_QEMU[0]} or later, or leave {what} out",
        ) from error


def check_kernel(topology: GuestTopology, release: str) -> None:
    """Refuse a kernel that cannot bring the topology's nodes online.

    Raises
    ------
    LabKernelError
        If a CXL node is to be online and the kernel makes no regions of volatile memory.
    """
    if upstream_version(release) < CXL_KERNEL and any(node.online for node in topology.of_kind(CXL)):
        raise LabKernelError(
            f"topology {topology.name}: Linux {release} cannot make a node of a CXL device",
            "choose a later kernel, such as --kernel 6.12",
        )


def emulator_version(tools: Tools) -> tuple[int, ...]:
    """Ask the emulator for its version, such as ``(7, 2, 22)``."""
    said = tools.run(_PROGRAM, "--version").stdout
    found = re.search(r"version (\d[\d.]*)", said)
    return upstream_version(found[1]) if found else ()


def _fetched() -> Path:
    """Unpack the newest emulator of the machine's Debian release, backports included."""
    release = own_release()
    if release is None:
        raise LabError("this machine is no Debian", f"install {_PACKAGE}")
    kept = sorted((cache_directory() / "qemu").glob(f"{release}-*/usr/bin/{_PROGRAM}"))
    if kept:
        return kept[-1].parents[2]
    area = AptArea(release)
    area.ensure_fetched()
    # "1:10.0.2+ds-2": the number before the colon orders packages and is no part of QEMU's version.
    offers = {stanza["Version"]: stanza["Codename"] for stanza in area.stanzas(_PACKAGE)}
    numbers = {version: upstream_version(version.rpartition(":")[2]) for version in offers}
    version = max(numbers, key=lambda one: numbers[one], default="")
    if numbers.get(version, ()) < CXL_QEMU:
        have = ", ".join(sorted(offers)) or "none"
        raise LabError(f"the suites of {release} hold no such {_PACKAGE} ({have})", f"install {_PACKAGE}")

    def build(work: Path) -> None:
        with scratch(work) as directory:
            # What it needs is taken from the same suite where that has it: its own data must fit it.
            archives = area.download_with_dependencies(
                [f"{_PACKAGE}={version}"], Path(directory), suite=offers[version]
            )
            unpack(archives, work / f"{release}-{_plain(version)}")

    return built_once(cache_directory() / "qemu" / f"{release}-{_plain(version)}", build)


def _plain(version: str) -> str:
    return re.sub(r"[^0-9A-Za-z.+~-]", "-", version)


def _with_emulator(tools: Tools, root: Path) -> Tools:
    libraries = [str(root / "usr/lib/x86_64-linux-gnu"), tools.environment.get("LD_LIBRARY_PATH", "")]
    chosen = replace(
        tools,
        programs={**tools.programs, _PROGRAM: root / "usr/bin" / _PROGRAM},
        emulator=root,
        environment={**os.environ, **tools.environment, "LD_LIBRARY_PATH": ":".join(filter(None, libraries))},
    )
    said = chosen.run(_PROGRAM, "--version")
    if said.returncode != 0:
        raise LabError(
            f"{root / 'usr/bin' / _PROGRAM} does not start: {said.stderr.strip()}",
            f"delete {root} and try again",
        )
    return chosen
