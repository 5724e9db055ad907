"""`hmexp move` on a Redis under load; run inside the lab by test_move.py.

Argument: a directory for results.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hmexp.program.move.follower
import hmexp.program.move.following_text
import hmexp.program.move.moves  # noqa: F401 - once, for all children
from hmexp.cli.main import main
from hmexp.pattern import Pattern
from hmexp.program.pages.held import HeldProcess
from hmexp.program.pages.view import Looker
from hmexp.program.pages.wish import PatternWish

RESULTS = Path(sys.argv[1])
KEYS, OWN_KEYS = 60_000, 500
STARTED = time.monotonic()


def say(text: str) -> None:
    line = f"{text}  [{time.monotonic() - STARTED:.0f} s]"
    print(line, flush=True)
    with (RESULTS / "log").open("a") as log:
        print(line, file=log)  # seen outside while the guest runs


class Client:
    """One connection; a reply of Redis that is an error is one here, too."""

    def __init__(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", 7777), timeout=120)
        self._file = self._socket.makefile("rb")

    def ask(self, *words: bytes) -> bytes | None:
        self._socket.sendall(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        )
        line = self._file.readline().rstrip()
        if line.startswith(b"$"):
            return None if line == b"$-1" else self._file.read(int(line[1:]) + 2)[:-2]
        if not line or line.startswith(b"-"):
            raise RuntimeError(f"{words[:2]!r}: {line!r}")
        return line


def value(index: int) -> bytes:
    return b"%08d" % index * 100


class Load(threading.Thread):
    """Reads and writes the same keys with the same values, and counts what fails."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = threading.Event()
        self.failed: list[str] = []
        self.requests = 0

    def run(self) -> None:
        client = Client()
        index = 0
        while not self.stop.is_set():
            index = (index * 61 + 17) % OWN_KEYS
            try:
                client.ask(b"SET", b"own:%d" % index, value(index))
                if client.ask(b"GET", b"own:%d" % index) != value(index):
                    self.failed.append(f"own:{index} has another value")
            except (OSError, RuntimeError) as error:
                self.failed.append(repr(error))
                return
            self.requests += 2
            time.sleep(0.001)


def command(*words: str) -> tuple[int, dict[str, Any], str]:
    pid = os.fork()
    if not pid:
        fd = os.open(RESULTS / "output", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        status = 70
        try:
            main([*words, "-v", "--json"])
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        sys.stdout.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = (RESULTS / "output").read_text()
    with (RESULTS / "details").open("a") as log:
        log.write(text)
    record = next((line for line in text.split("\n") if line.startswith("{")), "{}")
    return status, json.loads(record), text


def shares(pid: int, text: str) -> tuple[dict[int, int], int]:
    """By frames: pages on each node, and those that are not in their place."""
    with HeldProcess(pid) as target:
        looker = Looker(target)
        view = looker.look()
        looker.close()
    wanted = PatternWish(Pattern.parse(text)).nodes(view.pages)
    own = ~view.zero & ~view.shared
    return view.by_node(), int((own & (view.node != wanted)).sum())


def run() -> None:
    Path("/proc/sys/kernel/numa_balancing").write_text("0")
    server = subprocess.Popen(
        ["redis-server", "--port", "7777", "--save", "", "--enable-debug-command", "yes", "--rdbcompression",
         "no", "--dir", str(RESULTS)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while True:
        try:
            client = Client()
            client.ask(b"PING")
            break
        except (OSError, RuntimeError):
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.3)
    client.ask(b"DEBUG", b"POPULATE", b"%d" % KEYS, b"key", b"1000")
    for index in range(OWN_KEYS):
        client.ask(b"SET", b"own:%d" % index, value(index))
    digest = client.ask(b"DEBUG", b"DIGEST")
    say(f"loaded {client.ask(b'DBSIZE')!r}")
    load = Load()
    load.start()
    try:
        parts(server.pid, client)
    finally:
        load.stop.set()
        load.join()
    assert client.ask(b"DEBUG", b"DIGEST") == digest
    assert not load.failed and load.requests > 100, (load.failed[:5], load.requests)
    client.ask(b"PING")
    server.terminate()
    assert server.wait() == 0
    say(f"{load.requests} requests, none failed, digest as before")
    say("all seen")


def parts(pid: int, client: Client) -> None:
    counts, _ = shares(pid, "0")
    say(f"before: {counts}")
    for text, weights in (("0,2,2", {0: 1, 2: 2}), ("1,0,0,0", {1: 1, 0: 3})):
        if text == "1,0,0,0":
            client.ask(b"BGSAVE")
        status, found, output = command("move", "--pid", str(pid), "--pattern", text)
        if found["outcomes"]["shared"]:
            # The child still writes: what it has not let go of is said, and waits.
            say(f"with a child: {status} {found['why']} {Counter(found['outcomes'])}")
            assert status == 1 and found["why"] == "still" and not found["complete"], output[-3000:]
            while b"rdb_bgsave_in_progress:0" not in (client.ask(b"INFO", b"persistence") or b""):
                time.sleep(0.5)
            status, found, output = command("move", "--pid", str(pid), "--pattern", text)
        counts, wrong = shares(pid, text)
        total = sum(counts.values())
        say(
            f"{text}: {status} {found.get('why')} {Counter(found.get('outcomes'))} by node {counts} wrong "
            f"{wrong} moves "
            f"{found.get('page_moves')} returned {found.get('returned')} longest {found.get('call_times')} "
            f"lag {found.get('lag_at_most')} {found.get('elapsed_seconds')} s cpu {found.get('cpu_seconds')}"
        )
        assert status == 0 and found["why"] == "still" and found["complete"], output[-3000:]
        for node, weight in weights.items():
            share = weight / sum(weights.values())
            assert abs(counts[node] / total - share) < 0.005, (counts, share)
    status, found, output = command("move", "--pid", str(pid), "--undo")
    counts, _ = shares(pid, "0")
    say(f"back: {status} {found.get('why')} {found.get('outcomes')} by node {counts}")
    assert status == 0 and found["complete"], output[-3000:]
    # What was touched since the moves is where it was first touched, near or where the allocator reused it.
    assert counts[0] / sum(counts.values()) > 0.97, counts


if __name__ == "__main__":
    run()
