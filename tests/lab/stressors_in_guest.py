"""Stressors of stress-ng and the module, run inside the lab by test_stressors.py."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
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
#: What a stressor has at least at some moment of its run: a part of what it was told to take [pages].
LEAST_PAGES = 1000
_failed: list[str] = []


def say(good: object, text: str) -> None:
    print(f"{'ok' if good else 'NOT OK'} {text}", flush=True)
    if not good:
        _failed.append(text)


def count(name: str) -> int:
    """A counter of the module; of one by node the sum."""
    text = (STATS / name).read_text()
    return sum(int(word.rpartition("=")[2]) for word in text.split())


def held() -> dict[int, int]:
    """Private pages that all stressors have on the device now, by node: the kernel's word on each of them."""
    pages: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # Whoever ends meanwhile has none.
        with contextlib.suppress(OSError):
            if (folder / "comm").read_text().startswith("stress-ng"):
                for line in (folder / "numa_maps").read_text().split("\n"):
                    if "file=/dev/hybridmem" in line and " anon=" in line:
                        for node, count in re.findall(r" N(\d+)=(\d+)", line):
                            pages[int(node)] = pages.get(int(node), 0) + int(count)
    return pages


def stress(*stressor: str, environment: Mapping[str, str]) -> dict[int, int]:
    """Run one stressor to its end: neither it nor its verification fails, and nothing is left.

    Returns the most pages that were seen on the device while it ran, by node.
    """
    command = ["stress-ng", *stressor, "--verify", "-t", SECONDS, "--oomable"]
    most: dict[int, int] = {}
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=-1, stderr=subprocess.STDOUT, text=True
    ) as done:
        end = time.monotonic() + 600
        while done.poll() is None and time.monotonic() < end:
            most = max(most, held(), key=lambda pages: sum(pages.values()))
            time.sleep(0.5)
        if done.poll() is None:
            done.kill()
        assert done.stdout is not None
        output = done.stdout.read()
    # Newer releases also print a summary with "failed: 0".
    failures = re.findall(r"^stress-ng: (?:fail|error): .*$", output, re.MULTILINE)
    say(done.returncode == 0 and not failures, f"stress-ng {stressor[0]}: {done.returncode} {failures}")
    if done.returncode:
        print(output)
    say(count("regions") == count("resident") == 0, f"{stressor[0]}: no region and no page is left")
    return most


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
            most = stress(*each, environment=dict(prepared.environment))
            taken = prepared.read_counters().bytes
        shared, private = count("allocated") - shared, count("private") - private
        say(taken > 0, f"{each[0]}: {taken >> 20} MiB were mapped from the device")
        say(shared + private > 0, f"{each[0]}: {shared} shared and {private} private pages came from it")
        # A child of --fork ends at once. Which page is where is a matter of test_preload.py; here it is that
        # all of this was done to memory of the device.
        if each[0] != "--fork":
            total, first = sum(most.values()), most.get(0, 0)
            good = total > LEAST_PAGES and set(most) <= {0, 2} and abs(first / total - 1 / 3) < 0.1
            say(good, f"{each[0]}: {most} pages by node at one moment")


if __name__ == "__main__":
    on_the_device()
    under_preload()
    say(subprocess.run(["rmmod", "hybridmem"]).returncode == 0, "the module unloads")
    print(f"{len(_failed)} not ok")
    sys.exit(1 if _failed else 0)
