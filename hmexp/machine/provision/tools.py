"""The programs that know persistent and CXL memory: how they are run, and which package has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hmexp.errors import HmexpError

#: Program to its package, which has the same name in Debian, Ubuntu and Fedora except where it says so.
PACKAGES: Final[Mapping[str, str]] = {
    "ndctl": "ndctl",
    "daxctl": "daxctl",
    "cxl": "cxl (cxl-cli on Fedora)",
    "ipmctl": "ipmctl",
    "modprobe": "kmod",
}
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECONDS: Final = 900.0


class ProvisionError(HmexpError):
    """Memory could not be made a node, or a node not be taken back."""


@dataclass(frozen=True)
class ToolOutput:
    """What a program said.

    Parameters
    ----------
    status : int
        Its exit status.
    out, err : str
        Standard output, and standard error.
    """

    status: int
    out: str
    err: str = ""


class Toolbox(Protocol):
    """Runs programs."""

    def has(self, program: str) -> bool:
        """Whether it is installed."""

    def run(self, words: Sequence[str]) -> ToolOutput:
        """Run it to its end."""


class InstalledTools:
    """The programs of this machine."""

    def has(self, program: str) -> bool:
        """Whether it is installed."""
        return shutil.which(program, path=_PATH) is not None

    def run(self, words: Sequence[str]) -> ToolOutput:
        """Run it to its end.

        Raises
        ------
        ProvisionError
            If it is not installed, or takes too long.
        """
        environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C"}
        try:
            done = subprocess.run(
                list(words), capture_output=True, env=environment, timeout=_SECONDS, check=False,
                stdin=subprocess.DEVNULL, close_fds=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            package = PACKAGES.get(words[0], words[0])
            raise ProvisionError(
                f"the program {words[0]} is missing", f"install its package: {package}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ProvisionError(
                f"`{' '.join(words)}` has not ended within {_SECONDS:g} s and was stopped",
                "see dmesg for why",
            ) from error
        return ToolOutput(
            done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
