"""Errors as a person reads them: what was wrong, where, and what to do about it."""

from __future__ import annotations


class HmexpError(Exception):
    """Base of every error that hmexp raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong, with the offending value and where it was found.
    remedy : str, optional
        What the reader can do about it. Shown on a line of its own.
    """

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message if self.remedy is None else f"{self.message}\n  -> {self.remedy}"

    def _render_traceback_(self) -> list[str]:
        # IPython shows these lines instead of a traceback: the reader of a notebook made a
        # mistake in a parameter, not in our code.
        return [f"{type(self).__name__}: {self}"]


class ParameterError(HmexpError, ValueError):
    """A parameter has a value that cannot be used."""


class PatternError(ParameterError):
    """A pattern or a ratio that cannot be understood, or names a node that cannot be used."""


class UnitError(ParameterError):
    """A size or a number with a unit that cannot be understood."""


class TopologyError(HmexpError):
    """The machine's NUMA nodes could not be read, or a node that was asked for is not there."""


class LibnumaError(HmexpError):
    """libnuma, or its Python binding, is missing or does not work here."""


class ParseError(HmexpError):
    """A file of the kernel (under /proc or /sys) does not look as it is documented to."""


class CapacityError(HmexpError):
    """A node does not have the memory that a region asks of it."""


class NativeError(HmexpError, OSError):
    """A system call made by the C core failed."""

    def __init__(self, message: str, remedy: str | None = None, errno: int | None = None) -> None:
        HmexpError.__init__(self, message, remedy)
        self.errno = errno


class PlacementError(HmexpError):
    """Pages are not where the pattern says they must be.

    Attributes
    ----------
    placement : PlacementRecord or None
        The placement that was found, as it is stored.
    stage : str or None
        ``before`` or ``after`` the samples.
    """

    def __init__(self, message: str, remedy: str | None = None, placement: object | None = None) -> None:
        super().__init__(message, remedy)
        self.placement = placement
        self.stage: str | None = None


class PlacerUnavailableError(HmexpError):
    """A placer cannot work on this machine; the message says exactly why."""


class PlacerUnsuitableError(ParameterError):
    """A placer works on this machine, but cannot do what is asked of it; another can."""


class MappingLimitError(PlacerUnsuitableError, CapacityError):
    """A placer would need more mappings than the kernel allows a process."""


class SettingsError(HmexpError):
    """A setting of the machine could not be changed, or not be put back."""


class EmulationError(HmexpError):
    """An emulated node was asked for that cannot be modelled on this host."""


class MeasurementError(HmexpError):
    """A measurement was made but must not be trusted (a broken ring, an empty sample)."""


class StoreError(HmexpError):
    """A run directory could not be read or written."""


class SweepError(HmexpError):
    """A sweep ended, but not every point of it was measured."""


class ProgramError(HmexpError):
    """A process of somebody's program has ended, or may not be looked at or moved; the message says why."""


class StartError(ProgramError):
    """A program was not started: it cannot be run, or not in the way that was asked for.

    Attributes
    ----------
    status : int
        Exit status of `hmexp run`, as of env(1): 125; 126 for what cannot be executed, 127 for what was not
        found.
    """

    def __init__(self, message: str, remedy: str | None = None, status: int = 125) -> None:
        super().__init__(message, remedy)
        self.status = status
