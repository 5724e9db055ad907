"""The placement of a program whose pages are on several nodes; run inside the lab by test_placement.py.

With `program` as argument this is the program: it lays its pages out, says where it finds each itself, and
waits for its input to end. Without, it starts that and looks at it from outside. A line for each thing seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import mmap
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PAGE = mmap.PAGESIZE
PATTERN = (0, 2, 2)
MOVE_PAGES, MBIND = 279, 237
BIND, MOVE = 2, 2
MERGEABLE, PAGEOUT, HUGETLB = 12, 21, 0x40000
KSM = Path("/sys/kernel/mm/ksm")
KHUGEPAGED = Path("/sys/kernel/mm/transparent_hugepage/khugepaged")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def call(number: int, *arguments: Any) -> None:
    if _libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")


def get(size: int, advice: int | None = None, flags: int = 0) -> int:
    """Anonymous memory, two free pages after it so that the kernel merges it with nothing."""
    extra = 0 if flags else 2 * PAGE
    at = _libc.mmap(None, size + extra, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flags, -1, 0)
    if at in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    if extra:
        _libc.munmap(ctypes.c_void_p(at + size), ctypes.c_size_t(extra))
    if advice is not None and _libc.madvise(at, size, advice):
        raise OSError(ctypes.get_errno(), "madvise")
    return int(at)


def move(pages: list[int], nodes: list[int] | None) -> list[int]:
    """The status of each page; with nodes, they are moved."""
    count = len(pages)
    status = (ctypes.c_int * count)(*[-999] * count)
    to = None if nodes is None else (ctypes.c_int * count)(*nodes)
    call(
        MOVE_PAGES, 0, ctypes.c_ulong(count), (ctypes.c_void_p * count)(*pages), to, status,
        MOVE if nodes else 0,
    )  # fmt: skip
    return list(status)


def fill(start: int, size: int, *, same: bool = False) -> None:
    for at in range(start, start + size, PAGE):
        ctypes.memset(at, 7, PAGE) if same else ctypes.memmove(at, at.to_bytes(8, "little"), 8)


def be_the_program() -> None:
    areas: dict[str, tuple[int, int]] = {}
    laid = get(3000 * PAGE, mmap.MADV_NOHUGEPAGE)
    fill(laid, 3000 * PAGE)
    pages = list(range(laid, laid + 3000 * PAGE, PAGE))
    # By the pattern; but the last hundred are all on node 1.
    move(pages, [1 if i >= 2900 else PATTERN[page // PAGE % 3] for i, page in enumerate(pages)])
    areas["laid"] = laid, 3000 * PAGE
    raw = get(6 << 20)
    huge = -(-raw >> 21) << 21
    mask = ctypes.c_ulong(1 << 2)
    call(MBIND, ctypes.c_void_p(huge), ctypes.c_ulong(4 << 20), BIND, ctypes.byref(mask), 64, 0)
    _libc.madvise(huge, 4 << 20, mmap.MADV_HUGEPAGE)
    fill(huge, 4 << 20)
    areas["huge"] = huge, 4 << 20
    with contextlib.suppress(OSError):
        hugetlb = get(4 << 20, flags=HUGETLB)
        fill(hugetlb, 4 << 20)
        areas["hugetlb"] = hugetlb, 4 << 20
    merged = get(256 * PAGE, mmap.MADV_NOHUGEPAGE)
    fill(merged, 256 * PAGE, same=True)
    _libc.madvise(merged, 256 * PAGE, MERGEABLE)
    areas["merged"] = merged, 256 * PAGE
    swapped = get(64 * PAGE, mmap.MADV_NOHUGEPAGE)
    fill(swapped, 64 * PAGE)
    _libc.madvise(swapped, 64 * PAGE, PAGEOUT)
    areas["swapped"] = swapped, 64 * PAGE
    read = get(32 * PAGE, mmap.MADV_NOHUGEPAGE)
    for at in range(read, read + 32 * PAGE, PAGE):
        ctypes.string_at(at, 1)
    areas["read"] = read, 32 * PAGE
    print(json.dumps(areas), flush=True)
    child = 0
    for line in sys.stdin:
        if line == "ask\n":
            status = {n: move(list(range(a, a + s, PAGE)), None) for n, (a, s) in areas.items()}
            print(json.dumps(status), flush=True)
        elif line == "fork\n":
            child = os.fork()
            if not child:
                # Writes to half of the pages, so that these are its own.
                for at in pages[:1500]:
                    ctypes.memset(at, 9, 8)
                os.write(1, b"forked\n")
                time.sleep(600)
                os._exit(0)
    if child:
        os.kill(child, 9)
        os.waitpid(child, 0)


class Program:
    """The program, spoken with."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-S", __file__, "program"], stdin=-1, stdout=-1, text=True
        )
        self.pid = self.process.pid
        self.areas: dict[str, list[int]] = json.loads(self.read())

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def tell(self, word: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.read()

    def ask(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = json.loads(self.tell("ask"))
        return found


def prepare() -> bool:
    """Nothing may move by itself; huge pages, KSM, and swap are there. Whether there is swap."""
    Path("/proc/sys/kernel/numa_balancing").write_text("0")
    Path("/proc/sys/vm/nr_hugepages").write_text("4")
    # It would make a huge page of the program's heap between two looks.
    (KHUGEPAGED / "pages_to_scan").write_text("1")
    (KHUGEPAGED / "scan_sleep_millisecs").write_text("600000")
    (KSM / "pages_to_scan").write_text("10000")
    (KSM / "sleep_millisecs").write_text("10")
    (KSM / "run").write_text("1")
    for words in (["modprobe", "zram"], ["mkswap", "/dev/zram0"], ["swapon", "/dev/zram0"]):
        if words[0] == "mkswap" and Path("/sys/block/zram0").exists():
            Path("/sys/block/zram0/disksize").write_text("32M")
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"no swap here: {words}: {done.stderr.strip()}", flush=True)
            return False
    return True


class Look:
    """What is seen from outside."""

    def __init__(self, *, has_swap: bool) -> None:
        self.has_swap = has_swap
        self.program = Program()
        self.wait_until_merged()
        self.status = self.program.ask()

    @property
    def pid(self) -> int:
        return self.program.pid

    def start_of(self, area: str) -> int:
        return self.program.areas[area][0]

    def wait_until_merged(self) -> None:
        from hmexp.program.look.scan import open_sight

        began, count = time.monotonic(), Path(f"/proc/{self.pid}/ksm_merging_pages")
        while int(count.read_text()) < 250 and time.monotonic() - began < 90:
            time.sleep(0.2)
        (KSM / "run").write_text("0")
        with open_sight(self.pid) as sight:
            self.sees_merged = sight.sees_merged
            say(f"seen by frames: {sight.frames_shown}, PAGEMAP_SCAN: {sight.categories:#x}")

    def look_at_every_page(self) -> None:
        import numpy as np

        from hmexp.native.foreign import Sight
        from hmexp.program.look.scan import open_sight

        ways = {"frames": open_sight(self.pid), "query": Sight(self.pid)}
        ways["no scan"] = Sight(self.pid, ways["frames"].blocks, categories=0)
        for name, (start, size) in self.program.areas.items():
            its_own = np.maximum(np.array(self.status[name]), -1)
            scans = {way: sight.scan(start, start + size) for way, sight in ways.items()}
            for way, scan in scans.items():
                differing = np.flatnonzero(scan.node != its_own)[:5]
                assert not differing.size, (way, name, differing, scan.node[differing], its_own[differing])
            assert (scans["no scan"].flags == scans["frames"].flags).all(), name
        for sight in ways.values():
            sight.close()
        say(f"every page as the program finds it itself: {sum(map(len, self.status.values()))} pages")

    def look_against_patterns(self) -> None:
        from hmexp.pattern import Pattern
        from hmexp.program.placement import read_placement

        self.found = read_placement(self.pid, against=Pattern(PATTERN))
        self.mappings = {m.start: m for m in self.found.mappings}
        laid = self.mappings[self.start_of("laid")]
        nodes = self.status["laid"]
        right = sum(node == PATTERN[(laid.start // PAGE + i) % 3] for i, node in enumerate(nodes))
        assert (laid.verdict.in_place, laid.verdict.misplaced) == (right, 3000 - right) == (2900, 100), laid
        assert laid.pages.by_node == {n: nodes.count(n) for n in (0, 1, 2)}, laid.pages
        say(f"against 0,2,2: {right} in place, {3000 - right} misplaced")
        wrong = read_placement(self.pid, against=Pattern((2, 0, 2)))
        [shifted] = [m for m in wrong.mappings if m.start == laid.start]
        assert shifted.verdict.in_place < 1100
        for start in (area[0] for area in self.program.areas.values()):
            assert self.mappings[start].agrees, self.mappings[start]
        # Its interpreter may touch a page of its heap between the two looks, once it has answered.
        for _ in range(3):
            if not (again := read_placement(self.pid)).disagreements:
                break
        assert again.disagreements == () and all(m.agrees for m in again.mappings), again.disagreements
        say(f"numa_maps agrees on all {len(self.mappings)} mappings")
        assert self.found.by_kind["nvm"] == self.found.by_node[1] + self.found.by_node[2]
        say(f"by kind: {self.found.by_kind}")

    def look_at_huge_pages(self) -> None:
        from hmexp.pattern import Pattern
        from hmexp.program.placement import read_placement

        huge = self.mappings[self.start_of("huge")]
        assert huge.pages.by_node == {2: 1024} and huge.policy == "bind:2", huge
        say(f"huge: {huge.pages.huge} of {huge.pages.present} pages, policy {huge.policy}")
        assert huge.pages.huge == 1024 and huge.verdict.straddling == huge.verdict.misplaced > 300, huge
        found = read_placement(self.pid, against=Pattern((2,)), granule_bytes=2 << 20)
        [of_2_mib] = [m for m in found.mappings if m.start == huge.start]
        assert (of_2_mib.verdict.in_place, of_2_mib.verdict.straddling) == (1024, 0)
        if "hugetlb" in self.program.areas:
            hugetlb = self.mappings[self.start_of("hugetlb")]
            assert (hugetlb.sort, hugetlb.page_bytes) == ("anonymous", 2 << 20), hugetlb
            assert sum(hugetlb.pages.by_node.values()) == hugetlb.pages.huge == 1024, hugetlb
            say(f"hugetlb: {hugetlb.pages.by_node} pages of 4 KiB in pages of 2 MiB")

    def look_at_odd_pages(self) -> None:
        merged = self.mappings[self.start_of("merged")].pages
        say(f"KSM: {merged.merged} of {merged.present} pages merged, {merged.shared} shared")
        assert merged.shared >= 250
        # Linux 6.12 says of all anonymous pages that they are merged: none is believed, and that is said.
        assert (merged.merged >= 250) is self.sees_merged
        assert any("KSM has merged (2" in text for text in self.found.unseen) is not self.sees_merged
        read = self.mappings[self.start_of("read")].pages
        assert (read.zero, read.present) == (32, 0), read
        swapped = self.mappings[self.start_of("swapped")].pages
        if self.has_swap:
            assert (swapped.swapped, swapped.present) == (64, 0), swapped
            say(f"swapped out: {swapped.swapped} pages")

    def look_at_a_child(self) -> None:
        from hmexp.pattern import Pattern
        from hmexp.program.placement import read_placement

        assert self.program.tell("fork") == "forked\n"
        both = read_placement(self.pid, against=Pattern(PATTERN))
        start = self.start_of("laid")
        of_parent, of_child = (next(m for m in p.mappings if m.start == start) for p in both.processes)
        assert (of_parent.pages.shared, of_child.pages.shared) == (1500, 1500)
        assert of_parent.verdict.in_place == 2900
        assert of_parent.verdict.unmovable == 100, of_parent.verdict
        # What the child wrote is on the node that its CPU is on.
        assert of_child.pages.by_node[0] >= 1500, of_child.pages
        assert of_child.verdict.misplaced >= 1000 + 100 - 10
        assert both.disagreements == ()
        copies = of_child.verdict.misplaced
        say(f"after a fork: {of_parent.pages.shared} pages shared; of the child's, {copies} misplaced")

    def print_it(self) -> None:
        from hmexp.cli.main import main

        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main(["placement", "--pid", str(self.pid), "--against", "0,2,2"])
        say(printed.getvalue())
        assert "misplaced" in printed.getvalue()
        assert "unmovable: shared with another process" in printed.getvalue()
        assert self.program.process.stdin is not None
        self.program.process.stdin.close()
        self.program.process.wait(60)


def say(text: str) -> None:
    print(text, flush=True)


def look(*, has_swap: bool) -> None:
    looked = Look(has_swap=has_swap)
    looked.look_at_every_page()
    looked.look_against_patterns()
    looked.look_at_huge_pages()
    looked.look_at_odd_pages()
    compare_with_smaps(looked.pid, looked.mappings)
    compare_with_numastat(looked.pid, looked.found.by_node)
    looked.look_at_a_child()
    looked.print_it()
    say("all seen")


def compare_with_smaps(pid: int, mappings: dict[int, Any]) -> None:
    """Totals of each mapping are those of smaps, huge pages of both kinds included."""
    compared = 0
    for line in Path(f"/proc/{pid}/smaps").read_text().split("\n"):
        name, _, value = line.partition(":")
        if not value.endswith(" kB"):
            with contextlib.suppress(ValueError):
                current = mappings.get(int(line.split("-")[0], 16))
            continue
        kib = int(value.split()[0])
        if current is None or current.sort == "special":
            continue
        if name == "Rss" and current.page_bytes == PAGE:  # hugetlb is not in Rss
            assert current.pages.present * PAGE == kib * 1024, (current, kib)
            compared += 1
        if name == "Private_Hugetlb" and current.page_bytes > PAGE:
            assert current.pages.present * PAGE == kib * 1024, (current, kib)
            compared += 1
        if name == "AnonHugePages" and current.page_bytes == PAGE:
            assert current.pages.huge * PAGE == kib * 1024, (current, kib)
        if name == "Swap":
            assert current.pages.swapped * PAGE == kib * 1024, (current, kib)
    print(f"smaps has the same totals for {compared} mappings", flush=True)


def compare_with_numastat(pid: int, by_node: dict[int, int]) -> None:
    if shutil.which("numastat") is None:
        print("no numastat here: Debian has it in numactl", flush=True)
        return
    done = subprocess.run(["numastat", "-p", str(pid)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no numastat here: {done.stderr.strip()}", flush=True)
        return
    total = next(line for line in done.stdout.split("\n") if line.startswith("Total")).split()[1:-1]
    for node, mib in enumerate(map(float, total)):
        assert abs(by_node.get(node, 0) * PAGE / 2**20 - mib) < 0.02, (node, mib, by_node)
    print(f"numastat has the same by node [MiB]: {' '.join(total)}", flush=True)


if __name__ == "__main__":
    if "program" in sys.argv:
        be_the_program()
    else:
        look(has_swap=prepare())
