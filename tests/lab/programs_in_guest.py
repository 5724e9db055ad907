"""Programs under `hmexp run` on a machine with several nodes; run inside the lab by test_programs.py.

Arguments: a directory for results, and the kernel module. One line is printed for each thing that was seen;
what is not as it should be is printed, too, and the others are still looked at. Commands run in forked
children, so that Python need not load everything each time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hmexp import native
from hmexp.cli.main import main
from hmexp.native import PAGE_BYTES, PageMapping, Spreading
from hmexp.pattern import Pattern
from hmexp.program.placement import read_placement
from hmexp.store.program_records import ProgramRun
from hmexp.store.programs import read_program
from hmexp.system.settings import HERE
from hmexp.system.sysfs import read_text
from hmexp.system.topology import read_topology

RESULTS, MODULE = map(Path, sys.argv[1:])
#: Not where the kernel's automatic weights could not be restored (Linux 6.16 and later without an HMAT).
WEIGHTED = bool(HERE.weight_files()[0]) and HERE.one_way_mode() is None
STARTED = time.monotonic()
FAILED: list[str] = []
#: Maps memory [MiB], touches it, and prints the node of each page, as move_pages has it, by its page number.
PROGRAM = RESULTS / "program.py"
PROGRAM.write_text("""
import ctypes, json, mmap, sys
size, period = int(sys.argv[1]) << 20, int(sys.argv[2])
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
for at in range(0, size, 4096):
    memory[at] = 1
