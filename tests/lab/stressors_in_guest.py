"""Stressors of stress-ng and the module, run inside the lab by test_stressors.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from hmexp.pattern import Pattern
from hmexp.program.launch.preload import prepare

MODULE, SECONDS = sys.argv[1:]
PATTERN = Pattern.parse("0,2,2")
STATS = Path("/sys/class/misc/hybridmem/stats")
#: Each takes memory, and looks at what it holds. Not madvise: as root it injects memory failures, of which it
#: dies now and then.
UNDER_PRELOAD = (
    ("--vm", "2", "--vm-bytes", "48M"),
    ("--mmap", "2", "--mmap-bytes", "32M"),
    ("--fork", "2"),
    ("--mremap", "1", "--mremap-bytes", "16M"),
)
_failed: list[str] = []


def say(good: object, text: str) -> None:
    print(f"{'ok' if good else 'NOT OK'} {text}", flush=True)
    if not good:
        _failed.append(text)


def count(name: str) -> int:
    """A counter of the module; of one by node the sum."""
    text = (STATS / name).read_text()
    return sum(int(word.rpartition("=")[2]) for word in text.split())


def stress(*stressor: str, environment: Mapping[str, str]) -> None:
    """Run one stressor to its end: neither it nor its verification fails, and nothing is left."""
    command = ["stress-ng", *stressor, "--verify", "-t", SECONDS, "--oomable"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    output = done.stdout + done.stderr
    # Newer releases also print a summary with "failed: 0".
    failures = re.findall(r"^stress-ng: (?:fail|error): .*$", output, re.MULTILINE)
    say(done.returncode == 0 and not failures, f"stress-ng {stressor[0]}: {done.returncode} {failures}")
    if done.returncode:
        print(output)
    say(count("regions") == count("resident") == 0, f"{stressor[0]}: no region and no page is left")


def on_the_device() -> None:
    """Opens, maps, reads, writes, polls and asks the device for everything, whatever it says."""
    subprocess.run(["insmod", MODULE, "ahead=16"], check=True)
    stress("--dev", "2", "--dev-file", "/dev/hybridmem", environment={})
    # It has written what it likes to the device, and no pattern of it may stay for who comes next.
    with Path("/dev/hybridmem").open("rb") as region:
        say(region.read() == b"", "--dev: a new region has no pattern")


def under_preload() -> None:
    """Programs whose memory is on the device without their knowing."""
    for each in UNDER_PRELOAD:
        shared, private = count("allocated"), count("private")
        with prepare(PATTERN, PATTERN.granule_bytes, 128 << 10, ["stress-ng"]) as prepared:
            stress(*each, environment=dict(prepared.environment))
            taken = prepared.read_counters().bytes
        shared, private = count("allocated") - shared, count("private") - private
        say(taken > 0, f"{each[0]}: {taken >> 20} MiB were mapped from the device")
        say(shared + private > 0, f"{each[0]}: {shared} shared and {private} private pages came from it")


if __name__ == "__main__":
    on_the_device()
    under_preload()
    say(subprocess.run(["rmmod", "hybridmem"]).returncode == 0, "the module unloads")
    print(f"{len(_failed)} not ok")
    sys.exit(1 if _failed else 0)
