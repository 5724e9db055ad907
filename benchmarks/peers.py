"""hmexp against the tools that Debian ships, interleaved in one run, as ratios with their spread.

Peers that are not installed are left out, and said so (apt-get install likwid mbw sysbench linux-perf).
Payload is counted the same way for all: copy and triad are what is read and what is written. Huge pages are
given to likwid and mbw by glibc (GLIBC_TUNABLES, 2.35 or newer); whether they took them is not checked.
The best peer of a row is measured again, and the row is judged by this: the least of several ratios is too
low, by the number of them. That goes on until the median's interval is narrow, wherever it lies, or for long.

    make bench      or      .venv/bin/python benchmarks/peers.py [--rounds 4] [--shapes plain]
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from quiet import say_load
from ratios import interval

import hmexp
from hmexp.measure.shape_choice import LEAST_SECONDS, shape_of
from hmexp.measure.threads import place_threads
from hmexp.memory.region import allocate
from hmexp.native import PAGE_BYTES, vector_bits
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.near import near_dram
from hmexp.system.topology import read_topology

#: Operation of ours -> likwid's kernel, without the width.
LIKWID = {
    "read": "load", "write": "store", "write_nt": "store_mem", "copy": "copy", "copy_nt": "copy_mem",
    "triad": "stream", "triad_nt": "stream_mem",
}  # fmt: skip
#: What one run of likwid walks [bytes], in whole passes.
LIKWID_BYTES = 8 << 30
#: Such a part of the best peer will do where the ratio's interval covers 1; else it must be all of it.
NEARLY = 0.99
#: The best peer is measured again until the 95 % interval of the ratio is so narrow, or in so many rounds.
NARROW, MOST_ROUNDS = 0.03, 25


@dataclass(frozen=True)
class Setting:
    """A row of the table."""

    operation: str
    threads: int
    huge: bool
    size_mib: int
    cpus: tuple[int, ...]
    shape: str = "plain"

    @property
    def environment(self) -> dict[str, str]:
        """Of a peer's process."""
        extra = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if self.huge else {}
        return {**os.environ, **extra}


Peer = Callable[[Setting], float | None]
#: What ours and a peer reach, one after the other [GB/s].
Pair = tuple[float, float]


