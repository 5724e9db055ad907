"""A measurement as it shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from hmexp.markup import Fragment, badge, bold, card, element, join, muted, number, table
from hmexp.measure.samples_svg import draw_samples
from hmexp.measure.statistics import Summary, say_interval
from hmexp.store.details import Details

#: Of the details, what distinguishes one measurement from another at a glance, and how it is said.
_SHOWN: Final = {
    "threads": "{} threads",
    "vector_bits": "vectors of {} bits",
    "access": "{}",
    "lines": "{} lines",
}

_LINE: Final = "margin:.3em 0"


def draw_measurement(
    operation: str,
    unit: str,
    samples: Sequence[float],
    summary: Summary,
    *,
    profile: str | None,
    warnings: Iterable[str],
    disturbed: Collection[int],
    details: Details,
    proof: str,
) -> Fragment:
    """Draw one measured quantity: the number and its interval, its samples, and what to know of it.

    Parameters
    ----------
    operation, unit : str
        What was measured, and in what.
    samples : sequence of float
        Every sample [unit].
    summary : Summary
        Of the samples [unit].
    profile : str or None
        Emulation profile; None on real nodes.
    warnings : iterable of str
        What a reader should know before trusting the number.
    disturbed : collection of int
        Indices of disturbed samples.
    details : Details
        Threads and so on.
    proof : str
        Where the pages were, after the samples.
    """
    s = summary
    median = element("span", f"{number(s.median)} {unit}", style="font-size:1.45em;font-weight:bold")
    spread = "no interval, " if s.interval is None else f"95 % interval over {s.interval_over} "
    spread += "" if s.interval is None else f"{say_interval(s, number)}, "
    spread += f"median of {s.n} samples"
    head = [f"{operation} ", median, f" {spread} "]
    if profile is not None:
        head.append(badge(f"EMULATED {profile}", "caution"))
    given = {name: getattr(details, name, None) for name in _SHOWN}
    messages = [how.format(given[name]) for name, how in _SHOWN.items() if _is_plain(given[name])]
    messages = [text.removesuffix("s") if text == "1 threads" else text for text in messages]
    hollow = " Hollow: disturbed." if disturbed else ""
    key = f"Dots: samples, the first on top. Band: interval. Line: median.{hollow}"
    return card(
        element("div", *head),
        draw_samples(samples, s.median, s.interval or (s.median, s.median), unit, disturbed),
        *(element("div", badge("warning", "caution"), " ", warning, style=_LINE) for warning in warnings),
        muted(join([*messages, key], " · ")),
        muted("Proof: ", proof),
    )


def draw_beside(measured: str, rows: Sequence[tuple[str, str, str]]) -> Fragment:
    """Draw a measurement, and below it what it is held against: name, value and interval, relation.

    Parameters
    ----------
    measured : str
        HTML of the measurement.
    rows : sequence of tuple of str
        One for each thing beside it.
    """
    if not rows:
        return Fragment(measured)
    cells = [[bold(name), value, relation] for name, value, relation in rows]
    return card(Fragment(measured), table(["beside it", "", "the measurement is"], cells, left=(0, 1, 2)))


def _is_plain(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
