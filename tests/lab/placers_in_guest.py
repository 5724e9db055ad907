"""Every placer on a machine with three nodes; run inside the lab by test_placers.py.

Arguments: the kernel module, and a directory for results. One line is printed for each thing that was seen.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import hmexp
from hmexp import native
from hmexp.errors import PlacerUnavailableError, PlacerUnsuitableError
from hmexp.experiment.engine import Outcome
from hmexp.experiment.task import Task
from hmexp.experiment.worker import run
from hmexp.memory.emulation import Emulation, EmulationRequest, NodeSpeed
from hmexp.memory.placement import check_placement
from hmexp.memory.placers import PLACERS, Placer
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.store.machine import EmulationRecord
from hmexp.store.parts import SettingRecord
from hmexp.store.records import LaunchRecord
from hmexp.store.writer import encode
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.sweep.point import SweepPoint
from hmexp.sweep.run import run_sweep
from hmexp.system.settings import HERE, NUMA_BALANCING, interleave_weights, repair, without_numa_balancing
from hmexp.system.sysfs import read_text
from hmexp.system.topology import read_topology

MODULE, RESULTS = sys.argv[1:]
TOPOLOGY = read_topology()
ORDERS = ("0,2,2", "2,0", "0,2,0,0,2", str(Pattern.from_ratio({0: 7, 2: 5})))
#: Granule [bytes], and granules in a region.
SIZES = ((4096, 602), (65536, 17), (2 << 20, 4))
SYS_MOVE_PAGES, SYS_USERFAULTFD = 279, 323
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"{text}  [{time.monotonic() - STARTED:.0f} s]", flush=True)


def in_child(work: Callable[[], None]) -> int:
    """Do something in a process of its own; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        status = 130
    except BaseException:  # noqa: BLE001 - nothing may come back from a child
        print(f"child: {traceback.format_exc()}", flush=True)
    os._exit(status)


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for(what: Callable[[], object], why: str, seconds: float = 400) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"waited in vain for {why}"
        time.sleep(0.05)


def patterns_of(placer: Placer) -> list[Pattern]:
    """What a placer can do of all there is; what it cannot, it must refuse."""
    every = [Pattern.parse(order, granule) for order in ORDERS for granule, _ in SIZES]
    able = []
    for pattern in every:
        if placer.unsuitable(pattern) is None:
            able.append(pattern)
            continue
        try:
            hmexp.allocate(pattern.period_bytes, pattern, placer, topology=TOPOLOGY).close()
        except PlacerUnsuitableError:
            continue
        raise AssertionError(f"{placer.name} did what it said it cannot")
    return able


def matrix(placer: Placer) -> None:
    able = patterns_of(placer)
    for pattern in able:
        granules = dict(SIZES)[pattern.granule_bytes]
        size_bytes = granules * pattern.granule_bytes - 3 * PAGE_BYTES
        assert size_bytes % pattern.period_bytes
        with hmexp.allocate(size_bytes, pattern, placer, topology=TOPOLOGY) as region:
            placement = region.placement().require()
            assert placement.numa_maps == placement.found and not placement.absent
            assert placement.exact_order is placer.exact_order
            if placer.exact_order:
                assert placement.misplaced == 0 and placement.found == placement.expected
            assert sum(placement.found.values()) == region.pages
    say(f"{placer.name}: {len(able)} layouts proven")


def huge(placer: Placer) -> None:
    pattern = Pattern.parse("0,2,2", 2 << 20)
    if placer.unsuitable(pattern, huge=True) is not None:
        return
    with hmexp.allocate(4 << 21, pattern, placer, topology=TOPOLOGY, huge=True) as region:
        share = region.placement().require().huge_share
    if placer.name == "hybridmem" and os.uname().release.startswith("5.10"):
        assert share == 0, share  # its kernel has no folios
    else:
        assert share == 1, share
    say(f"{placer.name}: huge pages proven, {share:.0%}")


