"""A Redis on hybrid memory on a real kernel; run inside the lab by test_redis.py.

Arguments: a folder for the log, and what is to be seen: `whole:WAY`, `full:WAY`, `moved`. One line is
printed for each thing that was seen. Timing means nothing here: everything is waited for.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.program.client.client import Requests, start_client
from hmexp.program.launch.request import StartOptions
from hmexp.program.launch.started import Started
from hmexp.program.launch.ways import start
from hmexp.program.redis.measured import Measuring, look_at
from hmexp.program.redis.server import RedisServer, attach_redis, redis_command
from hmexp.store.program_records import PlacementSample
from hmexp.system.settings import HERE
from hmexp.units import MIB

RESULTS, ASKED = Path(sys.argv[1]), sys.argv[2:]
PATTERN = Pattern.parse("0,2,2")
LEAST_BYTES = 200 * MIB
REQUESTS = Requests(
    keys=190_000, value_bytes=1024, read_percent=50, zipf=0.99, connections=4, seconds=4.0,
    warmup_seconds=0.5, rate=300.0, drain_seconds=120.0,
)  # fmt: skip
#: A page's place is wrong by this part at most, by the way's promise.
WITHIN = {"policy": 0.02, "follow": 0.005, "preload": 0.005}
#: Takes memory of node 2, and keeps it.
HOG = """
import sys, time
from hmexp.native import PAGE_BYTES, PageMapping, Spreading, populate, spread
from hmexp.pattern import Pattern
mapping = PageMapping(int(sys.argv[1]))
spread(mapping, Pattern((2,), PAGE_BYTES), Spreading.ANY)
populate(mapping)
print("full", flush=True)
time.sleep(100000)
"""
STARTED = time.monotonic()


def say(text: str) -> None:
    line = f"{text}  [{time.monotonic() - STARTED:.0f} s]"
    print(line, flush=True)
    with (RESULTS / "log").open("a") as log:
        print(line, file=log)  # seen outside while the guest runs


@contextlib.contextmanager
def redis_by(way: str, pattern: Pattern, sample_seconds: float = 0) -> Iterator[tuple[Started, RedisServer]]:
    with tempfile.TemporaryDirectory(prefix="hmexp-redis-") as name:
        folder = Path(name)
        options = StartOptions(sample_seconds=sample_seconds)
        with start(redis_command(folder), way, pattern, options) as started:
            with attach_redis(folder / "redis.sock", 300, lambda: started.poll() is None) as server:
                assert server.pid == started.pid
                yield started, server
            record = started.stop(60)
        following = record.following
        told = None if following is None else (following.why, following.reason, following.outcomes)
        say(f"{way}: ended with status {record.status}; {told or record.fallen_back}")
        assert record.status == 0, record
        assert not started.problems, started.problems


def wait_until_still(way: str, pid: int, pattern: Pattern) -> PlacementSample:
    """Until two looks see the same, and nothing that `follow` can move is elsewhere; or for 15 minutes."""
    # In the emulator, beside another one, 800 pages took longer than two minutes.
    end = time.monotonic() + 900
    last = look_at(pid, pattern)
    while time.monotonic() < end:
        time.sleep(2)
        found = look_at(pid, pattern)
        if (found.in_place, found.misplaced) == (last.in_place, last.misplaced) and (
            way != "follow" or found.misplaced - found.unmovable == 0
        ):
            return found
        last = found
    return last


def shares(sample: PlacementSample) -> dict[int, float]:
    total = sum(sample.anonymous_by_node.values())
    return {node: pages / total for node, pages in sample.anonymous_by_node.items()}


def require_share(way: str, sample: PlacementSample, what: str) -> None:
    pages = sample.in_place + sample.misplaced
    say(
        f"{way}, {what}: {sample.in_place} of {pages} pages in place, {sample.unmovable} unmovable, "
        f"by node {sample.anonymous_by_node}"
    )
    assert pages * PAGE_BYTES >= LEAST_BYTES
    wanted = {node: share / 3 for node, share in PATTERN.ratio().items()}
    for node, share in wanted.items():
        assert abs(shares(sample).get(node, 0.0) - share) <= WITHIN[way] * share, (way, what, sample)


def one_redis(way: str) -> None:
    """Loaded, asked, dumped under writes: every key right, and 1:2 as near as the way promises."""
    with redis_by(way, PATTERN) as (_started, server):
        measuring = Measuring(server, REQUESTS)
        load = measuring.load()
        assert load.answered == REQUESTS.keys
        require_share(way, wait_until_still(way, server.pid, PATTERN), "loaded")
        measured = measuring.measure(REQUESTS)
        assert measured.step.wrong == measured.step.unanswered == 0, measured.step.problem
        assert measured.step.due > 0
        # A dump takes a while here: there are writes meanwhile.
        found = measuring.snapshot(lambda pid: look_at(pid, PATTERN), REQUESTS)
        snapshot, step = found.snapshot, found.requests.step
        assert snapshot.holds, snapshot
        assert snapshot.unread is None and snapshot.parent is not None and snapshot.child is not None
        assert step.wrong == step.unanswered == 0 and step.writes > 0, step.problem
        assert snapshot.copied_bytes > 0 and snapshot.fork_seconds > 0
        say(
            f"{way}: dump of {snapshot.dump_bytes} bytes is the data of the fork; fork "
            f"{snapshot.fork_seconds * 1e3:.1f} ms, {snapshot.copied_bytes} bytes copied, "
            f"{snapshot.work.minor_faults} faults; child: {snapshot.child.in_place} in place, "
            f"{snapshot.child.misplaced} misplaced, {snapshot.child.unmovable} unmovable"
        )
        # What was copied on write is new, and has to be in place again.
        require_share(way, wait_until_still(way, server.pid, PATTERN), "after the dump")
        verified = measuring.verify()
        assert verified.wrong == 0 and verified.answered == REQUESTS.keys, verified.problem
        say(f"{way}: every key is right: {verified.digest}")


def moved_under_load(_way: str) -> None:
    """To another pattern and back while it is asked: no request fails."""
    # As `hmexp move` advises: automatic NUMA balancing takes pages back to the program's CPU meanwhile.
    Path("/proc/sys/kernel/numa_balancing").write_text("0")
    with redis_by("default", PATTERN) as (_started, server):
        measuring = Measuring(server, REQUESTS)
        measuring.load()
        asked = replace(REQUESTS, seconds=20.0, warmup_seconds=0.0, first_version=1, read_percent=80)
        with start_client(server.socket, asked, "run", "verify") as client:
            for text in ("2,0", "0,2,2"):
                move = [sys.executable, "-m", "hmexp", "move", "--pid", str(server.pid), "--pattern", text]
                # In the emulator a page takes milliseconds, and the requests write meanwhile.
                move += ["--cpu-share", "1"]
                done = subprocess.run(move, capture_output=True, text=True)
                found = look_at(server.pid, Pattern.parse(text))
                pages = found.in_place + found.misplaced
                say(f"move to {text}: status {done.returncode}, {found.in_place} of {pages} in place")
                assert found.misplaced <= 0.02 * pages, (done.stdout, done.stderr)
            result = client.finish()
        for step in result.steps:
            assert step.wrong == step.unanswered == 0, step.problem
        say(f"moved under load: {result.last('run').answered} answers, none wrong")


def full_node(way: str) -> None:
    """Node 2 has room for a part only: the Redis lives, every key is right, and the shortfall is reported."""
    free = free_bytes(2)
    size = (free - 60 * MIB) // PAGE_BYTES * PAGE_BYTES
    hog = subprocess.Popen([sys.executable, "-c", HOG, str(size)], stdout=subprocess.PIPE, text=True)
    try:
        assert hog.stdout is not None and hog.stdout.readline() == "full\n"
        say(f"node 2 has {free_bytes(2) // MIB} MiB left")
        # What is said of falling back goes by the placements in the record.
        with redis_by(way, PATTERN, 5.0) as (started, server):
            measuring = Measuring(server, REQUESTS)
            measuring.load()
            time.sleep(20)
            found = look_at(server.pid, PATTERN)
            assert found.misplaced * PAGE_BYTES > 20 * MIB, found
            # hmexp looks for a small part of the time only: until it has seen the whole Redis.
            end = time.monotonic() + 300
            while seen_misplaced(started) < found.misplaced // 2 and time.monotonic() < end:
                time.sleep(1)
            verified = measuring.verify()
            assert verified.wrong == 0, verified.problem
            say(f"{way} on a full node: alive, every key right, {found.misplaced} pages elsewhere")
            assert started.poll() is None
        record = started.record
        # The record says how much is elsewhere; and by policy, that the kernel fell back.
        assert seen_misplaced(started) * PAGE_BYTES > 10 * MIB, record.placements
        if way == "follow":
            assert record.following is not None and not record.following.complete, record.following
            assert record.following.room_bytes[2] < 100 * MIB, record.following
        else:
            assert record.fallen_back is not None and record.fallen_back.text is not None, record
            assert record.fallen_back.misplaced_pages, record.fallen_back
    finally:
        hog.kill()
        hog.wait()


def seen_misplaced(started: Started) -> int:
    """Pages that are elsewhere by the last placement in the record."""
    placement = started.record.shown_placement
    return 0 if placement is None else placement.misplaced


def free_bytes(node: int) -> int:
    for line in Path(f"/sys/devices/system/node/node{node}/meminfo").read_text().split("\n"):
        if "MemFree:" in line:
            return int(line.split()[-2]) * 1024
    raise AssertionError(node)


def leave_automatic_weights() -> None:
    """Do as the refusal of `policy` says where the kernel could not restore its own weights (since 6.16)."""
    problem = HERE.one_way_mode()
    if problem is None:
        return
    say(f"{problem[0]}: {problem[1]}")
    for path in HERE.weight_files()[1]:
        path.write_text("false\n")
    assert HERE.one_way_mode() is None


os.environ["PYTHONWARNINGS"] = "ignore"
if any(words.endswith(":policy") for words in ASKED):
    leave_automatic_weights()
for words in ASKED:
    what, _, by = words.partition(":")
    {"whole": one_redis, "full": full_node, "moved": moved_under_load}[what](by)
say("all seen")
