"""Draw the pictures of docs/atlas.md and docs/explanation/emulated-nodes.md.

    .venv/bin/python tools/atlas.py [--out docs/atlas]

`side_by_side.png` has the bundles of results/atlas. `duplex.png` has the published curves of a duplex link,
and what the core's servers show of it, replayed in a time of their own: no memory is touched.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from matplotlib.figure import Figure

from hmexp.measure.mix import Mix
from hmexp.memory.emulation import Emulation, EmulationRequest
from hmexp.memory.profile import Profile
from hmexp.memory.speed import NodeSpeed
from hmexp.native import Load, replay_latency
from hmexp.pattern import Pattern
from hmexp.report.atlas.bundle import read_bundle
from hmexp.report.atlas.figures import side_by_side
from hmexp.report.figures.gallery import png_bytes
from hmexp.report.study.curves import DrawnCurve, DrawnFamily
from hmexp.report.study.curves_figures import draw_file

ROOT = Path(__file__).resolve().parents[1]
DPI = 110
DELAYS = (20_000, 8000, 4000, 2500, 1700, 1200, 900, 700, 550, 420, 320, 250, 200, 150, 110, 80, 50, 25, 0)
#: A host that carries the published speeds as they are: nothing is measured on it.
ABLE = NodeSpeed(1e5, 1e5, 1.0, 1e5, 1.0, 1.0)


def draw_duplex(name: str) -> Figure:
    """The published curves of a profile beside those of its emulated node."""
    emulation = Emulation.scale_to_host(EmulationRequest.parse(f"2={name}@absolute"), ABLE, [0], 0)
    model = emulation.node_model(Pattern((2,)), 4, fine=True)
    family = Profile.load(name).slow.family
    assert family is not None
    published, shown = [], []
    for curve in family.curves:
        published.append(
            DrawnCurve(
                curve.read_percent, (None,) * len(curve.latency_ns), curve.bandwidth_gbps, curve.latency_ns
            )
        )
        blend = Mix(curve.read_percent, "nt").blend
        rows = [replay_latency(model, Load("read", 4, blend, 1024, delay), 4000) for delay in DELAYS]
        rows.sort()
        gbps, latency = zip(*rows, strict=True)
        shown.append(DrawnCurve(curve.read_percent, (None,) * len(rows), gbps, latency))
    return draw_file(
        [
            DrawnFamily(name, "published", tuple(published)),
            DrawnFamily(name, "EMULATED, the core's servers replayed", tuple(shown)),
        ],
        f"profile {name}; rings: knees; nothing was measured",
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "atlas")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bundles = [read_bundle(path) for path in sorted((ROOT / "results" / "atlas").glob("*.json"))]
    for stem, figure in (("side_by_side", side_by_side(bundles)), ("duplex", draw_duplex("cxl-duplex"))):
        path = options.out / f"{stem}.png"
        path.write_bytes(png_bytes(figure, DPI))
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