def two_regions_at_once(placer: Placer) -> None:
    orders = ("0,2", "2,1") if placer.name == "interleave" else ("0,2,2", "2,0,0,0")
    regions: dict[str, hmexp.Region] = {}

    def allocate(order: str) -> None:
        regions[order] = hmexp.allocate(701 * PAGE_BYTES, order, placer, topology=TOPOLOGY)

    threads = [threading.Thread(target=allocate, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(regions) == 2
    for region in regions.values():
        region.placement().require()
        region.close()
    say(f"{placer.name}: two regions at once proven")


def two_processes_at_once(placer: Placer) -> None:
    """Weights are the machine's: who sets them must make other processes wait."""
    if placer.name != "weighted":
        return

    def allocate(order: str) -> None:
        for _ in range(5):
            with hmexp.allocate(301 * PAGE_BYTES, order, placer, topology=TOPOLOGY) as region:
                region.placement().require()

    children = [in_child(lambda order=order: allocate(order)) for order in ("0,0,0,2", "0,1,2,2", "2,1")]
    assert [status_of(pid) for pid in children] == [0, 0, 0]
    assert settings() == BEFORE
    say(f"{placer.name}: three processes at once proven")


def two_threads_in_one_region(placer: Placer) -> None:
    """One populates; the other touches the pages meanwhile, from the end."""
    pattern = Pattern.parse("0,2" if placer.name == "interleave" else "2,0,0", PAGE_BYTES)
    mapping = placer.map(901 * PAGE_BYTES, PAGE_BYTES, pattern)
    if placer.lazy:
        placer.bind(mapping, pattern)  # type: ignore[attr-defined]
        threads = [threading.Thread(target=native.touch, args=(mapping,)) for _ in range(2)]
    else:
        memory = (ctypes.c_char * mapping.size_bytes).from_address(mapping.address)

        def touch() -> None:
            for at in range(mapping.size_bytes - PAGE_BYTES, -1, -PAGE_BYTES):
                memory[at] = b"\0"

        threads = [
            threading.Thread(target=placer.place, args=(mapping, pattern)),
            threading.Thread(target=touch),
        ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    placement = check_placement(mapping, pattern, exact_order=placer.exact_order)
    if placer.lazy or placer.name == "move_pages":
        placement.require()
        how = "proven"
    else:
        # Whose touch comes first decides: it may be wrong, and then the proof must say so.
        pages = mapping.size_bytes // PAGE_BYTES
        found = native.query_nodes(mapping, 0, pages)
        wrong = int((found != pattern.page_nodes(0, pages, PAGE_BYTES)).sum())
        if placer.exact_order:
            assert placement.misplaced == wrong and placement.ok is (wrong == 0), placement
        else:
            counts = {int(node): int((found == node).sum()) for node in set(found)}
            near = abs(counts.get(2, 0) - pages / 3) <= 2
            assert placement.found == counts and placement.ok is near, (placement, counts)
        how = f"reported as it is, {placement.misplaced} misplaced"
    mapping.close()
    say(f"{placer.name}: two threads in one region {how}")


def measure_point(
    order: str,
    placer: str,
    size_bytes: int = 1 << 20,
    seconds: float = 0.001,
    emulation: EmulationRecord | None = None,
) -> LaunchRecord:
    """Measure a point as the worker does."""
    point = SweepPoint(order, PAGE_BYTES, size_bytes, placer, "read", 1, 3, seconds, None)
    task = Task(
        point_id=point.id, parameters=point.to_record(), emulation=emulation, dram_nodes=(0,), cpus=(0,)
    )
    return run(task)


def refuses(name: str, *words: str) -> None:
    """A placer that is not here: an error from `allocate`, and a point that is skipped and recorded."""
    obstacle = PLACERS[name].unavailable()
    assert obstacle is not None and obstacle.remedy, f"{name} is here"
    for word in words:
        assert word in str(obstacle), obstacle
    try:
        hmexp.allocate("1MiB", "0,2", name, topology=TOPOLOGY)
        said = "it is there"
    except PlacerUnavailableError as error:
        said = str(error)
    assert obstacle.reason in said and obstacle.remedy in said, said
    record = measure_point("0,2", name)
    assert record.status == "skipped" and record.error == "PlacerUnavailableError", record
    assert record.reason is not None
    assert obstacle.reason in record.reason and obstacle.remedy in record.reason, record
    say(f"{name} refuses: {obstacle.reason}")


def automatic_weights() -> None:
    """A mode that could not be had back is not left; its owner may leave it."""
    one_way = HERE.one_way_mode()
    if one_way is None:
        say("weights: nothing automatic that would not come back")
        return
    refuses("weighted", "could not be restored afterwards", "echo false >")
    assert settings() == BEFORE
    for path in HERE.weight_files()[1]:
        path.write_text("false")


def as_points() -> None:
    """Each placer as the worker does it: measured, or skipped with reason and remedy."""
    for name, placer in PLACERS.items():
        order = "0,2" if name == "interleave" else "0,2,2"
        record = measure_point(order, name)
        obstacle = placer.unavailable()
        if obstacle is None:
            assert record.status == "ok", record
            assert record.settings[NUMA_BALANCING] == SettingRecord(before="1", used="0", note=None), record
            if name == "weighted":
                assert record.settings["weighted_interleave.node2"].used == "2"
        else:
            assert record.status == "skipped" and record.error == "PlacerUnavailableError"
            assert record.reason is not None
            assert obstacle.reason in record.reason and obstacle.remedy in record.reason
        say(f"{name}: as a point {record.status}")
    record = measure_point("0,2,2", "interleave")
    assert record.status == "skipped" and "same share" in str(record.reason), record
    assert settings() == BEFORE


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def forbid(number: int) -> None:
    """Have a system call refused with EPERM, as a container's filter does."""
    steps = (_Filter * 4)(
        _Filter(0x20, 0, 0, 0),  # load the call's number
        _Filter(0x15, 0, 1, number),
        _Filter(0x06, 0, 0, 0x00050000 | 1),  # SECCOMP_RET_ERRNO, EPERM
        _Filter(0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
    )
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.byref(_Program(4, steps)), 0, 0) == 0  # PR_SET_SECCOMP


def unavailable_here() -> None:
    """Before the module is loaded, and for somebody without rights."""
    refuses("hybridmem", "not loaded", "make -C kernel_module")

    def as_nobody() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        refuses("weighted")
        if PLACERS["userfaultfd"].unavailable() is None:  # faults of programs alone, since Linux 5.11
            matrix(PLACERS["userfaultfd"])
        forbid(SYS_USERFAULTFD)
        # A filter refuses, so the remedy is its rule; CAP_SYS_PTRACE would not help.
        refuses("userfaultfd", "seccomp", "SCMP_ACT_ALLOW")
        with without_numa_balancing() as seen:
            assert seen[NUMA_BALANCING].used == "1" and seen[NUMA_BALANCING].note, seen

    assert status_of(in_child(as_nobody)) == 0


def settings() -> dict[str, str | None]:
    """Each setting that hmexp ever writes, as it is now."""
    nodes, modes = HERE.weight_files()
    return {str(path): read_text(path) for path in (HERE.numa_balancing, *nodes.values(), *modes)}


def settings_come_back() -> None:
    """Of a holder that ends in each way."""
    nodes, _ = HERE.weight_files()

    def hold(work: Callable[[], None]) -> None:
        with without_numa_balancing():
            if not nodes:
                work()
                return
            with interleave_weights({0: 7, 2: 5}):
                assert (read_text(nodes[0]), read_text(nodes[2])) == ("7", "5")
                work()

    def fail() -> None:
        raise ValueError("on purpose")

    def rest() -> None:
        time.sleep(400)

    assert status_of(in_child(lambda: hold(lambda: None))) == 0
    assert settings() == BEFORE
    assert status_of(in_child(lambda: hold(fail))) == 1
    assert settings() == BEFORE
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        pid = in_child(lambda: hold(rest))
        wait_for(lambda: held(nodes), "the settings")
        os.kill(pid, number)
        assert status_of(pid) == status
        if number == signal.SIGKILL:
            assert settings() != BEFORE
            for lines in repair():
                say(lines)
        assert settings() == BEFORE, (number, settings())
        say(f"settings are as before after {signal.Signals(number).name}")


def held(nodes: dict[int, Path]) -> bool:
    return read_text(HERE.numa_balancing) == "0" and (not nodes or read_text(nodes[2]) == "5")


def settings_read_only() -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def alone() -> None:
        assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
        for words in ("--make-rprivate /", "--bind /proc/sys /proc/sys", "-o remount,ro,bind /proc/sys"):
            subprocess.run(["mount", *words.split()], check=True)
        with without_numa_balancing() as seen:
            assert seen[NUMA_BALANCING].used == "1"
            say(f"read-only: {seen[NUMA_BALANCING].note}")

    assert status_of(in_child(alone)) == 0


class Quiet:
    def show(self, progress: object) -> None:
        """Nobody looks."""


def sweep(name: str, seconds: float) -> Outcome:
    parameters = SweepParameters.from_mapping(
        {
            "patterns": ["0,2"], "operations": ["read"], "placers": ["first_touch"], "threads": [1],
            "size": "4MiB", "launches": 1, "precision": 0, "samples": 3, "sample_seconds": seconds,
            "emulate": "none", "results": f"{RESULTS}/{name}",
        }
    )  # fmt: skip
    return run_sweep(make_plan(parameters, TOPOLOGY), Quiet(), say)


def find_workers() -> list[Path]:
    """The folders of the workers' processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"hmexp.experiment.worker" in (folder / "cmdline").read_bytes():
                found.append(folder)
        except OSError:
            continue
    return found


def find_region(folders: list[Path]) -> tuple[int, int] | None:
    """The process among them whose region has all its pages, and the start of that region."""
    for folder in folders:
        try:
            for line in (folder / "numa_maps").read_text().splitlines():
                if "static:0,2 " in line and "N0=512 N2=512" in line:
                    return int(folder.name), int(line.split()[0], 16)
        except OSError:
            continue
    return None


def sabotage(folders: Callable[[], list[Path]], first: int, count: int, node: int) -> None:
    """Wait until a process takes its samples, then move some pages of its region."""
    wait_for(lambda: find_region(folders()), "a region")
    time.sleep(2)
    found = find_region(folders())
    assert found is not None
    pid, address = found
    say(f"takes {count} pages of process {pid}'s region at {address:#x} to node {node}")
    pages = (ctypes.c_void_p * count)(*(address + (first + page) * PAGE_BYTES for page in range(count)))
    nodes, status = (ctypes.c_int * count)(*[node] * count), (ctypes.c_int * count)(*[-1] * count)
    libc = ctypes.CDLL(None, use_errno=True)
    left = libc.syscall(SYS_MOVE_PAGES, pid, ctypes.c_ulong(count), pages, nodes, status, 2)
    assert left == 0 and list(status) == [node] * count, (left, list(status))
    # Samples are still taken: had the process ended by now, its last proof might have come before us.
    time.sleep(1)
    left = libc.syscall(SYS_MOVE_PAGES, pid, ctypes.c_ulong(count), pages, None, status, 0)
    say(f"they are on nodes {list(status)} now ({left})")
    assert left == 0 and list(status) == [node] * count, (left, list(status))


def moved_behind_its_back() -> None:
    saboteur = in_child(lambda: sabotage(find_workers, 0, 10, 1))
    outcome = sweep("sabotage", 5.0)
    assert status_of(saboteur) == 0
    # The other one is all DRAM, to be compared with, and nobody has touched it.
    assert dict(outcome.counts) == {"failed": 1, "ok": 1}, outcome
    records = map(json.loads, (outcome.path / "points.jsonl").read_text().splitlines())
    [record] = [record for record in records if record["status"] == "failed"]
    assert record["error"] == "PlacementError" and record["result"] is None, record
    assert record["proof"]["before"] is None and record["proof"]["after"]["misplaced"] == 10, record
    assert record["proof"]["after"]["found"]["1"] == 10
    assert record["settings"][NUMA_BALANCING] == {"before": "1", "used": "0", "note": None}
    assert settings() == BEFORE
    say(f"caught: {record['reason'].splitlines()[0]}")


def moved_below_an_emulated_node() -> None:
    """Node 5 is emulated on memory of node 2, of which another process takes pages to node 0."""
    host = NodeSpeed(read_gbps=1.0, write_gbps=1.0, latency_ns=100.0)
    emulation = Emulation.scale_to_host(EmulationRequest.parse("5=optane-dcpmm"), host, [0], 2)
    record = RESULTS + "/emulated.json"

    def measure() -> None:
        measured = measure_point("0,5", "first_touch", 4 << 20, 2.0, emulation.to_record())
        Path(record).write_bytes(encode(measured))

    pid = in_child(measure)
    # Every other of them was on node 0 already.
    sabotage(lambda: [Path(f"/proc/{pid}")], 100, 10, 0)
    assert status_of(pid) == 0
    lines = json.loads(Path(record).read_text())
    assert (lines["status"], lines["error"], lines["result"]) == ("failed", "PlacementError", None), lines
    assert lines["emulated"] and lines["proof"]["before"] is None, lines
    after = lines["proof"]["after"]
    assert after["misplaced"] == 5 and after["first_misplaced"] == 101, after
    assert after["expected"] == {"0": 512, "2": 512} and after["found"] == {"0": 517, "2": 507}, after
    say("caught: 5 pages below an emulated node")


def a_sweep_is_ended() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        pid = in_child(lambda: sweep(f"ended-{number}", 30.0) and None)  # noqa: B023 - used at once
        wait_for(lambda: read_text(HERE.numa_balancing) == "0", "a worker")
        os.kill(pid, number)
        status = status_of(pid)
        assert status == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number], (
            number,
            status,
        )
        if number == signal.SIGKILL:
            assert settings() != BEFORE
            wait_for(lambda: find_workers() == [], "the end of the worker")
            done = subprocess.run([sys.executable, "-m", "hmexp", "placers"], capture_output=True, text=True)
            assert "kernel/numa_balancing is 1 again; process" in done.stderr, done.stderr
            print(done.stdout, flush=True)
        assert settings() == BEFORE, (number, settings())
        say(f"a sweep ended by {signal.Signals(number).name} left the settings as before")


# The shell of the guest starts us in the background, where Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
HERE.numa_balancing.write_text("1")
BEFORE = settings()
print(json.dumps(BEFORE), flush=True)
automatic_weights()
BEFORE = settings()
unavailable_here()
subprocess.run(["insmod", MODULE], check=True)
for each in PLACERS.values():
    reason = each.unavailable()
    if reason is not None:
        assert each.name == "weighted", reason
        say(f"{each.name}: not here: {reason.reason}")
        continue
    for check in (matrix, huge, two_regions_at_once, two_processes_at_once, two_threads_in_one_region):
        check(each)
assert settings() == BEFORE
settings_come_back()
settings_read_only()
as_points()
moved_behind_its_back()
moved_below_an_emulated_node()
a_sweep_is_ended()
say("all seen")
