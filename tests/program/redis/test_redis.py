"""The client of Redis, and a Redis of ours, on a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hmexp.errors import ParameterError
from hmexp.program.client.build import CACHE_VARIABLE, ClientBuildError, build_client
from hmexp.program.client.client import ClientError, Requests, run_client, start_client
from hmexp.program.redis.measured import Measuring
from hmexp.program.redis.protocol import RedisConnection, RedisError
from hmexp.program.redis.server import RedisServer, redis_server
from hmexp.store.client_records import ClientStep

SMALL = Requests(keys=2000, value_bytes=100, seconds=0.3, warmup_seconds=0.1)
#: More CPU time than a process of the lowest priority gets beside this one.
SPIN = "print(flush=True)\nwhile True: pass"


@pytest.fixture(scope="module")
def shared(redis_here: None) -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    """A Redis without a key."""
    shared.connection.ask("FLUSHALL")
    return shared


def key(number: int) -> str:
    return f"key:{number:012d}"


def slower_than(step: ClientStep, nanoseconds: float) -> int:
    assert step.latency_ns is not None
    return sum(count for highest, count in step.latency_ns.all.buckets if highest > nanoseconds)


@pytest.mark.parametrize("value_bytes", [24, 100, 1031])
def test_every_key_is_right_and_every_request_counted(server: RedisServer, value_bytes: int) -> None:
    asked = replace(
        SMALL, value_bytes=value_bytes, read_percent=50, zipf=0.99, threads=2, connections=5, pipeline=3,
        rate=4000,
    )  # fmt: skip
    result = run_client(server.socket, asked, "load", "rush", "run", "verify")
    assert [step.step for step in result.steps] == ["load", "rush", "run", "verify"]
    load, rush, run, verify = result.steps
    for step in result.steps:
        assert (step.wrong, step.unanswered, step.problem) == (0, 0, None)
        assert step.answered == step.due == step.reads + step.writes > 0
        assert len(step.client.threads) == 2
    assert (load.writes, load.reads) == (2000, 0)
    assert (verify.writes, verify.reads) == (0, 2000)
    assert server.connection.ask("DBSIZE") == 2000
    assert server.connection.ask("STRLEN", key(1999)) == value_bytes
    for step in (rush, run):
        assert step.latency_ns is not None
        assert step.latency_ns.all.count == step.due == sum(count for _, count in step.latency_ns.all.buckets)
        assert (
            step.latency_ns.reads.count == step.reads > 0 and step.latency_ns.writes.count == step.writes > 0
        )
        assert step.latency_ns.all.p50 <= step.latency_ns.all.p99_9 <= step.latency_ns.all.most
    assert (rush.latency_from, run.latency_from) == ("sent", "due")
    # Due by the clock, whatever the server does: 4000 a second for 0.3 s, by a Poisson process.
    assert 1000 < run.due < 1400
    # Another client, which knows of no version, finds the same.
    assert run_client(server.socket, asked, "verify").last("verify").digest == verify.digest
    assert msgspec.json.decode(msgspec.json.encode(result), type=type(result)) == result


def test_a_stopped_server_is_in_the_tail_of_all_that_was_due(server: RedisServer) -> None:
    asked = replace(SMALL, rate=2000, arrivals="even", seconds=1.0, warmup_seconds=0, read_percent=100)
    run_client(server.socket, asked, "load")
    with start_client(server.socket, asked, "run") as client:
        started = server.connection.info("commandstats").get("cmdstat_get", "")
        while server.connection.info("commandstats").get("cmdstat_get", "") == started:
            time.sleep(0.01)
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(server.pid, signal.SIGCONT)
        step = client.finish().last("run")
    assert step.due == step.answered == 2000
    # Those due in the first half of the stop waited for more than the other half: 200, but for its edges.
    assert slower_than(step, 0.095e9) >= 190
    assert step.latency_ns is not None and step.latency_ns.all.p99 > 0.1e9
    assert max(longest for _, longest in step.timeline) >= 0.19e9


def test_a_wrong_value_is_found(server: RedisServer) -> None:
    few = replace(SMALL, keys=20)
    run_client(server.socket, few, "load")
    with RedisConnection(server.socket) as connection:
        connection.ask("DEL", key(3))
        connection.ask("SETRANGE", key(4), "50", "!")
        connection.ask("COPY", key(6), key(5), "REPLACE")
        connection.ask("DEL", key(7))
        connection.ask("LPUSH", key(7), "a list")
    step = run_client(server.socket, few, "verify").last("verify")
    assert (step.missing, step.damaged, step.failed, step.stale, step.wrong) == (1, 2, 1, 0, 4)
    assert step.problem is not None and step.problem.startswith("GET of key:0000000000")
    # A busy machine may be another reason.
    assert f"4 answers were wrong ({step.problem})" in step.invalid_because
    strict = [str(build_client()), f"--socket={server.socket}", "--keys=20", "--strict", "verify"]
    done = subprocess.run(strict, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1, "hmexp-redis-client: 4 answers were wrong, 0 requests have no answer\n",
    )  # fmt: skip


def test_a_value_that_was_overwritten_is_stale(server: RedisServer) -> None:
    """Whole, of this key, and old: somebody puts the first version back all the time."""
    few = replace(SMALL, keys=20, read_percent=0)
    run_client(server.socket, few, "load")
    server.connection.ask("COPY", key(0), "old")
    over = threading.Event()

    def put_back() -> None:
        with RedisConnection(server.socket) as connection:
            while not over.is_set():
                connection.ask("COPY", "old", key(0), "REPLACE")

    thread = threading.Thread(target=put_back)
    thread.start()
    try:
        reads = replace(few, read_percent=50)
        result = run_client(server.socket, reads, "verify", "run")
    finally:
        over.set()
        thread.join()
    assert result.last("run").stale > 0
    assert result.last("run").damaged == result.last("run").missing == 0


def test_a_client_that_may_be_the_limit_says_so(server: RedisServer) -> None:
    """Time on a CPU counts, and time without one: beside a loop of higher priority on its only CPU."""
    cpu = max(os.sched_getaffinity(0))
    run_client(server.socket, SMALL, "load")
    reads = replace(SMALL, read_percent=100, pipeline=16, seconds=0.5)
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as loop:
        try:
            os.sched_setaffinity(loop.pid, {cpu})
            assert loop.stdout is not None and loop.stdout.read(1)  # it has begun
            with start_client(server.socket, reads, "rush") as client:
                os.sched_setaffinity(client.process.pid, {cpu})
                os.setpriority(os.PRIO_PROCESS, client.process.pid, 19)
                step = client.finish().last("rush")
        finally:
            loop.kill()
    [thread] = step.client.threads
    assert thread.cpu_wait_seconds > thread.cpu_seconds > 0
    share = (thread.cpu_wait_seconds + thread.cpu_seconds) / thread.elapsed_seconds
    assert step.client.busy_share == pytest.approx(share, abs=0.001)
    assert step.client.saturated == (step.client.busy_share > 0.9)
    for share, saturated in ((0.95, True), (0.85, False)):
        usage = msgspec.structs.replace(step.client, busy_share=share, saturated=saturated)
        reasons = msgspec.structs.replace(step, client=usage).invalid_because
        assert any("the client was busy 95%" in reason for reason in reasons) == saturated
    busy = [str(build_client()), f"--socket={server.socket}", "--keys=2000", "--most-busy=0.0001"]
    done = subprocess.run(
        [*busy, "--seconds=0.1", "--warmup=0", "verify", "rush"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "it was the limit, not the server" in done.stderr


def test_a_dump_under_writes_is_the_data_of_its_fork(server: RedisServer) -> None:
    measuring = Measuring(server, SMALL)
    assert measuring.load().answered == 2000
    # The child takes its time, so that there are writes while it works.
    server.connection.ask("CONFIG", "SET", "rdb-key-save-delay", "200")
    try:
        found = measuring.snapshot(None, replace(SMALL, read_percent=50, warmup_seconds=0))
    finally:
        server.connection.ask("CONFIG", "SET", "rdb-key-save-delay", "0")
    record, measured = found.snapshot, found.requests
    assert record.holds, record
    assert record.seconds > 0.4 and record.fork_seconds > 0 and record.copied_bytes > 0
    assert record.dump_bytes > 2000 * 100
    assert record.work.minor_faults > 0 and record.work.child_minor_faults > 0
    assert measured.step.writes > 0 and measured.step.wrong == 0
    # The server has what was written meanwhile, the dump has not.
    assert server.digest() != record.digest_loaded
    assert measuring.verify().wrong == 0
    # A third measurement knows which versions are used up.
    assert measuring.measure(replace(SMALL, read_percent=50)).step.wrong == 0


def test_what_cannot_be_is_said(server: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="--value-bytes 10: a number from 24"):
        run_client(server.socket, replace(SMALL, value_bytes=10), "load")
    with pytest.raises(ParameterError, match="writes: load or verify must come before it"):
        run_client(server.socket, replace(SMALL, read_percent=50), "run")
    with pytest.raises(ClientError, match=r"no connection to .*nobody"):
        run_client(tmp_path / "nobody", SMALL, "load")
    with (
        pytest.raises(RedisError, match=r"(?s)ended at once; its log ends with: .*no-such-option"),
        redis_server(options=("--no-such-option", "1")),
    ):
        pass


def test_a_server_that_dies_is_said(redis_here: None) -> None:
    with redis_server() as server:
        asked = replace(SMALL, seconds=20, rate=1000)
        with start_client(server.socket, asked, "load", "run") as client:
            deadline = time.monotonic() + 30
            while server.connection.ask("DBSIZE") != SMALL.keys:
                assert time.monotonic() < deadline, "the client loads nothing"
                time.sleep(0.01)
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(ClientError, match="the server is gone"):
                client.finish()
    assert not server.socket.parent.exists()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "echo 'connection.h:5:10: fatal error: hiredis/hiredis.h: No such file' >&2; exit 1",
            "libhiredis-dev",
        ),
        ("echo 'error: something else' >&2; exit 1", "something else"),
    ],
)
def test_a_client_that_cannot_be_built_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(ClientBuildError) as caught:
        build_client()
    assert says in str(caught.value)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ClientBuildError, match="apt-get install gcc"):
        build_client()


def test_a_client_that_has_lost_its_library_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 127 is the loader's: hiredis was removed, or upgraded, since the client was built."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    compiler = tmp_path / "cc"
    monkeypatch.setenv("CC", str(compiler))
    for status, kept in ((127, False), (1, True)):
        # A compiler that makes a program which ends with this status.
        compiler.write_text(
            '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n'
            f'printf "#!/bin/sh\\nexit {status}\\n" >"$2"; chmod +x "$2"\n'
        )
        compiler.chmod(0o755)
        found = build_client()
        compiler.write_text("#!/bin/sh\necho 'hiredis/hiredis.h: No such file' >&2; exit 1\n")
        if kept:
            assert build_client() == found
        else:
            with pytest.raises(ClientBuildError, match="libhiredis-dev"):
                build_client()
