"""The samples of a measurement as a small picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from hmexp.markup import ACCENT, Fragment, html_of, number

_WIDTH: Final = 420
_HEIGHT: Final = 58
_EDGE: Final = 34
_TOP: Final = 5
_BOTTOM: Final = 38
#: More dots than this are a blot.
_MOST_DOTS: Final = 300


def draw_samples(
    samples: Sequence[float],
    median: float,
    interval: tuple[float, float],
    unit: str,
    disturbed: Collection[int] = (),
) -> Fragment:
    """Draw samples along an axis of their values, in the order they were taken from top to bottom.

    Parameters
    ----------
    samples : sequence of float
        One value or more; of very many, evenly spaced ones are drawn [unit].
    median : float
        Their median, an upright line [unit].
    interval : tuple of float
        Its interval, a band [unit].
    unit : str
        Of all of them.
    disturbed : collection of int
        Indices of samples that something else disturbed; their dots are hollow.
    """
    low, high = min(*samples, interval[0]), max(*samples, interval[1])
    # Equal samples are drawn as such: noise of a millionth is not stretched over the picture.
    room = max(high - low, 0.002 * abs(median), 1e-12)
    middle = (low + high) / 2

    def across(value: float) -> float:
        return _WIDTH / 2 + (value - middle) / room * (_WIDTH - 2 * _EDGE)

    step = max(1, -(-len(samples) // _MOST_DOTS))
    drawn = range(0, len(samples), step)
    dots = []
    for place, index in enumerate(drawn):
        down = _TOP + 4 + (_BOTTOM - _TOP - 8) * (place + 0.5) / len(drawn)
        fill = "none" if index in disturbed else ACCENT
        dots.append(
            f'<circle cx="{across(samples[index]):.1f}" cy="{down:.1f}" r="2.6" fill="{fill}" '
            f'fill-opacity=".75" stroke="{ACCENT}"/>'
        )
    left, right = (across(value) for value in interval)
    spoken = f"{len(samples)} samples from {number(min(samples))} to {number(max(samples))} {unit}"
    return Fragment(
        f'<svg role="img" aria-label="{html_of(spoken)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'style="width:{_WIDTH}px;max-width:100%;display:block;font:11px sans-serif" fill="currentColor">'
        f'<rect x="{left:.1f}" y="{_TOP}" width="{max(right - left, 1):.1f}" height="{_BOTTOM - _TOP}" '
        f'fill="{ACCENT}" fill-opacity=".25"/>'
        f'<path d="M{across(median):.1f} {_TOP}V{_BOTTOM}" stroke="currentColor" stroke-width="1.5"/>'
        f'<path d="M{_EDGE / 2} {_BOTTOM}H{_WIDTH - _EDGE / 2}" stroke="currentColor" stroke-opacity=".5"/>'
        f"{''.join(dots)}"
        f"{_tick(across(min(samples)), number(min(samples)), 'start')}"
        f"{_tick(across(max(samples)), number(max(samples)), 'end')}{_tick(_WIDTH / 2, unit, 'middle')}"
        "</svg>"
    )


def _tick(x: float, text: str, anchor: str) -> str:
    place = x + {"start": -_EDGE / 2, "end": _EDGE / 2}.get(anchor, 0.0)
    return f'<text x="{place:.1f}" y="{_HEIGHT - 5}" text-anchor="{anchor}">{html_of(text)}</text>'
