"""Look at a page of hmexp as people do: on a phone, a desk, a wall, a dark page, and on paper of two sizes.

    .venv/bin/python tools/report_look.py results/example/report.html [--out .make/screenshots] [--gallery]

A headless Chromium opens the page and prints it. Fails, and says where, if the page scrolls sideways at
some width, if text of a figure is smaller than 8 points on paper, if a figure has no description, or if a
table's head has no scope; of a page with an answer, also if the answer does not fit the first sheet of A4 or
Letter, or the details begin on it. The pictures are for looking at. With `--gallery`, the
first sheet and the phone are put into docs/gallery, too; `make gallery` then names them on its page.

Needs what tools/jupyterlab_screenshot.py needs, and poppler-utils.
"""

from __future__ import annotations

import argparse
import base64
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gallery import compress
from jupyterlab_screenshot import LookError, chromium

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs" / "gallery"
#: Name, width and height [CSS pixels], and whether the page is dark.
SCREENS = (
    ("phone", 360, 1600, False),
    ("desk", 1280, 1600, False),
    ("dark", 1280, 1600, True),
    ("wall", 3840, 2160, False),
)
PAPERS = {"a4": (8.27, 11.69), "letter": (8.5, 11.0)}
FIRST = "How far to trust it"
#: The last words of the answer, and the first of the details.
LAST, NEXT = (
    "return document.getElementById('answer').textContent.trim().split(/\\s+/).slice(-5).join(' ')",
    "return document.querySelector('.details p, .details h3').textContent.trim().replace(/\\s+/g, ' ')",
)
SHEET_DPI, PHONE_HEIGHT = 96, 1600
#: Text of a figure on paper, less what rounding takes [points].
LEAST_POINTS = 7.83
#: pdftohtml rounds sizes to whole ones, and this is its largest zoom.
ZOOM = 3
FONT = re.compile(r'<fontspec id="(\d+)" size="(-?\d+)"')
LINE = re.compile(r'<text [^>]*font="(\d+)">(.*?)</text>')


def photograph(driver: Any, address: str, out: Path) -> list[str]:
    """Take the pictures of screens, and return what is wrong with them."""
    wrong = []
    for name, width, height, dark in SCREENS:
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(address)
        wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            wrong.append(f"{name}: the page is {wide} pixels wider than the screen")
        picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        (out / f"report_{name}.png").write_bytes(base64.b64decode(picture))
    silent = driver.execute_script(
        "return document.querySelectorAll('figure svg:not([aria-label]), figure svg[aria-label=\"\"]').length"
    )
    unscoped = driver.execute_script("return document.querySelectorAll('th:not([scope])').length")
    wrong += [f"{silent} figures have no description"] if silent else []
    wrong += [f"{unscoped} heads of tables have no scope"] if unscoped else []
    return wrong


def print_out(driver: Any, address: str, out: Path) -> list[str]:
    """Print on each paper from a dark screen, and return what is wrong with the first sheets."""
    wrong = []
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.get(address)
    for name, (width, height) in PAPERS.items():
        asked = {"paperWidth": width, "paperHeight": height, "printBackground": True}
        file = out / f"report_{name}.pdf"
        file.write_bytes(base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", asked)["data"]))
        sheets = subprocess.run(
            ["pdftotext", "-layout", file, "-"], capture_output=True, text=True, check=True
        ).stdout.split("\f")
        first = " ".join(sheets[0].split())
        if driver.execute_script("return document.getElementById('answer') !== null"):
            # What is for the screen alone, or for paper alone, is at the end.
            last, after = (driver.execute_script(script) for script in (LAST, NEXT))
            wanted = (FIRST, re.sub(r"\d+ more rows are in the table on the screen\.$", "", last).strip())
            wrong += [f"{name}: {what!r} is not on the first sheet" for what in wanted if what not in first]
            wrong += [f"{name}: details begin on the first sheet"] if after in first else []
        subprocess.run(
            [
                "pdftoppm",
                "-r",
                str(SHEET_DPI),
                "-l",
                "1",
                "-singlefile",
                "-png",
                file,
                out / f"report_{name}",
            ],
            check=True,
        )
    return wrong


def measure_text(driver: Any, address: str, out: Path) -> list[str]:
    """Print the figures alone, where they stand on the page, and return what of their text is too small."""
    wrong = []
    driver.get(address)
    if not driver.execute_script("return document.querySelectorAll('figure svg').length"):
        return []
    driver.execute_script(
        "const style = document.createElement('style'); document.head.append(style);"
        "style.textContent = 'body * {visibility: hidden} figure svg, figure svg * {visibility: visible}'"
    )
    for name, (width, height) in PAPERS.items():
        asked = {"paperWidth": width, "paperHeight": height, "printBackground": True}
        file = out / f"figures_{name}.pdf"
        file.write_bytes(base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", asked)["data"]))
        words = ["pdftohtml", "-xml", "-i", "-stdout", "-zoom", str(ZOOM), file]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        fonts = {number: int(size) / ZOOM for number, size in FONT.findall(text)}
        found: dict[float, list[str]] = {}
        for number, line in LINE.findall(text):
            found.setdefault(fonts[number], []).append(re.sub("<[^>]+>", "", line).strip())
        if not found:
            wrong.append(f"{name}: the figures have no text")
            continue
        print(f"{name}: figures have text of {min(found):.1f} to {max(found):.1f} points")
        wrong += [
            f"{name}: text of {size:.1f} points in a figure: {lines[0]!r} and {len(lines) - 1} more"
            for size, lines in sorted(found.items())
            if size < LEAST_POINTS
        ]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / ".make" / "screenshots")
    parser.add_argument("--gallery", action="store_true", help="also put two pictures into docs/gallery")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        if not options.report.is_file():
            raise LookError(f"{options.report} is not a file: write it with hmexp report")
        with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as driver:
            address = options.report.resolve().as_uri()
            wrong = photograph(driver, address, options.out) + print_out(driver, address, options.out)
            wrong += measure_text(driver, address, options.out)
        if wrong:
            raise LookError("\n".join(wrong))
    except (LookError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.gallery:
        for name, height in (("report_a4", None), ("report_phone", PHONE_HEIGHT)):
            picture = (options.out / f"{name}.png").read_bytes()
            (GALLERY / f"{name}.png").write_bytes(compress(picture, height))
    print(f"pictures are in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
