"""Draw the pictures of docs/gallery.md from stored runs: `make gallery`.

    .venv/bin/python tools/gallery.py [--run results/example] [--out docs/gallery] [--screenshot FILE]

Every figure that the report has for a run becomes a PNG with a palette, and docs/gallery.md a page of them:
what each shows, and which decision it is for. With `--screenshot` (as `make screenshot` leaves them in
.make/screenshots) the notebook's picture is taken in, too. Fails if all pictures together are above 1 MB.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from hmexp.errors import HmexpError
from hmexp.report.figures import gallery as figures
from hmexp.report.run.excerpt import excerpt
from hmexp.report.run.results import Results
from hmexp.report.study.files import FIGURES
from hmexp.report.study.results import StudyResults
from hmexp.store.reader import read_run

ROOT = Path(__file__).resolve().parents[1]
RUNS = ("example", "example-placers")
DPI = 120
COLOURS = 128
MOST_BYTES = 1_000_000
#: Part of the notebook's picture: from its top, in pixels.
SCREEN_HEIGHT = 3000
NOTEBOOK = "notebook_"
#: Of tools/report_look.py.
REPORT = "report_"
PAGE = ROOT / "docs" / "gallery.md"
BEGIN, END = "<!-- pictures: make gallery -->", "<!-- end of pictures -->"
#: Which decision a figure is for; one that is not named here is shown with its own title alone.
DECISIONS = {
    "report_a4": "The first page of a report, printed: which ratio to set, and why.",
    "report_phone": "The same on a phone.",
    "node_capability": "Is this node usable?",
    "ratio_by_mix": "Is my workload safe? Its mix of reads and writes, in percent of all DRAM.",
    "bandwidth_against_threads": "How many threads, writers above all, before it collapses?",
    "latency_distribution": "Can I meet my latency target?",
    "bandwidth_against_ratio": "Which ratio? Points are measured, lines are the model.",
    "latency_against_ratio": "What does a ratio cost in latency, one access at a time?",
    "loaded_latency": "How much headroom is there at my load?",
    "model_error": "Can the model be trusted here?",
    "placement_strips": "Can this run be trusted? The pattern asked for, and where the pages were found.",
    "setup_costs": "Which mechanism of placing pages?",
    "misplacement": "Which placement survives what happens to a process?",
    "mappings_against_size": "How large can a region be before the kernel's limit of mappings strikes?",
    "granularity": "Page, 2 MiB or coarser?",
    "translation_cost": "What do small pages cost?",
}


def compress(png: bytes, height: int | None = None) -> bytes:
    """The picture with a palette: a third of the size, and no difference to be seen."""
    with Image.open(io.BytesIO(png)) as picture:
        whole = picture.convert("RGB")
    if height is not None:
        whole = whole.crop((0, 0, whole.width, min(height, whole.height)))
    buffer = io.BytesIO()
    reduced = whole.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def draw(runs: list[Path], screenshots: list[Path]) -> dict[str, bytes]:
    """Every picture by its name: the figures of the runs, then the notebooks."""
    drawn: dict[str, Figure] = {}
    for run in runs:
        drawn |= draw_sweep(run) if read_run(run).study is None else draw_study(run)
    pictures = {stem: compress(figures.png_bytes(figure, DPI)) for stem, figure in drawn.items()}
    for path in screenshots:
        pictures[f"{NOTEBOOK}{path.stem.replace('-', '_')}"] = compress(path.read_bytes(), SCREEN_HEIGHT)
    return pictures


def draw_sweep(run: Path) -> dict[str, Figure]:
    """Every figure of a sweep's report."""
    results = Results.load(run)
    if not results.ok:
        raise HmexpError(f"{run} has no measured point", "name another run")
    return figures.all_figures(excerpt(results))


def draw_study(run: Path) -> dict[str, Figure]:
    """The figures that a study's folder has: where timings mean nothing, it was given none of them."""
    study = StudyResults.load(run)
    every = FIGURES[study.name].items()
    return {stem: one(study) for stem, one in every if (run / "figures" / f"{stem}.svg").is_file()}


def write_page(names: list[str], folder: str) -> None:
    """Put the pictures into the page, between its two marks."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not tail:
        raise HmexpError(f"{PAGE} does not contain the marks {BEGIN} and {END}", "restore it from git")
    parts = []
    for name in names:
        title = name.replace("_", " ").capitalize()
        lines = [f"## {title}", DECISIONS.get(name, ""), f"![{title}]({folder}/{name}.png)"]
        parts.append("\n\n".join(line for line in lines if line) + "\n")
    PAGE.write_text(f"{head}{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}{tail}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run", type=Path, action="append", help=f"repeatable (default: {', '.join(RUNS)} of results/)"
    )
    parser.add_argument(
        "--out", type=Path, default=PAGE.with_suffix(""), help="folder (default: docs/gallery)"
    )
    parser.add_argument(
        "--screenshot", type=Path, action="append", default=[], help="of a notebook; repeatable"
    )
    options = parser.parse_args()
    try:
        pictures = draw(options.run or [ROOT / "results" / name for name in RUNS], options.screenshot)
        total = sum(map(len, pictures.values()))
        if total > MOST_BYTES:
            raise HmexpError(
                f"the pictures have {total} bytes, more than {MOST_BYTES}", "lower DPI or COLOURS"
            )
        options.out.mkdir(parents=True, exist_ok=True)
        for old in options.out.glob("*.png"):
            # What takes a browser to make stays until there is a new one.
            kept = old.stem.startswith(REPORT) or (old.stem.startswith(NOTEBOOK) and not options.screenshot)
            if kept:
                pictures[old.stem] = old.read_bytes()
            old.unlink()
        for name, png in pictures.items():
            (options.out / f"{name}.png").write_bytes(png)
        if options.out == PAGE.with_suffix(""):
            write_page(list(pictures), options.out.name)
    except (HmexpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, png in pictures.items():
        print(f"{options.out / name}.png: {len(png) / 1000:.0f} kB")
    print(f"together {total / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
