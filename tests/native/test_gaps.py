"""A CPU that was given to somebody else shows as a gap in a loop that only reads the clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hmexp import native
from hmexp.errors import NativeError
from hmexp.system.cpus import allowed_cpus

#: Watches one CPU and prints what it saw; says when it begins.
WATCHER = """
import dataclasses, json, sys
from hmexp import native
print("ready", flush=True)
found = native.watch_gaps([int(sys.argv[1])], 2.5)
print(json.dumps([dataclasses.asdict(one) for one in found]))
"""


def wait_until_stopped(pid: int) -> None:
    end = time.monotonic() + 60
    tasks = Path(f"/proc/{pid}/task")
    while any(
        task.joinpath("stat").read_text().rpartition(") ")[2][0] not in "Tt" for task in tasks.iterdir()
    ):
        assert time.monotonic() < end, "the watcher does not stop"
        time.sleep(0.001)


def test_a_thread_that_is_stopped_shows_as_a_gap() -> None:
    cpu = allowed_cpus()[0]
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER, str(cpu)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "ready\n"
    # The clock is calibrated and the thread started well within this time, and the watch lasts longer.
    time.sleep(1)
    watcher.send_signal(signal.SIGSTOP)
    # A busy machine delivers the signal late: the time counts once every thread has stopped.
    wait_until_stopped(watcher.pid)
    stopped = time.monotonic()
    time.sleep(0.05)
    for_ns = (time.monotonic() - stopped) * 1e9
    watcher.send_signal(signal.SIGCONT)
    [found] = json.loads(watcher.communicate(timeout=60)[0])
    assert watcher.returncode == 0
    assert found["cpu"] == cpu
    assert found["longest_ns"] >= 0.9 * for_ns
    assert found["span_ns"] >= found["lost_ns"] >= found["longest_ns"]
    # 32 to 64 ms, or longer: a window that lost it is one in which no sample would have been good.
    assert sum(found["buckets"][16:]) >= 1
    assert sum(found["buckets"]) == found["count"]
    assert found["windows_lost"] >= 1


def test_every_cpu_is_watched_for_as_long_as_asked() -> None:
    cpus = allowed_cpus()[:2]
    found = native.watch_gaps(cpus, 0.2, threshold_ns=2000)
    assert [one.cpu for one in found] == list(cpus)
    for one in found:
        assert one.span_ns >= 200_000_000
        assert 0 <= one.lost < 1
        assert one.windows <= 1 + one.span_ns // 50_000_000
        # Nothing below the threshold is a gap.
        assert one.buckets[0] == one.buckets[1] == 0


@pytest.mark.parametrize(
    ("cpus", "seconds", "threshold_ns"),
    [((), 0.1, 1000), ((0,), 0.0, 1000), ((0,), 0.1, 0), ((99999,), 0.1, 1000)],
)
def test_what_cannot_be_watched_is_refused(cpus: tuple[int, ...], seconds: float, threshold_ns: int) -> None:
    with pytest.raises(NativeError, match="Invalid argument"):
        native.watch_gaps(cpus, seconds, threshold_ns=threshold_ns)
