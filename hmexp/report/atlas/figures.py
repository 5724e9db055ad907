"""Bundles side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hmexp.memory.profile import Profile
from hmexp.report.atlas.bundle import Bundle
from hmexp.report.figures import style
from hmexp.report.run.numbers import digits
from hmexp.report.run.results import Results
from hmexp.store.records import RunRecord

_PANELS: Final = (
    ("read_gbps", "Read [GB/s]"), ("write_gbps", "Write [GB/s]"), ("latency_ns", "Latency [ns]"),
)  # fmt: skip


@style.styled()
def side_by_side(bundles: Sequence[Bundle]) -> Figure:
    """Draw the figures of several bundles, DRAM and slow memory apart, with their intervals."""
    nobody = Results(RunRecord(name="", plan=""), ())
    handles: list[Artist] = [Patch(color=_colour(part)) for part in ("dram", "slow")]
    emulated = [bundle.name for bundle in bundles if bundle.content.emulated]
    said = f"EMULATED: {', '.join(emulated)}; " if emulated else ""
    figure = style.framed(
        nobody, "The atlas: captured machines side by side",
        f"{said}lines are 95 % intervals over launches",
        (9.8, 0.42 * 2 * max(1, len(bundles)) + 0.9), key=(handles, ["DRAM", "slow memory"]),
    )  # fmt: skip
    if not bundles:
        style.say_nothing(figure.subplots(), "There is no bundle.")
        return figure
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (name, title) in zip(panels, _PANELS, strict=True):
        axes.set_title(title)
        _draw(axes, [bundle.profile for bundle in bundles], name)
    rows = [0.5 + 3 * number for number in range(len(bundles))]
    labels = [f"{bundle.name}\n{bundle.content.month or ''}" for bundle in bundles]
    panels[0].set_yticks(rows, labels)
    panels[0].invert_yaxis()
    return figure


def _colour(part: str) -> str:
    return style.KIND_COLOURS["dram" if part == "dram" else "nvm"]


def _draw(axes: Axes, profiles: Sequence[Profile], name: str) -> None:
    most = 0.0
    for number, profile in enumerate(profiles):
        for row, part in enumerate(("dram", "slow")):
            value = float(getattr(getattr(profile, part), name))
            low, high = profile.intervals.get(f"{part}.{name}", (value, value))
            y = 3 * number + row
            axes.barh([y], [value], height=0.8, color=_colour(part))
            axes.errorbar(
                [value], [y], xerr=[[value - low], [high - value]], fmt="none", ecolor=style.INK, capsize=3
            )
            axes.annotate(
                digits(value), (high, y), xytext=(6, 0), textcoords="offset points", va="center", size=8
            )
            most = max(most, high)
    axes.set_xlim(0, most * 1.25)
    axes.tick_params(axis="y", length=0)
