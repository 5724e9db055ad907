"""How every figure looks: colours, fonts, the header with its labels, and the axis of DRAM share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hmexp.report.figures.frame import LINE_INCHES, Frame, label_inches
from hmexp.report.figures.frame import Key as KeyOfFrame
from hmexp.report.run.point import Estimate, Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_series
from hmexp.store.validity import FUNCTIONAL_ONLY

INK: Final = "#1c2127"
MUTED: Final = "#646c75"
FAINT: Final = "#c9ced4"
PAPER: Final = "#ffffff"
# Okabe and Ito's palette: distinguishable with any colour vision, and in print.
KIND_COLOURS: Final = {"dram": "#0072b2", "nvm": "#d55e00", "cxl": "#009e73", "unknown": "#8a6d9e"}
BAD: Final = "#b3122a"
# Series: none of the colours of the kinds, ordered dark to light so that they differ in grey as well.
SERIES_COLOURS: Final = (
    "#332288", "#aa4499", "#44aa99", "#999933", "#882255", "#88ccee", "#ddaa33", "#777777",
)  # fmt: skip
SERIES_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
SERIES_LINES: Final[tuple[Any, ...]] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
#: What the colours above are on a dark page: as far from its paper as they are from white, of the same hue.
DARK: Final = {
    "1c2127": "#e6e9ed", "646c75": "#a3acb6", "c9ced4": "#4a525c", "ffffff": "#1c2026", "e6e9ec": "#2f363e",
    "0072b2": "#5cb3ec", "d55e00": "#ff9a4d", "009e73": "#3fd0a4", "8a6d9e": "#bfa1d6", "b3122a": "#ff9a9f",
    "332288": "#a8a0ff", "aa4499": "#e58ad7", "44aa99": "#5fcfbc", "999933": "#c9c94e", "882255": "#e07aa8",
    "ddaa33": "#edc35c", "777777": "#a0a0a0", "fdecea": "#3b1a1e", "fff4d6": "#362b10", "7a5200": "#f0c766",
}  # fmt: skip
_LABEL_COLOURS: Final = {True: ("#fdecea", BAD), False: ("#fff4d6", "#7a5200")}

_RC: Final[dict[str, Any]] = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same layout on every machine
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a $ in a reason or a name is a $
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "grid.color": "#e6e9ec",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "figure.dpi": 100,
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
}
#: Handles and labels of a key.
Key = KeyOfFrame
NO_KEY: Final[Key] = ([], [])
_TICK_INCHES: Final = 0.25
#: What a landscape page of A4 or Letter holds, so that text is printed in its own size: width and height.
PAGE_INCHES: Final = 10.0
_PAGE_HEIGHT_INCHES: Final = 6.4
#: The same of a page that stands.
_PORTRAIT_INCHES: Final = (7.2, 9.3)
#: How much lower plots may become to fit there.
_LOWEST: Final = 0.6
_LEAST_PANEL_INCHES: Final = 2.4


def dark_properties() -> str:
    """The colours of figures on a dark page, as properties of CSS."""
    return " ".join(f"--c{name}: {colour};" for name, colour in DARK.items())


@contextmanager
def styled(**more: Any) -> Iterator[None]:
    """Apply the style, whatever the caller's own settings are, and leave those as they were."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for name, value in (_RC | more).items():
            mpl.rcParams[name] = value  # type: ignore[index]  # typed as a union of 300 literals
        yield


def framed(
    results: Results,
    title: str,
    subtitle: str,
    size_inches: tuple[float, float],
    *,
    key: Key = NO_KEY,
    left_out: Iterable[Point] = (),
) -> Figure:
    """Make a figure with its title, the labels this run must carry, and the points it does not draw.

    Parameters
    ----------
    results : Results
        The run; says whether it is emulated or functional only.
    title, subtitle : str
        Two lines at the top.
    size_inches : tuple of float
        Width, and the height of the plots alone [inches].
    key : tuple of list
        Handles and labels of one key for all panels.
    left_out : iterable of Point
        Points that are not drawn; they are listed at the bottom with their reasons.
    """
    width, plots = size_inches
    left_out = list(left_out)
    frame = Frame.of(width, results, subtitle, key, left_out)
    lowest = frame.inches + _LOWEST * plots
    if lowest > _PAGE_HEIGHT_INCHES and width <= PAGE_INCHES:
        # Too high for a page on its side: as wide as one that stands, so that it is not printed smaller.
        width, room = min(width, _PORTRAIT_INCHES[0]), _PORTRAIT_INCHES[1]
        frame = Frame.of(width, results, subtitle, key, left_out)
        plots = min(plots, max(room - frame.inches, _LOWEST * plots))
    else:
        plots = min(plots, max(_PAGE_HEIGHT_INCHES - frame.inches, _LOWEST * plots))
    header, footer, subtitles, labels = frame.header, frame.footer, frame.subtitles, frame.labels
    height = header + plots + footer
    area = (0.0, footer / height, 1.0, plots / height)
    engine = ConstrainedLayoutEngine(rect=area, h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(width, height), layout=engine)
    left, y = 0.12 / width, height - 0.1
    figure.text(left, y / height, title, size=12, weight="bold", va="top", color=INK)
    y -= 0.27
    for line in subtitles:
        figure.text(left, y / height, line, size=8.5, va="top", color=MUTED)
        y -= LINE_INCHES
    y -= 0.08
    y = _write_labels(figure, results.labels, labels, y)
    if key[0]:
        figure.legend(
            *key, loc="upper left", bbox_to_anchor=(left, (y + 0.05) / height), ncols=frame.columns,
            handlelength=1.6, columnspacing=1.5, borderpad=0, borderaxespad=0, labelspacing=0.35,
        )  # fmt: skip
    for number, line in enumerate(frame.notes):
        where = (footer - 0.04 - LINE_INCHES * number) / height
        figure.text(left, where, line, size=8, va="top", color=BAD)
    return figure


