"""The figures of a run, and how they become files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hmexp.report.figures import style
from hmexp.report.figures.capability import capabilities, node_capability
from hmexp.report.figures.curves import (
    bandwidth_against_ratio,
    bandwidth_operations,
    latency_against_ratio,
    latency_operations,
)
from hmexp.report.figures.deviation import model_error
from hmexp.report.figures.distributions import latency_distribution
from hmexp.report.figures.heat_map import ratio_by_mix, shares_of_dram
from hmexp.report.figures.loaded_latency import loaded_latency, loaded_operations
from hmexp.report.figures.scale import group_thousands
from hmexp.report.figures.strips import placement_strips, strips_of
from hmexp.report.figures.tails import latency_tail, tail_points
from hmexp.report.figures.thread_curves import bandwidth_against_threads, thread_counts
from hmexp.report.model.predictions import predict
from hmexp.report.run.results import Results
from hmexp.store.files import make_folder, write_atomically
from hmexp.store.journal import file_errors

__all__ = [
    "all_figures",
    "bandwidth_against_ratio",
    "bandwidth_against_threads",
    "inline_svg",
    "latency_against_ratio",
    "latency_distribution",
    "latency_tail",
    "loaded_latency",
    "model_error",
    "node_capability",
    "placement_strips",
    "png_bytes",
    "ratio_by_mix",
    "read_svg",
    "save",
    "svg_text",
    "wanted_figures",
]

_DPI: Final = 160
#: Of PNG files: the usual 6 makes them a tenth smaller, and takes longer.
_COMPRESSION: Final = 3
_FONTS: Final = "'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif"
_ID: Final = re.compile(r'(\bid="|\burl\(#|href="#)')
_COLOUR: Final = re.compile(rf"((?:fill|stroke): ?)#({'|'.join(style.DARK)})\b")
#: Height of a page on its side, less margins: 165 mm [CSS pixels].
_TALL_PIXELS: Final = 624
_SIZE: Final = re.compile(r'<svg\b[^>]*?\bviewBox="([^"]*)"[^>]*>', re.DOTALL)


def all_figures(results: Results) -> dict[str, Figure]:
    """Draw every figure that this run has something to say for, by the stem of its file's name."""
    return {stem: draw() for stem, draw in wanted_figures(results).items()}


def wanted_figures(results: Results) -> dict[str, Callable[[], Figure]]:
    """Return who draws each figure that this run has something to say for, by the stem of its file's name."""
    return {stem: partial(draw, results) for stem, (wanted, draw) in _FIGURES.items() if wanted(results)}


def _has_model(results: Results) -> bool:
    predicted = predict(results)
    return any(point.point_id in predicted for point in results.ok if not point.added)


#: Of each figure, whether a run has something to say for it, and who draws it.
_FIGURES: Final[Mapping[str, tuple[Callable[[Results], object], Callable[[Results], Figure]]]] = {
    "node_capability": (capabilities, node_capability),
    "bandwidth_against_ratio": (bandwidth_operations, bandwidth_against_ratio),
    "ratio_by_mix": (shares_of_dram, ratio_by_mix),
    "bandwidth_against_threads": (lambda results: len(thread_counts(results)) > 1, bandwidth_against_threads),
    "latency_against_ratio": (latency_operations, latency_against_ratio),
    "latency_distribution": (
        lambda results: any(results.select(operation) for operation in latency_operations(results)),
        latency_distribution,
    ),
    "latency_tail": (tail_points, latency_tail),
    "loaded_latency": (loaded_operations, loaded_latency),
    "model_error": (_has_model, model_error),
    "placement_strips": (strips_of, placement_strips),
}


def svg_text(figure: Figure, stem: str) -> str:
    """Render a figure as SVG: the same bytes for the same data, at any time and on any machine."""
    buffer = io.StringIO()
    group_thousands(figure)
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with style.styled(**{"svg.hashsalt": stem}):
        # By its canvas: savefig draws each figure twice, the first time only to lay it out.
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
    return buffer.getvalue().replace("'DejaVu Sans'", _FONTS)


def png_bytes(figure: Figure, dpi: int = _DPI) -> bytes:
    """Render a figure as PNG."""
    buffer = io.BytesIO()
    group_thousands(figure)
    before = figure.dpi
    with style.styled():
        figure.dpi = dpi
        try:
            FigureCanvasAgg(figure).print_png(  # type: ignore[no-untyped-call]
                buffer, metadata={"Software": None}, pil_kwargs={"compress_level": _COMPRESSION}
            )
        finally:
            figure.dpi = before
    return buffer.getvalue()


def save(figure: Figure, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write `stem.svg` and `stem.png` into a folder, each whole or not at all.

    The folder is made if the one above it is there.
    """
    make_folder(folder)
    svg = write_atomically(folder / f"{stem}.svg", svg_text(figure, stem))
    # Laid out just now: once more would only take as long again.
    figure.set_layout_engine("none")
    return svg, write_atomically(folder / f"{stem}.png", png_bytes(figure))


def read_svg(folder: Path, stem: str) -> str:
    """Read back what `save` has written.

    Raises
    ------
    StoreError
        If somebody has removed it meanwhile.
    """
    path = folder / f"{stem}.svg"
    with file_errors("read", path):
        return path.read_text(encoding="utf-8")


def inline_svg(svg: str, stem: str, description: str) -> str:
    """Make an SVG file's text fit for a page that holds several.

    Every id gets the figure's own prefix (matplotlib numbers them alike in each figure), and what only
    a file of its own needs is dropped.

    Parameters
    ----------
    svg : str
        What `svg_text` returned.
    stem : str
        A name that no other figure of the page has.
    description : str
        What a screen reader says; plain text, escaped here.
    """
    match = _SIZE.search(svg)
    if match is None:
        raise ValueError("this is not the text of an SVG file")
    body = _ID.sub(lambda found: f"{found.group(1)}{stem}-", svg[match.end() :])
    # The page may be dark: each colour of the style can be set by it.
    body = _COLOUR.sub(lambda found: f"{found[1]}var(--c{found[2]}, #{found[2]})", body)
    spoken = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    # One point of the figure is 4/3 CSS pixels: every figure's text comes out in the same size.
    _, _, width, height = (float(number) * 4 / 3 for number in match.group(1).split())
    # On paper it then has a sheet that stands.
    tall = ' class="tall"' if height > _TALL_PIXELS else ""
    size = f'viewBox="{match.group(1)}" style="width:{width:.0f}px"'
    return f'<svg role="img"{tall} aria-label="{spoken}" {size}>{body}'
