"""The findings as a terminal shows them: one screen, or with -v every finding."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hmexp.machine.doctor.finding import Diagnosis, Finding, Group, Severity

if TYPE_CHECKING:
    from hmexp.machine.doctor.noise import MachineNoise

_LABEL: Final = max(len(severity) for severity in Severity) + 4
_COLOURS: Final = {Severity.FINE: "32", Severity.KNOW: "33", Severity.BLOCK: "1;31"}
_BOLD: Final = "1"
_LEAST_INDENT: Final = 4
_WORDS: Final = {Severity.FINE: "quiet", Severity.KNOW: "disturbed", Severity.BLOCK: "not fit"}
#: More CPUs than this do not fit on a screen.
_MOST_ROWS: Final = 16
_HEAD: Final = "  CPU     lost  longest  foreign  stolen  preempt/s    irq/s  spoiled  is"


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
        remedies: set[str | None] = set()
        for finding in _join(_worst_first(one for one in findings if not one.minor)):
            yield from self._item(finding.severity, finding.seen)
            repeated = finding.remedy is not None and finding.remedy in remedies
            yield from self._remedy(replace(finding, remedy="as above") if repeated else finding)
            remedies.add(finding.remedy)

    def noise(self, noise: MachineNoise) -> Iterator[str]:
        """The table of the CPUs, the worst first; with -v all of them, and how long their gaps were."""
        count = "1 CPU" if len(noise.cpus) == 1 else f"{len(noise.cpus)} CPUs"
        yield self._paint(f"Noise, {noise.seconds:.1f} s on {count} at once", _BOLD)
        yield _HEAD
        ranked = sorted(noise.cpus, key=lambda one: (-one.lost, one.cpu))
        shown = ranked if self.verbose else ranked[:_MOST_ROWS]
        for one in shown:
            interrupts = "?" if one.interrupts_per_second is None else f"{one.interrupts_per_second:,.0f}"
            figures = (
                f"  {one.cpu:<5}{one.lost:>7.2%}{_span(one.longest_ns):>9}{one.foreign:>9.1%}"
                f"{one.stolen:>8.1%}{one.preempted_per_second:>11,.0f}{interrupts:>9}{one.spoiled:>9.0%}  "
            )
            yield figures + self._paint(str(_WORDS[one.severity]), _COLOURS[one.severity])
            if self.verbose:
                yield from self._fill("       ", describe_gaps(one.gaps.buckets))
        if len(shown) < len(ranked):
            yield f"  and {len(ranked) - len(shown)} more, all quieter than these (-v shows them)"

    def remarks(self, findings: Sequence[Finding]) -> Iterator[str]:
        """Findings without the heading of a group, each on a line of its own."""
        for finding in findings:
            if not finding.minor or self.verbose:
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
        if finding.remedy is None:
            return
        # A command that is broken over two lines cannot be copied: rather move it to the left.
        room = self.width - len("-> ") - len(finding.remedy)
        indent = room if _LEAST_INDENT <= room < _LABEL else _LABEL
        yield from self._fill(" " * indent + "-> ", finding.remedy)

    def _fill(self, prefix: str, text: str) -> Iterator[str]:
        lines = list(self._lines(text, " " * len(prefix), None))
        yield prefix + lines[0][len(prefix) :] if lines else prefix.rstrip()
        yield from lines[1:]

    def _lines(self, text: str, indent: str, code: str | None) -> Iterator[str]:
        width = max(self.width, len(indent) + 30)
        # Files of a damaged machine may hold anything: nothing of it may steer the terminal.
        text = "".join(each if each.isprintable() else " " if each.isspace() else "?" for each in text)
        for line in textwrap.wrap(
            text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False,
        ):  # fmt: skip
            yield self._paint(line, code) if code else line

    def _paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text


def describe_gaps(buckets: Sequence[int]) -> str:
    """How many gaps there were of each length, as words."""
    words = [f"up to {_length(1 << power)}: {count:,}" for power, count in enumerate(buckets[:-1]) if count]
    if buckets and buckets[-1]:
        words.append(f"longer: {buckets[-1]:,}")
    return f"gaps {', '.join(words)}" if words else "no gaps"


def _span(ns: int) -> str:
    """A span of time with the unit that keeps it short."""
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= factor:
            return f"{ns / factor:.3g} {unit}"
    return f"{ns} ns"


def _length(us: int) -> str:
    if us < 1000:
        return f"{us} us"
    return f"{us >> 10} ms" if us < 1 << 20 else f"{us >> 20} s"


def _join(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings that one remedy mends are one: a container's filter may refuse many system calls."""
    joined: dict[object, Finding] = {}
    for number, one in enumerate(findings):
        key = number if one.remedy is None else (one.severity, one.remedy)
        before = joined.get(key)
        if before is None:
            joined[key] = one
        elif one.seen not in before.seen:
            joined[key] = replace(before, seen=f"{before.seen}; {one.seen}")
    yield from joined.values()


def _worst_first(shown: Iterable[Finding]) -> Iterator[Finding]:
    findings = tuple(shown)
    for severity in (Severity.BLOCK, Severity.KNOW):
        yield from (one for one in findings if one.severity is severity)
