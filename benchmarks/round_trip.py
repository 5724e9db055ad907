"""Is a machine that was captured the same where it is emulated? To be run on a quiet machine.

Goes the way that a person goes: sweep, `hmexp profile export`, `import`, `sweep --emulate NODE=FILE`, and
`hmexp compare --of-profile`. Every point must be without a difference beyond the noise, or within 10 % of
what was captured. On a machine with one node the captured slow memory is emulated itself, so that this shows
the way and the model, and nothing of real slow memory.

    .venv/bin/python benchmarks/round_trip.py [--size 256MiB] [--wrong 1.25]

`--wrong` multiplies the read bandwidth of the imported slow memory: the comparison must find it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from quiet import say_load

from hmexp.memory.profile import Profile
from hmexp.memory.profile_text import to_toml

LIMIT = 0.10
NODE = "2"


def hmexp(*words: str, folder: Path) -> str:
    """Run a command as a person does; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "hmexp", *words], cwd=folder, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"hmexp {' '.join(words)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Go the whole way once; exit with 1 if a point is another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", default="256MiB")
    parser.add_argument("--launches", default="5")
    parser.add_argument("--first", default="2=optane-dcpmm", help="what the machine to be captured emulates")
    parser.add_argument("--wrong", type=float, default=1.0)
    options = parser.parse_args()
    sweep = (
        "sweep", "--patterns", "1:0", "3:1", "1:1", "0:1", "--operations", "read", "write", "write_nt",
        "latency",
        "--size", options.size, "--launches", options.launches, "--results", "results",
    )  # fmt: skip
    say_load("before")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hmexp(*sweep, "--emulate", options.first, "--run", "captured", folder=folder)
        hmexp("profile", "export", "results/captured", "-o", "bundle.json", folder=folder)
        hmexp("profile", "import", "bundle.json", "-o", "it.toml", folder=folder)
        falsify(folder / "it.toml", options.wrong)
        hmexp(*sweep, "--emulate", f"{NODE}=it.toml", "--run", "emulated", folder=folder)
        compared = hmexp(
            "compare", "results/captured", "results/emulated", "--of-profile", "--json", folder=folder
        )
    failed = report(json.loads(compared))
    say_load("after")
    sys.exit(1 if failed else 0)


def falsify(file: Path, factor: float) -> None:
    """Put a wrong figure into a profile."""
    if factor != 1:
        profile = Profile.load(str(file))
        slow = replace(profile.slow, read_gbps=profile.slow.read_gbps * factor)
        kept = {key: ends for key, ends in profile.intervals.items() if key != "slow.read_gbps"}
        file.write_text(to_toml(replace(profile, slow=slow, intervals=kept)))


def report(found: dict[str, Any]) -> int:
    """Print every point; return how many are another."""
    print(*found["labels"], sep="\n")
    missed = 0
    for point in found["points"]:
        what = f"{point['parameters']['operation']:<9} {point['parameters']['pattern']:<10}"
        if point["quotient"] is None:
            missed += 1
            print(f"{what} not comparable: {point['why']}")
            continue
        bad = point["verdict"] != "no difference" and abs(point["quotient"] - 1) > LIMIT
        missed += bad
        interval = f"[{point['ci_low']:.3f}, {point['ci_high']:.3f}]"
        print(
            f"{what} emulated / captured {point['quotient']:.3f} {interval} "
            f"{point['verdict']}{'  <- another' if bad else ''}"
        )
    print(*found["summary"], sep="\n")
    return missed


if __name__ == "__main__":
    main()
