"""One thing that was looked at, how it stands, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a finding means for the numbers that would be measured here now."""

    FINE = "fine"
    KNOW = "worth knowing"
    BLOCK = "in the way"


class Group(StrEnum):
    """What a finding is about; the order is that of the screen."""

    KERNEL = "machine and kernel"
    MEMORY = "memory and nodes"
    LIMITS = "limits of this process"
    PLACERS = "placers and module"
    CPUS = "CPUs, clock and noise"
    RESULTS = "results and tools"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what was seen.

    Parameters
    ----------
    group : Group
        Where it belongs.
    about : str
        What was looked at, in a word or two.
    severity : Severity
        How it stands.
    seen : str
        What was seen, as a sentence without its full stop.
    remedy : str or None
        The command, or the words, that mend it.
    details : tuple of str
        What only a closer look needs.
    minor : bool
        Shown with -v alone.
    """

    group: Group
    about: str
    severity: Severity
    seen: str
    remedy: str | None = None
    details: tuple[str, ...] = ()
    minor: bool = False


@dataclass(frozen=True)
class Section:
    """Makes the findings of one group."""

    group: Group

    def fine(self, about: str, seen: str, details: Iterable[str] = ()) -> Finding:
        """All is as it should be."""
        return Finding(self.group, about, Severity.FINE, seen, None, tuple(details))

    def aside(self, about: str, seen: str, details: Iterable[str] = ()) -> Finding:
        """All is as it should be, and only -v shows it."""
        return Finding(self.group, about, Severity.FINE, seen, None, tuple(details), minor=True)

    def know(self, about: str, seen: str, remedy: str | None = None, details: Iterable[str] = ()) -> Finding:
        """Nothing is wrong with the numbers, but a reader should know."""
        return Finding(self.group, about, Severity.KNOW, seen, remedy, tuple(details))

    def block(self, about: str, seen: str, remedy: str | None = None, details: Iterable[str] = ()) -> Finding:
        """Numbers measured here now cannot be trusted, or there would be none."""
        return Finding(self.group, about, Severity.BLOCK, seen, remedy, tuple(details))


@dataclass(frozen=True)
class Diagnosis:
    """All findings.

    Parameters
    ----------
    findings : tuple of Finding
        In the order of the groups.
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether numbers measured here now can be trusted: nothing is in the way."""
        return not self.of(Severity.BLOCK)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity is severity)

    def to_record(self) -> dict[str, object]:
        """The diagnosis as ``--json`` prints it."""
        counts = {str(severity): len(self.of(severity)) for severity in Severity}
        return {"ok": self.ok, "counts": counts, "findings": self.findings}
