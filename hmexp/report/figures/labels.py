"""Labels within a panel, each where it covers nothing: no point, no curve, no other label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from matplotlib.axes import Axes

#: Of letters of 8 points, a little more than they take [inches].
_LETTER_INCHES: Final = 0.066
_LINE_INCHES: Final = 0.135
_AROUND_INCHES: Final = 0.05


@dataclass(frozen=True)
class Place:
    """A place for a label: a point of the panel, and on which side of it the text stands."""

    x: float
    y: float
    ha: str
    va: str


@dataclass(frozen=True)
class PanelLabel:
    """A label, and the places that it may have, the best first."""

    text: str
    places: tuple[Place, ...]
    look: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def covers(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.bottom <= y <= self.top

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right
            and self.bottom < other.top and other.bottom < self.top
        )  # fmt: skip

    def within(self, width: float, height: float) -> bool:
        return self.left >= 0 and self.bottom >= 0 and self.right <= width and self.top <= height


def place_labels(
    axes: Axes,
    labels: Sequence[PanelLabel],
    drawn: Sequence[tuple[float, float]],
    size_inches: tuple[float, float],
) -> None:
    """Write labels where they cover nothing, or as little as there is.

    Parameters
    ----------
    axes : Axes
        The panel; its limits are set.
    labels : sequence of PanelLabel
        The most important ones first.
    drawn : sequence of tuple
        Points of everything that must not be covered, in data coordinates.
    size_inches : tuple of float
        About how large the panel is [inches].
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width, height = size_inches

    def inches(x: float, y: float) -> tuple[float, float]:
        return (x - left) / (right - left) * width, (y - bottom) / (top - bottom) * height

    spots = [inches(x, y) for x, y in drawn]
    taken: list[_Box] = []
    for label in labels:
        boxes = [_box(label.text, *inches(place.x, place.y), place) for place in label.places]
        costs = [
            sum(box.covers(*spot) for spot in spots)
            + 1000 * sum(box.meets(other) for other in taken)
            + (0 if box.within(width, height) else 1000)
            for box in boxes
        ]
        best = min(range(len(boxes)), key=costs.__getitem__)
        taken.append(boxes[best])
        place = label.places[best]
        shift = {"left": 3, "right": -3, "center": 0}[place.ha], {"bottom": 3, "top": -3}[place.va]
        axes.annotate(
            label.text, (place.x, place.y), xytext=shift, textcoords="offset points", ha=place.ha,
            va=place.va, **({"size": 8} | label.look),
        )  # fmt: skip


def _box(text: str, x: float, y: float, place: Place) -> _Box:
    lines = text.splitlines()
    wide = max(map(len, lines)) * _LETTER_INCHES
    high = len(lines) * _LINE_INCHES + _AROUND_INCHES
    left = {"left": x, "right": x - wide, "center": x - wide / 2}[place.ha]
    bottom = {"bottom": y, "top": y - high}[place.va]
    return _Box(left, bottom, left + wide, bottom + high)
