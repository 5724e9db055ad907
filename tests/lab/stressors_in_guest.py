"""Stressors of stress-ng and the module, run inside the lab by test_stressors.py."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hmexp.errors import HmexpError
from hmexp.pattern import Pattern
from hmexp.program.launch.preload import prepare
from hmexp.program.look.mappings import read_mappings
from hmexp.program.look.scan import open_sight

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
#: The fewest pages that each stressor must hold at one time; it is told to take more [pages].
LEAST_PAGES = 1000
#: Of the flags of a page in a scan.
PAGE_IS_FILE = 4
_failed: list[str] = []


def say(good: object, text: str) -> None:
    print(f"{'ok' if good else 'NOT OK'} {text}", flush=True)
    if not good:
        _failed.append(text)


def count(name: str) -> int:
    """A counter of the module; of one by node the sum."""
    text = (STATS / name).read_text()
    return sum(int(word.rpartition("=")[2]) for word in text.split())


def held() -> Counter[str]:
    """Private pages that all stressors have on the device now, in place or not: each by its own node."""
    found: Counter[str] = Counter()
    for folder in Path("/proc").glob("[0-9]*"):
        # Whoever ends meanwhile has none.
        with contextlib.suppress(OSError, HmexpError):
            if (folder / "comm").read_text().startswith("stress-ng-"):
                with stopped(int(folder.name)):
                    found += held_by(int(folder.name))
    return found


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile: what it maps and unmaps would be seen half."""
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + 5
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > end:
                raise TimeoutError(f"process {pid} does not stop")
            time.sleep(0.01)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def held_by(pid: int) -> Counter[str]:
    """The same of one process."""
    found: Counter[str] = Counter()
    nodes = np.asarray(PATTERN.nodes)
    sight = open_sight(pid)
    for mapping in read_mappings(pid, numa=False):
        if mapping.path == "/dev/hybridmem":
            scan = sight.scan(mapping.start, mapping.stop)
            # Not those of a file: a hole that was only read shows the module's zeroes.
            own = (scan.node >= 0) & ((scan.flags & PAGE_IS_FILE) == 0)
            # By the place in the device: a program may move a mapping to an address out of phase.
            first = mapping.offset_bytes // PATTERN.granule_bytes
            right = scan.node == nodes[(first + np.arange(len(own))) % len(nodes)]
            found["in place"] += int(np.count_nonzero(own & right))
            found["misplaced"] += int(np.count_nonzero(own & ~right))
    return found


def stress(*stressor: str, environment: Mapping[str, str]) -> Counter[str]:
    """Run one stressor to its end: neither it nor its verification fails, and nothing is left.

    Returns the most pages that were seen on the device while it ran, and how many were misplaced in any look.
    """
    command = ["stress-ng", *stressor, "--verify", "-t", SECONDS, "--oomable"]
    most: Counter[str] = Counter()
    misplaced = 0
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=-1, stderr=subprocess.STDOUT, text=True
    ) as done:
        end = time.monotonic() + 600
        while done.poll() is None and time.monotonic() < end:
            now = held()
            misplaced += now["misplaced"]
            most = max(most, now, key=Counter.total)
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
    return Counter({"in place": most["in place"], "misplaced": misplaced})


def on_the_device() -> None:
    """Opens, maps, reads, writes, polls and asks the device for everything, whatever it says."""
    subprocess.run(["insmod", MODULE], check=True)
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
            notes = prepared.notes()
        shared, private = count("allocated") - shared, count("private") - private
        say(taken > 0, f"{each[0]}: {taken >> 20} MiB were mapped from the device; {notes}")
        say(shared + private > 0, f"{each[0]}: {shared} shared and {private} private pages came from it")
        # A child of --fork ends at once.
        if each[0] != "--fork":
            good = most["in place"] > LEAST_PAGES and not most["misplaced"]
            say(good, f"{each[0]}: {dict(most)} pages, each by its own node")


if __name__ == "__main__":
    on_the_device()
    under_preload()
    say(subprocess.run(["rmmod", "hybridmem"]).returncode == 0, "the module unloads")
    print(f"{len(_failed)} not ok")
    sys.exit(1 if _failed else 0)
