"""Errors of the lab. Each carries the guest's console where there is one to show."""

from __future__ import annotations

from hmexp.errors import HmexpError, ParameterError


class LabError(HmexpError):
    """The lab could not do what was asked.

    Parameters
    ----------
    message : str
        What was wrong.
    remedy : str, optional
        What the reader can do about it.
    console : str, optional
        What the guest wrote on its console, if it came so far.
    """

    def __init__(self, message: str, remedy: str | None = None, console: str = "") -> None:
        super().__init__(message, remedy)
        self.console = console


class LabNeedError(LabError):
    """A program or a file of the host is missing, and could not be fetched."""


class LabTimeoutError(LabError):
    """The guest did not finish in time. It was ended."""


class LabCrashError(LabError):
    """The guest ended without reporting an exit status: a panic, an oops or a failed boot."""


class LabTopologyError(LabError, ParameterError):
    """A topology file that cannot be used; the message names the file and the field."""


class LabKernelError(LabError, ParameterError):
    """No kernel fits the request, or the kernel cannot be used."""
