"""Read stored runs as pandas tables: all pages are in place in every point that has a number.

    .venv/bin/python examples/load_a_run.py [RUN ...]

Without a run, the committed results/example.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hmexp

EXAMPLE = Path(__file__).resolve().parents[1] / "results" / "example"


def main() -> None:
    """Print the medians by ratio, and whether every proof holds."""
    data = hmexp.load(sys.argv[1:] or [str(EXAMPLE)])
    points = data.points[data.points["status"] == "ok"]
    print(points.groupby(["operation", "pattern"])["median"].max().unstack("pattern").round(1))
    print(f"{len(data.samples)} samples of {len(points)} points")
    if points["proof_ok"].all():
        print("all pages are in place in all points")


if __name__ == "__main__":
    main()
