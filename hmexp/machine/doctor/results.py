"""Findings about where results go, and about the programs that hmexp works with."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section, Severity
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.store.run import resolve_results
from hmexp.system.sysfs import read_text, split_lines
from hmexp.units import MIB, format_size

_RESULTS: Final = Section(Group.RESULTS)
#: A full sweep with its figures takes about a tenth of this.
_LITTLE_BYTES: Final = 256 * MIB
#: File systems in memory: what is there is gone after a reboot, and takes memory from the nodes.
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
#: A tool, the Debian package that has it, and the signs of what it is for.
_TOOLS: Final = (
    ("ndctl", "ndctl", ("sys/bus/nd/devices/*",)),
    ("daxctl", "daxctl", ("sys/bus/dax/devices/*", "sys/bus/nd/devices/*", "sys/bus/cxl/devices/*")),
    ("cxl", "cxl", ("sys/bus/cxl/devices/*",)),
    ("ipmctl", "ipmctl", ("sys/firmware/acpi/tables/PCAT",)),
)  # fmt: skip
_PARTS: Final = ("papermill", "jupyterlab", "matplotlib")


@check(_RESULTS, "results folder", live=True, on_error=Severity.BLOCK)
def look_at_results(subject: Subject) -> Iterator[Finding]:
    """Whether a run can be stored, and whether it lasts."""
    about = "results folder"
    folder = resolve_results("auto")
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        where = f"{folder} cannot be written" + ("" if there.is_dir() else f": {there} is not a folder")
        yield _RESULTS.block(
            about, where, "hmexp sweep --results FOLDER, or change to a folder that you can write"
        )
        return
    free = shutil.disk_usage(there).free
    seen = f"{folder}, {format_size(free)} free"
    kind = find_file_system(there, read_text(subject.proc / "self/mounts") or "")
    if free < _LITTLE_BYTES:
        yield _RESULTS.block(
            about, f"{seen}: too little for a run", "free some space, or use --results FOLDER"
        )
    elif kind in _IN_MEMORY:
        yield _RESULTS.know(
            about, f"{seen}, but it is in memory ({kind}): a reboot loses it", "hmexp sweep --results FOLDER"
        )
    else:
        yield _RESULTS.fine(about, f"results go to {seen}", [f"file system: {kind or 'unknown'}"])


def find_file_system(folder: Path, mounts: str) -> str | None:
    """The kind of file system that a folder is on, by the text of `/proc/self/mounts`."""
    best: tuple[int, str | None] = (-1, None)
    path = folder.resolve()
    for line in split_lines(mounts):
        words = line.split(" ")
        if len(words) < 3:
            continue
        # The kernel writes spaces, tabs, line ends and backslashes of a path as octal numbers.
        mount = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[1]))
        if path.is_relative_to(mount) and len(mount.parts) >= best[0]:
            best = (len(mount.parts), words[2])
    return best[1]


@check(_RESULTS, "tools", live=True)
def look_at_tools(subject: Subject) -> Iterator[Finding]:
    """The tools that this machine's memory needs, and the parts of Python that notebooks need."""
    found, absent = [], []
    for tool, package, signs in _TOOLS:
        needed = any(next(subject.root.glob(sign), None) is not None for sign in signs)
        if shutil.which(tool) is not None:
            found.append(tool)
        elif needed:
            absent.append((tool, package))
    if absent:
        yield _RESULTS.know(
            "tools",
            f"this machine has persistent or CXL memory, but not {', '.join(tool for tool, _ in absent)}",
            f"sudo apt-get install {' '.join(package for _, package in absent)}",
        )
    missing = [name for name in _PARTS if importlib.util.find_spec(name) is None]
    if missing:
        yield _RESULTS.know(
            "Python packages",
            f"notebooks, campaigns or figures will not work without {', '.join(missing)}",
            "make setup",
        )
    else:
        yield _RESULTS.aside("Python packages", f"{', '.join(_PARTS)} are installed")
    yield _RESULTS.aside("tools", f"tools found: {', '.join(found) or 'none, and none is needed here'}")
    paranoid = read_text(subject.proc / "sys/kernel/perf_event_paranoid")
    if paranoid is not None:
        seen = f"kernel.perf_event_paranoid is {paranoid}; hmexp itself reads no performance counters"
        yield _RESULTS.aside("perf", seen)
