"""The machine that is looked at: this one, or a tree of files that describes another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hmexp.system.limits import Limits, read_limits
from hmexp.system.sysfs import read_text
from hmexp.system.topology import Topology, read_topology

#: The folder of the checkout, where there is one: with the sources of the module beside the package.
CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Subject:
    """A machine, by the root of its files.

    Parameters
    ----------
    root : Path
        Where `/sys`, `/proc`, `/boot`, `/lib` and `/dev` are. Of another root than ``/`` only what the
        files say is looked at; nothing is tried.
    checkout : Path
        Where the sources of the kernel module are, in `kernel_module`.
    """

    root: Path = Path("/")
    checkout: Path = CHECKOUT

    @property
    def live(self) -> bool:
        """Whether it is this machine."""
        return self.root == Path("/")

    @property
    def sys(self) -> Path:
        """Where `/sys` is."""
        return self.root / "sys"

    @property
    def proc(self) -> Path:
        """Where `/proc` is."""
        return self.root / "proc"

    @cached_property
    def release(self) -> str | None:
        """The kernel's release."""
        return read_text(self.proc / "sys/kernel/osrelease") or (os.uname().release if self.live else None)

    @cached_property
    def limits(self) -> Limits:
        """What control groups and cpusets leave to this process."""
        return read_limits(self.sys, self.proc)

    @cached_property
    def topology(self) -> Topology:
        """The nodes.

        Raises
        ------
        HmexpError
            If they cannot be read.
        """
        return read_topology(self.sys, self.proc)
