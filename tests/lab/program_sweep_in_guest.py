"""A sweep over a program on a machine with two nodes; run inside the lab by test_program_sweep.py.

Argument: a directory for results. A line is printed for each thing that was seen; what is not as it should
be is printed, too, and the others are still looked at.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hmexp.cli.main import main
from hmexp.native import PAGE_BYTES
from hmexp.store.program_points import ProgramPoint, ProgramResult
from hmexp.store.reader import POINTS, read_points
from hmexp.store.records import PointRecord

RESULTS = Path(sys.argv[1])
STARTED = time.monotonic()
FAILED: list[str] = []
MEBIBYTES = 12
PAGES = (MEBIBYTES << 20) // PAGE_BYTES
#: It fills its memory, says so, and reads it all on a line.
SERVER = RESULTS / "server.toml"
SERVER.write_text(f"""
title = "a program that reads its memory"
[files]
"server.py" = '''
import mmap, sys
memory = mmap.mmap(-1, {MEBIBYTES} << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(memory), {PAGE_BYTES}):
    memory[at] = 1
print("ready", flush=True)
for line in sys.stdin:
    print("sum", sum(memory[at] for at in range(0, len(memory), {PAGE_BYTES})))
    print("done", flush=True)
'''
[program]
command = "{{python}} -S server.py"
[ready]
line = "^ready$"
timeout_seconds = 120
[measure]
say = "go"
answer = "^done$"
[[metrics]]
name = "elapsed"
unit = "s"
better = "lower"
source = "elapsed"
[[metrics]]
name = "pages"
unit = "pages"
better = "higher"
source = "program"
regex = '^sum (\\d+)$'
""")
#: It ends by itself: long enough for its pages to be moved, and with all its memory.
BATCH = f"""
import mmap, os, time
memory = mmap.mmap(-1, {MEBIBYTES} << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(memory), {PAGE_BYTES}):
    memory[at] = 1
time.sleep(6)
os._exit(0)
"""


def hmexp(*words: str) -> int:
    """Run a command of hmexp in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            main(words)
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(int(ended.code or 0))
        except Exception:  # noqa: BLE001 - whatever it is, the guest says it
            traceback.print_exc()
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def points_of(run: str) -> dict[tuple[str, str | None], PointRecord]:
    found = {}
    for record in read_points(RESULTS / run / POINTS).values():
        assert isinstance(record.parameters, ProgramPoint)
        found[record.parameters.way, record.parameters.pattern] = record
    return found


def see_ways() -> None:
    """Each way at each ratio that it can do: all in place before and after, every byte read."""
    status = hmexp(
        "program", str(SERVER), "--patterns", "0", "0,2", "2",
        "--ways", "policy", "follow", "node", "default", "--launches", "1",
        "--results", str(RESULTS), "--run", "ways",
    )  # fmt: skip
    assert status == 0, f"status {status}"
    points = points_of("ways")
    assert len(points) == 9, sorted(map(str, points))
    for (way, pattern), record in points.items():
        assert record.status == "ok", f"{way} {pattern}: {record.reason}"
        assert isinstance(record.result, ProgramResult)
        launch = record.result.launches[0]
        assert record.result.metrics[1].samples == (float(PAGES),), record.result.metrics
        before, after = launch.before, launch.after
        assert before is not None and after is not None
        if pattern is not None:
            assert before.in_place + before.misplaced >= PAGES, before
            assert max(before.misplaced, after.misplaced) <= 0.005 * (before.in_place + before.misplaced), (
                after
            )
            shares = {node: after.anonymous_by_node.get(node, 0) for node in (0, 2)}
            assert (shares[2] > 0) == ("2" in pattern) and (shares[0] > 0) == ("0" in pattern), shares
        print(f"seen: {way} {pattern}: {after.anonymous_by_node}, {after.misplaced} elsewhere", flush=True)
    page = (RESULTS / "ways" / "report.html").read_text()
    assert "functional only" in page and "No verdict: the CPU is emulated" in page
    print("seen: a report without a verdict")


def see_late() -> None:
    """Pages that had no time to be moved make the launch a failed one."""
    status = hmexp(
        "program", str(SERVER), "--patterns", "2", "--ways", "follow", "--launches", "1",
        "--settle-seconds", "0.001", "--values", "none", "--results", str(RESULTS), "--run", "late",
    )  # fmt: skip
    record = points_of("late")["follow", "2"]
    assert status == 1 and record.status == "failed" and record.error == "PlacementError", (status, record)
    assert "pages are elsewhere" in str(record.reason), record.reason
    print(f"seen: {record.reason.splitlines()[0] if record.reason else ''}")


def see_exit() -> None:
    """A program that ends by itself is looked at in its exit; few runs of it predict the rest."""
    status = hmexp(
        "predict", "--patterns", "1:0", "3:1", "1:1", "0:1", "--check", "1:2", "--way", "follow",
        "--launches", "2", "--results", str(RESULTS), "--run", "predicted", "--", sys.executable, "-S", "-c",
        BATCH,
    )  # fmt: skip
    assert status == 0, f"status {status}"
    for (way, pattern), record in points_of("predicted").items():
        assert isinstance(record.result, ProgramResult) and len(record.result.launches) == 2
        for launch in record.result.launches:
            after = launch.after
            assert launch.unread is None and after is not None and after.in_place >= 0.9 * PAGES, after
        print(f"seen: {way} {pattern} in its exit: {after.misplaced} of {PAGES} elsewhere", flush=True)
    said = (RESULTS / "predicted" / "report.html").read_text()
    assert "was left out to check" in said and "times mean nothing" in said
    rows = (RESULTS / "predicted" / "predict.csv").read_text().split("\n")
    print("seen:", *[row for row in rows if "left out" in row or "measured" in row])


def look(what: Callable[[], None]) -> None:
    try:
        what()
    except Exception:  # noqa: BLE001 - the others are still looked at
        FAILED.append(what.__name__)
        traceback.print_exc(file=sys.stdout)
    print(f"{what.__name__} after {time.monotonic() - STARTED:.0f} s", flush=True)


for each in (see_ways, see_late, see_exit):
    look(each)
print(json.dumps({"failed": FAILED}))
print("all seen" if not FAILED else "not all seen")
sys.exit(bool(FAILED))
