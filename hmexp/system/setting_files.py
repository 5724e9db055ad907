"""The files of a machine's settings, and their values."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hmexp.store.parts import SettingRecord
from hmexp.system.journal import JournalDirectory
from hmexp.system.sysfs import read_text

DIRECTORY: Final = Path("/run/hmexp")


@dataclass(frozen=True)
class Setting:
    """A setting as it was, and as it is used.

    Parameters
    ----------
    before, used : str or None
        Its values; None where there is no such setting.
    note : str or None
        Why it is not what was wanted.
    """

    before: str | None
    used: str | None
    note: str | None = None

    def to_record(self) -> SettingRecord:
        """The setting as it is stored."""
        return SettingRecord(before=self.before, used=self.used, note=self.note)


@dataclass(frozen=True)
class Machine:
    """The files of a machine's settings.

    Parameters
    ----------
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are.
    directory : Path
        Where the journals are.
    """

    sys_root: Path = Path("/sys")
    proc_root: Path = Path("/proc")
    directory: Path = field(default=DIRECTORY)

    @property
    def numa_balancing(self) -> Path:
        """Whether the kernel moves pages to the CPU that uses them."""
        return self.proc_root / "sys/kernel/numa_balancing"

    @property
    def demotion(self) -> Path:
        """Whether reclaim moves cold pages to slower nodes."""
        return self.sys_root / "kernel/mm/numa/demotion_enabled"

    @property
    def weights_directory(self) -> Path:
        """The weights of weighted interleave, a file for each node."""
        return self.sys_root / "kernel/mm/mempolicy/weighted_interleave"

    @property
    def journals(self) -> JournalDirectory:
        """The journals."""
        return JournalDirectory(self.directory)

    def weight_files(self) -> tuple[dict[int, Path], list[Path]]:
        """The weights' files by node, and the others there: the automatic mode, by whatever name."""
        nodes: dict[int, Path] = {}
        modes: list[Path] = []
        try:
            entries = sorted(self.weights_directory.iterdir())
        except OSError:
            return {}, []
        for path in entries:
            match = re.fullmatch(r"node(\d+)", path.name, re.ASCII)
            if match is not None:
                nodes[int(match[1])] = path
            elif read_text(path) in ("true", "false"):
                modes.append(path)
        return nodes, modes

    def one_way_mode(self) -> tuple[str, str] | None:
        """Why the automatic mode of weights, once left, cannot be restored, and the remedy; or None.

        Linux enters it only where it knows the nodes' bandwidths, but it starts in it without them
        (mm/mempolicy.c of 7.3). To ask is to write it as it is, which changes nothing.
        """
        for path in self.weight_files()[1]:
            problem = write_text(path, "true") if read_text(path) == "true" else None
            if problem is not None:
                return (
                    f"{path} is true and could not be restored afterwards: {problem}",
                    f"if this mode is not needed, run as root: echo false > {path}",
                )
        return None

    def knows(self, path: str) -> bool:
        """Whether this is one of the files that are ever written."""
        one = Path(path)
        return one in (self.numa_balancing, self.demotion) or one.parent == self.weights_directory


#: The machine that this process runs on.
HERE: Final = Machine()


def write_text(path: Path, text: str) -> str | None:
    """Write a file of the kernel; returns why it was refused, or None."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, f"{text}\n".encode())  # as echo does
        finally:
            os.close(fd)
    except OSError as error:
        return error.strerror or str(error)
    return None
