"""Is the advice right where the truth is known? Sweeps on three emulated profiles, really measured.

.venv/bin/python benchmarks/advice_truth.py [--steps 8] [--size 64MiB] [--threads 1]

For each profile: the least DRAM that keeps 90 % of all-DRAM read bandwidth, as advised and as the scaled
profile says. Exits with 1 if they are more than one step apart. A quiet machine, a few minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from quiet import say_load

from hmexp.experiment.progress import Progress
from hmexp.memory.emulation import Emulation
from hmexp.report.model.advice import KEEP
from hmexp.report.model.cost import Prices, cheapest, markets
from hmexp.report.run.results import Results
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.run import run_sweep
from hmexp.system.topology import read_topology

#: The third one, beside those that hmexp ships: a slow node that is not much slower.
REMOTE = Path(__file__).resolve().parents[1] / "examples" / "remote-socket.toml"


class Silent:
    """A display for nobody."""

    def show(self, progress: Progress) -> None:
        """Show nothing."""


def main() -> None:
    """Sweep each profile, compare advice and truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=8, help="of the DRAM share, from 0 to 1")
    parser.add_argument("--size", default="64MiB")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    say_load("before")
    far = False
    with tempfile.TemporaryDirectory() as folder:
        for profile in ("optane-dcpmm", "cxl-expander", str(REMOTE)):
            far |= _one(profile, options, Path(folder))
    say_load("after")
    sys.exit(1 if far else 0)


def _one(profile: str, options: argparse.Namespace, folder: Path) -> bool:
    steps = options.steps
    parameters = SweepParameters.from_mapping(
        {
            "patterns": [f"{n}:{steps - n}" for n in range(steps, -1, -1)],
            "operations": ["read"],
            "size": options.size,
            "threads": [options.threads],
            "emulate": f"2={profile}",
            "results": str(folder / "results"),
        }
    )
    path = run_sweep(make_plan(parameters, read_topology()), Silent(), lambda _: None).path
    results = Results.load(path)
    assert results.emulation is not None  # it was asked for by name
    emulation = Emulation.from_record(results.emulation)
    truth = {n: emulation.predict({0: n, 2: steps - n}, "read", options.threads) for n in range(steps + 1)}
    true_step = min(n for n in truth if truth[n] >= KEEP * truth[steps])
    (market,) = markets(results, Prices(dram=2.0, slow=1.0))
    choice = cheapest(market, results)
    advised = steps if choice is None or choice.offer is None else round(choice.offer.point.share * steps)
    far = abs(advised - true_step) > 1
    print(
        f"{Path(profile).stem}: advised {advised}:{steps - advised}, true {true_step}:{steps - true_step}: "
        f"{'WRONG' if far else 'right' if advised == true_step else 'the neighbouring step'}"
    )
    return far


if __name__ == "__main__":
    main()