def run(setting: Setting, *command: str) -> str:
    """What a command on the setting's CPUs prints."""
    pinned = ["taskset", "-c", ",".join(map(str, setting.cpus)), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, env=setting.environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return done.stdout


def likwid(suffix: str) -> Peer:
    """likwid-bench at one width; its loops are as good as its width is for the CPU."""

    def measure(setting: Setting) -> float | None:
        """What its kernel for the operation reaches [GB/s]."""
        size_kb = setting.size_mib * 1024 * 1024 // 1000
        # About as long as ours: a longer run would meet other states of the host.
        passes = max(4, LIKWID_BYTES // (setting.size_mib << 20))
        out = run(
            setting, "likwid-bench", "-i", str(passes), "-t", f"{LIKWID[setting.operation]}{suffix}",
            "-w", f"N:{size_kb}kB:{setting.threads}",
        )  # fmt: skip
        found = re.search(r"^MByte/s:\s+([\d.]+)", out, re.MULTILINE)
        return float(found[1]) / 1000 if found else None

    return measure


def mbw(setting: Setting) -> float | None:
    """mbw's copy by assignment; it counts what is copied once [GB/s].

    Its compiler has made a memcpy of that, and glibc's, of so much, has non-temporal stores.
    """
    if setting.operation != "copy_nt" or setting.threads != 1:
        return None
    out = run(setting, "mbw", "-q", "-n", "3", "-t1", str(setting.size_mib // 2))
    found = re.search(r"AVG.*Copy:\s+([\d.]+)", out)
    return 2 * float(found[1]) * 1.048576 / 1000 if found else None


def sysbench(setting: Setting) -> float | None:
    """sysbench memory, whose threads have blocks of the whole size together [GB/s].

    Of their own: by default all threads go over one block, and one has what another left in a shared cache.
    """
    if setting.operation not in ("read", "write") or setting.huge:
        return None
    out = run(
        setting, "sysbench", "memory", f"--memory-oper={setting.operation}", f"--threads={setting.threads}",
        "--memory-scope=local", f"--memory-block-size={setting.size_mib // setting.threads}M",
        "--memory-total-size=100T", "--time=1", "run",
    )  # fmt: skip
    found = re.search(r"\(([\d.]+) MiB/sec\)", out)
    return float(found[1]) * 1.048576 / 1000 if found else None


def perf(setting: Setting) -> float | None:
    """perf's routines for memory; they count what is copied once, in units of 2^30 bytes [GB/s].

    The kernel's unrolled loops have regular stores. What glibc takes for so much, and the CPU's own string
    instructions, leave out the reading of what is written: they stand beside non-temporal stores.
    """
    functions = {
        "write": ("memset", "x86-64-unrolled"), "write_nt": ("memset", "x86-64-stosb"),
        "copy": ("memcpy", "x86-64-unrolled"), "copy_nt": ("memcpy", "default"),
    }  # fmt: skip
    if (
        setting.operation not in functions
        or setting.threads != 1
        or setting.huge
        or platform.machine() != "x86_64"
    ):
        return None
    routine, function = functions[setting.operation]
    buffers = 2 if routine == "memcpy" else 1
    out = run(
        setting, "perf", "bench", "mem", routine, "-f", function, "-l", "8",
        "-s", f"{setting.size_mib // buffers}MB",
    )  # fmt: skip
    found = re.search(r"([\d.]+) GB/sec", out)
    return buffers * float(found[1]) * 1.073741824 if found else None


PEERS: dict[str, tuple[str, Peer]] = {
    **{
        f"likwid_{name}": ("likwid-bench", likwid(f"_{name}"))
        for name, bits in (("sse", 128), ("avx", 256), ("avx512", 512))
        if bits <= vector_bits()
    },
    "mbw": ("mbw", mbw), "sysbench": ("sysbench", sysbench), "perf": ("perf", perf),
}  # fmt: skip


def ours(node: int, setting: Setting) -> float:
    """Median of a measurement in the setting's shape [GB/s].

    Of a region of its own, as each run of a peer has memory of its own: frames are luck.
    """
    with allocate(f"{setting.size_mib}MiB", Pattern((node,)), huge=setting.huge) as region:
        found = hmexp.measure_bandwidth(
            region, setting.operation, setting.threads, pinning=setting.cpus, sampling=hmexp.Sampling(3, 0.1),
            walk=hmexp.Walk(shape=setting.shape),
        )  # fmt: skip
    return found.median


def by_turns(node: int, setting: Setting, rounds: int, peers: dict[str, Peer]) -> dict[str, list[Pair]]:
    """What ours and each peer reach, in turn, round by round [GB/s]; none without the operation."""
    found: dict[str, list[Pair]] = {name: [] for name in peers}
    for _ in range(rounds):
        before = ours(node, setting)
        for name, peer in peers.items():
            theirs = peer(setting)
            if theirs is not None:
                # On both sides of the peer, so that a drift does not favour either.
                after = ours(node, setting)
                found[name].append(((before + after) / 2, theirs))
                before = after
    return {name: pairs for name, pairs in found.items() if pairs}


def until_narrow(node: int, setting: Setting, rounds: int, name: str, peer: Peer) -> list[Pair]:
    """What ours and one peer reach, in as many rounds as the host's moods ask for [GB/s]."""
    pairs: list[Pair] = []
    while True:
        pairs += by_turns(node, setting, rounds, {name: peer})[name]
        _, low, high = interval([mine / theirs for mine, theirs in pairs])
        if len(pairs) >= MOST_ROUNDS or (len(pairs) > rounds and high - low <= NARROW):
            return pairs


def show(setting: Setting, name: str, pairs: list[Pair]) -> tuple[float, float]:
    """Print a line; return the ratio, and the upper end of its interval."""
    pages = "2 MiB" if setting.huge else "4 KiB"
    ratios = [mine / theirs for mine, theirs in pairs]
    ratio, low, high = interval(ratios)
    mine, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(
        f"{setting.operation:<10}{setting.threads:>2} {pages}  {name:<22}{theirs:>8.2f}{mine:>8.2f}"
        f"  {ratio:>6.3f} [{low:.3f}, {high:.3f}] ({min(ratios):.3f}..{max(ratios):.3f}) {setting.shape}",
        flush=True,
    )
    return ratio, high


def compare(node: int, setting: Setting, rounds: int, peers: dict[str, Peer]) -> bool:
    """Print a line for each peer, and one of the best peer again; return whether that is faster than ours.

    The best of several by the same rounds that choose it seems better than it is.
    """
    found = by_turns(node, setting, rounds, peers)
    if not found:
        return False
    ratios = {name: show(setting, name, pairs)[0] for name, pairs in found.items()}
    best = min(ratios, key=ratios.__getitem__)
    pairs = until_narrow(node, setting, rounds, best, peers[best])
    ratio, high = show(setting, f"{best}, {len(pairs)} more", pairs)
    slower = round(ratio, 2) < (NEARLY if high >= 1 else 1)
    if slower:
        print(f"{'':<19}^ to be explained")
    return slower


def main() -> None:
    """Compare on every row, exit with 1 if one has to be explained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--size-mib", type=int, default=512)
    parser.add_argument("--pages", nargs="+", default=["4KiB", "2MiB"], choices=["4KiB", "2MiB"])
    parser.add_argument("--operations", nargs="+", default=list(LIKWID), choices=list(LIKWID))
    parser.add_argument(
        "--shapes", default="auto", help="of our loops: auto (by measurement), plain or a name"
    )
    options = parser.parse_args()
    say_load("before")
    peers = {name: peer for name, (command, peer) in PEERS.items() if shutil.which(command)}
    for name in PEERS.keys() - peers.keys():
        print(f"{name} is not installed and left out")
    if not peers:
        sys.exit("no peer is installed: apt-get install likwid mbw sysbench linux-perf")
    print(f"{'operation':<10}threads, pages  {'peer':<21}{'GB/s':>7}{'ours':>8}   ratio [interval] (spread)")
    node = near_dram(read_topology())
    slow = 0
    for huge in (pages == "2MiB" for pages in options.pages):
        for operation in options.operations:
            for threads in (1, 2) if len(allowed_cpus()) > 1 else (1,):
                cpus = place_threads(threads)
                page_bytes = (2 << 20) if huge else PAGE_BYTES
                shape = shape_of(options.shapes, operation, page_bytes, cpus, node, LEAST_SECONDS)
                setting = Setting(operation, threads, huge, options.size_mib, cpus, shape)
                slow += compare(node, setting, options.rounds, peers)
    say_load("after")
    print(f"{slow} rows to be explained")
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