def _write_labels(
    figure: Figure, labels: Sequence[str], wrapped: Sequence[Sequence[str]], y_inches: float
) -> float:
    """Write labels in boxes, one below the other, and return where they end [inches]."""
    width, height = figure.get_figwidth(), figure.get_figheight()
    for label, lines in zip(labels, wrapped, strict=True):
        face, ink = _LABEL_COLOURS[label == FUNCTIONAL_ONLY]
        box = {"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": ink, "linewidth": 0.8}
        figure.text(
            0.18 / width, y_inches / height, "\n".join(lines), size=8.5, weight="bold", va="top", color=ink,
            bbox=box,
        )  # fmt: skip
        y_inches -= label_inches(lines)
    return y_inches


def panels_width(inches: float, panels: int) -> float:
    """Width of a row of panels: at most a landscape page, unless they are too many for it [inches]."""
    return max(6.8, min(inches * panels, max(PAGE_INCHES, _LEAST_PANEL_INCHES * panels)))


def common_parameters(results: Results, points: Sequence[Point]) -> str:
    """Write the parameters that all of the points share."""
    if not points:
        return ""
    same = {name for name, _ in points[0].series} - set(results.varying(points))
    if ("cpu_node", "near") in points[0].series:
        same.discard("cpu_node")  # as everybody expects
    return say_series(points[0].series, same)


def lighter(colour: str, amount: float) -> str:
    """Mix a colour with white: 0 leaves it as it is, 1 is white."""
    red, green, blue = to_rgb(colour)
    return to_hex((red + (1 - red) * amount, green + (1 - green) * amount, blue + (1 - blue) * amount))


def say_nothing(axes: Axes, message: str) -> None:
    """Leave a panel empty, and say why."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", color=MUTED, transform=axes.transAxes)


def share_axis(axes: Axes, points: Sequence[Point], slow_name: str, *, labelled: bool = True) -> None:
    """Make x the DRAM share in percent, with a tick and the ratio at each measured share."""
    ratios: dict[float, str] = {0.0: "0:1", 100.0: "1:0"}
    for point in points:
        ratios.setdefault(round(point.share * 100, 1), point.ratio or "?")
    chosen = _apart(sorted(ratios), smallest_gap=_tick_gap(axes))
    axes.set_xlim(-6, 106)
    axes.set_xticks(chosen, [f"{ratios[x]}\n{x:.0f} %" for x in chosen])
    axes.set_xticks(sorted(ratios), minor=True)
    axes.grid(visible=True, which="major", axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", which="minor", length=2)
    if labelled:
        axes.set_xlabel(f"DRAM:{slow_name} pages, DRAM share")


def _tick_gap(axes: Axes) -> float:
    """How far apart two ticks must be so that their labels do not meet [percent of DRAM share]."""
    figure, place = axes.get_figure(), axes.get_subplotspec()
    columns = 1 if place is None else place.get_gridspec().ncols
    width = 6.8 if not isinstance(figure, Figure) else figure.get_figwidth()
    return max(7.5, _TICK_INCHES / max(0.8, width / columns - 0.7) * 112)


def _apart(ordered: Sequence[float], smallest_gap: float) -> list[float]:
    # Both ends first: they are what everything is compared with.
    if not ordered:
        return []
    chosen = [ordered[0]]
    for x in ordered[1:-1]:
        if x - chosen[-1] >= smallest_gap and ordered[-1] - x >= smallest_gap:
            chosen.append(x)
    return chosen if len(ordered) == 1 else [*chosen, ordered[-1]]


def mark_knee(
    axes: Axes, at: tuple[float, float], interval_gbps: tuple[float, float] | None, colour: str, size: float
) -> None:
    """Draw a ring at a knee (load and latency) [GB/s, ns], and a line over the interval of its load."""
    if interval_gbps is not None:
        axes.hlines(at[1], *interval_gbps, color=colour, linewidth=1.4, zorder=3)
    axes.plot(
        [at[0]], [at[1]], marker="o", color="none", markersize=size, markeredgecolor=colour,
        markeredgewidth=1.2, zorder=3,
    )  # fmt: skip


def draw_estimate(axes: Axes, x: float, estimate: Estimate, colour: str, marker: str) -> None:
    """Draw a median and its interval."""
    middle = estimate.median
    low, high = estimate.shown
    below, above = max(0.0, middle - low), max(0.0, high - middle)
    axes.errorbar(
        [x], [middle], yerr=[[below], [above]], fmt="none", ecolor=colour, elinewidth=1.2, capsize=3.2,
        capthick=1.2, zorder=3.5,
    )  # fmt: skip
    axes.plot(
        [x], [middle], marker, color=colour, markersize=5, markeredgecolor=PAPER, markeredgewidth=0.7,
        zorder=4,
    )  # fmt: skip
