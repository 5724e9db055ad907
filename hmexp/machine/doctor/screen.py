"""The findings as a terminal shows them: one screen, or with -v every finding."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.machine.doctor.finding import Diagnosis, Finding, Group, Severity

_LABEL: Final = max(len(severity) for severity in Severity) + 4
_COLOURS: Final = {Severity.FINE: "32", Severity.KNOW: "33", Severity.BLOCK: "1;31"}
_BOLD: Final = "1"


@dataclass(frozen=True)
class Screen:
    """How findings are shown.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    colour : bool
        Mark severities by colour too.
    verbose : bool
        Show every finding on a line of its own, with its details.
    """

    width: int = 100
    colour: bool = False
    verbose: bool = False

    def group(self, group: Group, findings: Sequence[Finding]) -> Iterator[str]:
        """The lines of one group."""
        title = f"{group[0].upper()}{group[1:]}"
        yield self._paint(title, _BOLD)
        if self.verbose:
            for finding in findings:
                yield from self._item(finding.severity, finding.seen)
                yield from self._remedy(finding)
                for detail in finding.details:
                    yield from self._fill(" " * _LABEL + "  ", detail)
            return
        fine = [one for one in findings if one.severity is Severity.FINE and not one.minor]
        if fine or not findings:
            yield from self._item(Severity.FINE, "; ".join(one.seen for one in fine))
        elif all(one.severity is Severity.FINE for one in findings):
            yield from self._item(Severity.FINE, "nothing stands out")
        for finding in _worst_first(one for one in findings if not one.minor):
            yield from self._item(finding.severity, finding.seen)
            yield from self._remedy(finding)

    def verdict(self, diagnosis: Diagnosis) -> Iterator[str]:
        """The last lines: whether to trust a sweep here now."""
        known = len(diagnosis.of(Severity.KNOW))
        rest = (
            f"{known} {'thing is' if known == 1 else 'things are'} worth knowing" if known else "all is fine"
        )
        blocks = diagnosis.of(Severity.BLOCK)
        if not blocks:
            text = f"Numbers measured here now can be trusted; {rest}."
            yield from self._lines(text, "", _COLOURS[Severity.FINE])
            return
        names = ", ".join(dict.fromkeys(finding.about for finding in blocks))
        text = f"Do not trust numbers measured here now. In the way: {names}."
        yield from self._lines(text, "", _COLOURS[Severity.BLOCK])

    def _item(self, severity: Severity, text: str) -> Iterator[str]:
        label = f"  {severity}"
        lines = list(self._lines(text, " " * _LABEL, None)) or [" " * _LABEL]
        rest = " " * (_LABEL - len(label)) + lines[0][_LABEL:]
        yield self._paint(label, _COLOURS[severity]) + rest
        yield from lines[1:]

    def _remedy(self, finding: Finding) -> Iterator[str]:
        if finding.remedy is not None:
            yield from self._fill(" " * _LABEL + "-> ", finding.remedy)

    def _fill(self, prefix: str, text: str) -> Iterator[str]:
        lines = list(self._lines(text, " " * len(prefix), None))
        yield prefix + lines[0][len(prefix) :] if lines else prefix.rstrip()
        yield from lines[1:]

    def _lines(self, text: str, indent: str, code: str | None) -> Iterator[str]:
        width = max(self.width, len(indent) + 30)
        for line in textwrap.wrap(
            text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False,
        ):  # fmt: skip
            yield self._paint(line, code) if code else line

    def _paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text


def _worst_first(shown: Iterable[Finding]) -> Iterator[Finding]:
    findings = tuple(shown)
    for severity in (Severity.BLOCK, Severity.KNOW):
        yield from (one for one in findings if one.severity is severity)