libc = ctypes.CDLL(None, use_errno=True)
def where():
    counts = {}
    for first in range(0, size, 4096 << 12):
        pages = min(1 << 12, (size - first) // 4096)
        lists = (ctypes.c_void_p * pages)(*(base + first + 4096 * page for page in range(pages)))
        nodes = (ctypes.c_int * pages)()
        assert libc.syscall(279, 0, ctypes.c_ulong(pages), lists, None, nodes, 0) == 0
        for address, node in zip(lists, nodes):
            key = f"{address // 4096 % period}:{node}"
            counts[key] = counts.get(key, 0) + 1
    return counts
print(json.dumps(where()), flush=True)
for line in sys.stdin:
    print(line.strip(), sum(memory[at] for at in range(0, size, 4096)) == size // 4096, flush=True)
""")


def say(text: str) -> None:
    line = f"{text}  [{time.monotonic() - STARTED:.0f} s]"
    print(line, flush=True)
    with (RESULTS / "log").open("a") as log:
        print(line, file=log)  # seen outside while the guest runs


class Run:
    """A command of hmexp in a child, with its streams in pipes and files."""

    def __init__(self, *words: str) -> None:
        self.given_r, self.given = os.pipe()
        self.out, self.out_w = os.pipe()
        self.errors = RESULTS / f"stderr-{time.monotonic_ns()}"
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(self.given_r, 0)
            os.dup2(self.out_w, 1)
            os.dup2(os.open(self.errors, os.O_CREAT | os.O_WRONLY, 0o600), 2)
            os.closerange(3, 50)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            status = 99
            try:
                main(list(words))
            except SystemExit as end:
                status = int(str(end.code or 0))
            except BaseException:  # noqa: BLE001 # or it would run on as a second one of us
                traceback.print_exc()
            os._exit(status)
        os.close(self.given_r)
        os.close(self.out_w)
        self.lines = os.fdopen(self.out)

    def line(self) -> str:
        found = self.lines.readline()
        if not found:
            raise AssertionError(f"no output; {self.errors.read_text()}")
        return found.strip()

    def send(self, text: str) -> None:
        os.write(self.given, f"{text}\n".encode())

    def end(self) -> tuple[int, str]:
        """Close its input and wait; its status and its standard error."""
        os.close(self.given)
        _, raw = os.waitpid(self.pid, 0)
        self.lines.close()
        return os.waitstatus_to_exitcode(raw), self.errors.read_text()


def hmexp(*words: str) -> tuple[int, str]:
    return Run(*words).end()


def run_program(record: str, pattern: str, *more: str, mib: int = 256) -> Run:
    period = str(pattern.count(",") + 1)
    options = ("--pattern", pattern, "--record", str(RESULTS / record), *more)
    return Run("run", *options, "--", sys.executable, str(PROGRAM), str(mib), period)


def record_of(name: str) -> ProgramRun:
    return read_program(RESULTS / name)


def weights() -> dict[int, str | None]:
    return {node: read_text(path) for node, path in HERE.weight_files()[0].items()}


def check(name: str) -> Callable[[Callable[[], str]], None]:
    """Do one thing, and say what was seen."""

    def carry_out(what: Callable[[], str]) -> None:
        try:
            say(f"{name}: {what()}")
        except Exception:  # noqa: BLE001 # the others are looked at all the same
            FAILED.append(name)
            say(f"FAILED {name}: {traceback.format_exc()}")

    return carry_out


def fill(node: int, leave_mib: int) -> PageMapping:
    """Take the memory of a node but for so much."""
    free = next(each.free_bytes for each in read_topology().nodes if each.id == node)
    mapping = PageMapping((free - (leave_mib << 20)) // (2 << 20) * (2 << 20))
    native.spread(mapping, Pattern((node,), PAGE_BYTES), Spreading.ANY)
    native.populate(mapping)
    return mapping


BEFORE = weights()
say(f"Linux {os.uname().release}, weights {BEFORE}, {[node.id for node in read_topology().memory_nodes]}")


@check("even shares are exact")
def _() -> str:
    running = run_program("even", "0,2", "--via", "policy")
    counts = json.loads(running.line())
    status, errors = running.end()
    assert status == 0, errors
    assert set(counts) == {"0:0", "1:2"}, counts
    found = record_of("even")
    assert (
        found.promise == "exact" and found.status == 0 and found.settings.keys() == {"kernel.numa_balancing"}
    )
    return f"{counts}; {errors.splitlines()[1].strip()}"


if WEIGHTED:

    @check("1:2 is exact, weights are held, shared, refused, and put back")
    def _() -> str:
        running = run_program("exact", "0,2,2", "--via", "policy", "--look-every", "0.2")
        counts = json.loads(running.line())
        assert set(counts) == {"0:0", "1:2", "2:2"}, counts
        assert weights() == BEFORE | {0: "1", 2: "2"}, weights()
        pid = record_of("exact").pid
        seen = read_placement(pid, against=Pattern((0, 2, 2), PAGE_BYTES))
        # Pages that mremap has moved to another address keep their nodes.
        assert seen.in_place > 65_536 and seen.misplaced < 100, (seen.in_place, seen.misplaced, seen.outside)
        status, errors = hmexp("run", "--pattern", "0,2,2,2", "--via", "policy", "--", "touch", "/tmp/never")
        assert status == 125 and "at 2, and 3 is wanted" in errors, (status, errors)
        assert str(running.pid) in errors and not Path("/tmp/never").exists()
        shared = run_program("shared", "0,2,2", "--via", "policy", mib=16)
        assert set(json.loads(shared.line())) == {"0:0", "1:2", "2:2"}
        assert shared.end()[0] == 0
        assert weights() == BEFORE | {0: "1", 2: "2"}, weights()
        running.send("alive")
        assert running.line() == "alive True"
        status, errors = running.end()
        assert status == 0 and weights() == BEFORE, (status, errors, weights())
        last = record_of("exact").shown_placement
        assert last is not None and last.in_place > 65_536 and last.misplaced < 100, last
        ratio = last.anonymous_by_node[2] / last.anonymous_by_node[0]
        assert abs(ratio / 2 - 1) < 0.02, last
        return f"{counts}; {errors.splitlines()[-2].strip()}; refused: a run of other weights"

    @check("killed, the program lives on, and the next command puts the weights back")
    def _() -> str:
        running = run_program("killed", "0,2,2", "--via", "policy", mib=64)
        running.line()
        os.kill(running.pid, signal.SIGKILL)
        os.waitpid(running.pid, 0)
        assert weights() == BEFORE | {0: "1", 2: "2"}
        running.send("alive")
        assert running.line() == "alive True"
        status, errors = hmexp("nodes")
        assert status == 0 and "was killed" in errors and weights() == BEFORE, (errors, weights())
        running.send("still")
        assert running.line() == "still True"
        os.close(running.given)
        found = record_of("killed")
        assert found.status is None
        return errors.splitlines()[0]

    @check("another phase has the ratio alone")
    def _() -> str:
        running = run_program("phase", "2,0,2", "--via", "policy")
        counts = json.loads(running.line())
        status, errors = running.end()
        total = sum(counts.values())
        slow = sum(pages for key, pages in counts.items() if key.endswith(":2"))
        assert status == 0 and abs(slow / total / (2 / 3) - 1) < 0.02, counts
        found = record_of("phase")
        assert found.promise == "ratio" and "the ratio only" in found.why
        return f"{slow} of {total} on node 2; {errors.splitlines()[0]}"

else:

    @check("without weights, other shares are refused with another way")
    def _() -> str:
        status, errors = hmexp("run", "--pattern", "0,2,2", "--via", "policy", "--", "touch", "/tmp/never")
        why = "could not be restored" if HERE.weight_files()[0] else "does not know MPOL_WEIGHTED_INTERLEAVE"
        assert status == 125 and why in errors and "--via follow" in errors, errors
        assert not Path("/tmp/never").exists()
        return errors.strip().replace("\n", " ")


@check("followed: all in place while it runs; and the first of the ways that is possible")
def _() -> str:
    running = run_program("followed", "0,2,2", "--via", "follow", "--look-every", "0.2", mib=64)
    running.line()
    pid, pattern = record_of("followed").pid, Pattern((0, 2, 2), PAGE_BYTES)
    deadline = time.monotonic() + 120
    while (seen := read_placement(pid, against=pattern)).misplaced or seen.in_place < 16_384:
        assert time.monotonic() < deadline, (seen.in_place, seen.misplaced, seen.outside)
        time.sleep(0.5)
    running.send("alive")
    assert running.line() == "alive True"
    status, errors = running.end()
    found = record_of("followed")
    assert status == 0 and found.following is not None and found.following.page_moves > 5_000, errors
    assert found.promise == "exact" and found.settings["kernel.numa_balancing"].used is not None
    running = run_program("auto", "0,2,2", mib=16)
    running.line()
    assert running.end()[0] == 0
    auto = record_of("auto")
    assert (auto.asked, auto.way) == ("auto", "policy" if WEIGHTED else "follow")
    assert [each.way for each in auto.refused] == (["preload"] if WEIGHTED else ["preload", "policy"])
    return f"{errors.splitlines()[-2].strip()}; auto: {auto.way}, not {auto.refused[0].reason}"


@check("preload: exact, static programs refused, and the first of the ways")
def _() -> str:
    subprocess.run(["insmod", MODULE], check=True)
    running = run_program("preload", "2,0,2", "--via", "preload", "--look-every", "0.2")
    counts = json.loads(running.line())
    running.send("alive")
    assert running.line() == "alive True"
    status, errors = running.end()
    assert status == 0 and set(counts) == {"0:2", "1:0", "2:2"}, (status, counts, errors)
    found = record_of("preload")
    assert found.promise == "exact" and "LD_PRELOAD" in found.environment
    status, static = hmexp("run", "--via", "preload", "--pattern", "0,2", "--", "/sbin/ldconfig", "-p")
    assert status == 125 and "statically" in static and "--via follow" in static, static
    status, short = hmexp("run", "--pattern", "0,2", "--record", "none", "--", "sh", "-c", "exit 6")
    assert status == 6 and "hmexp run: preload: " in short, short
    subprocess.run(["rmmod", "hybridmem"], check=True)
    return f"{counts}; {errors.splitlines()[1].strip()}; {static.splitlines()[0]}"


@check("Redis")
def _() -> str:
    server, cli = shutil.which("redis-server"), shutil.which("redis-cli")
    if server is None or cli is None:
        return "not installed here"
    pattern = "0,2,2" if WEIGHTED else "0,2"
    folder = RESULTS / "redis"
    folder.mkdir()
    words = [server, "--port", "7777", "--save", "", "--dir", str(folder), "--logfile", "log"]
    words += ["--enable-debug-command", "local"]
    running = Run("run", "--pattern", pattern, "--via", "policy", "--record", str(folder), "--", *words)

    def ask(*command: str) -> str:
        done = subprocess.run([cli, "-p", "7777", *command], capture_output=True, text=True)
        return done.stdout.strip()

    deadline = time.monotonic() + 120
    while ask("PING") != "PONG":
        assert time.monotonic() < deadline, running.errors.read_text()
        time.sleep(0.2)
    assert ask("DEBUG", "POPULATE", "220000", "key", "1000") == "OK" and ask("DBSIZE") == "220000"
    pid = read_program(folder).pid
    seen = read_placement(pid, against=Pattern.parse(pattern))
    counts = seen.anonymous_by_node
    assert sum(counts.values()) * PAGE_BYTES > 200 << 20, counts
    ratio, wanted = counts[2] / counts[0], 2 if WEIGHTED else 1
    assert abs(ratio / wanted - 1) < 0.02, counts
    ask("BGSAVE")
    while "rdb_bgsave_in_progress:1" in ask("INFO", "persistence"):
        time.sleep(0.5)
    assert "rdb_last_bgsave_status:ok" in ask("INFO", "persistence")
    ask("SHUTDOWN", "NOSAVE")
    status, errors = running.end()
    assert status == 0 and weights() == BEFORE, (status, errors)
    found = read_program(folder)
    assert found.shown_placement is not None
    return f"{counts} in place {seen.in_place}, misplaced {seen.misplaced}; {errors.splitlines()[1].strip()}"


@check("one node, first touch, tiering and numactl")
def _() -> str:
    running = run_program("node", "2", "--via", "node", mib=64)
    assert set(json.loads(running.line())) == {"0:2"}
    assert running.end()[0] == 0
    running = run_program("default", "0", "--via", "default", mib=16)
    counts = json.loads(running.line())
    assert set(counts) == {"0:0"}, counts  # the only node with CPUs
    assert running.end()[0] == 0
    files = [HERE.numa_balancing, HERE.demotion]
    before = [read_text(path) for path in files]
    running = Run("run", "--via", "tiering", "--record", "none", "--", "cat", *map(str, files))
    assert [running.line(), running.line()] == ["2", "true"], running.errors.read_text()
    assert running.end()[0] == 0 and [read_text(path) for path in files] == before
    numactl = shutil.which("numactl")
    if numactl is None:
        status, errors = hmexp("run", "--via", "numactl", "--pattern", "0,2", "--", "true")
        assert status == 125 and "not installed" in errors
        return f"node 2 alone; first touch {counts}; tiering 2, true, then {before}; numactl is not installed"
    running = run_program("numactl", "0,2", "--via", "numactl", mib=64)
    even = json.loads(running.line())
    status, errors = running.end()
    total, slow = sum(even.values()), sum(pages for key, pages in even.items() if key.endswith(":2"))
    # Whole huge pages take turns.
    assert status == 0 and abs(slow / total - 0.5) < 0.1, (status, errors, even)
    return f"node 2 alone; first touch {counts}; tiering 2, true, then {before}; numactl"


@check("a node outside of the cpuset is refused")
def _() -> str:
    group = Path("/tmp/groups")
    group.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", group], check=True)
    (group / "cgroup.subtree_control").write_text("+cpuset")
    inner = group / "inner"
    inner.mkdir()
    (inner / "cpuset.mems").write_text("0")
    pid = os.fork()
    if pid == 0:
        (inner / "cgroup.procs").write_text(str(os.getpid()))
        status, errors = hmexp("run", "--pattern", "0,2", "--", "touch", "/tmp/never")
        (RESULTS / "cpuset").write_text(f"{status} {errors}")
        os._exit(0)
    os.waitpid(pid, 0)
    text = (RESULTS / "cpuset").read_text()
    assert text.startswith("125 ") and "node 2 may not be used" in text and not Path("/tmp/never").exists(), (
        text
    )
    return text.splitlines()[0]


@check("a full node is refused; one that fills up is survived and reported")
def _() -> str:
    pattern = "0,2,2" if WEIGHTED else "0,2"
    filler = fill(2, 100)
    running = run_program("spill", pattern, "--via", "policy", "--look-every", "0.2")
    counts = json.loads(running.line())
    time.sleep(1.5)
    running.send("alive")
    assert running.line() == "alive True"
    status, errors = running.end()
    found = record_of("spill").fallen_back
    assert status == 0 and found is not None and found.text is not None, errors
    assert found.missed.get(2, 0) > 0 and (found.misplaced_pages or 0) > 1000, found
    assert "warning: the kernel took other nodes" in errors, errors
    more = fill(2, 10)
    status, errors = hmexp("run", "--pattern", pattern, "--", "touch", "/tmp/never")
    more.close()
    filler.close()
    assert status == 125 and "node 2 is full" in errors and not Path("/tmp/never").exists(), (status, errors)
    return f"{counts}: {found.text}; {errors.splitlines()[0]}"


@check("movable memory alone is warned of")
def _() -> str:
    blocks = sorted(Path("/sys/devices/system/node/node1").glob("memory*/state"))
    for word in ("offline", "online_movable"):
        for block in blocks:
            try:
                block.write_text(word)
            except OSError:
                continue  # the kernel has something there that cannot move
    running = run_program("movable", "1", "--via", "node", mib=16)
    running.line()
    status, errors = running.end()
    zones = [
        line for line in Path("/proc/zoneinfo").read_text().splitlines() if line.startswith("Node 1, zone")
    ]
    assert status == 0, errors
    if "movable memory alone" not in errors:
        return f"could not be made here: {zones}"
    return errors.splitlines()[0]


say("all seen" if not FAILED else f"not as they should be: {FAILED}")
sys.exit(1 if FAILED else 0)
