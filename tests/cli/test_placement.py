"""`hmexp placement` as a person runs it, on this very process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.cli.conftest import Run

PID = str(os.getpid())


def test_this_process(run: Run) -> None:
    done = run("placement", "--pid", PID, "--no-children")
    assert done.status == 0, done.stderr
    assert f"process {PID} (" in done.stdout and "[heap]" in done.stdout and "of CPU time" in done.stdout
    every = run("placement", "--pid", PID, "--no-children", "--all")
    assert "[vdso]" in every.stdout and "[vdso]" not in done.stdout
    found = json.loads(run("placement", "--pid", PID, "--no-children", "--json").stdout)
    assert found["pid"] == os.getpid() and found["verdict"] is None and found["ok"] is True
    assert sum(found["by_kind"].values()) == sum(found["by_node"].values()) > 1000
    [process] = found["processes"]
    assert sum(mapping["pages"]["present"] for mapping in process["mappings"]) == sum(
        found["by_node"].values()
    )


def test_a_page_elsewhere_is_a_status(run: Run) -> None:
    nodes = json.loads(run("placement", "--pid", PID, "--json").stdout)["by_node"]
    if len(nodes) == 1:
        assert run("placement", "--pid", PID, "--against", *nodes).status == 0
    done = run("placement", "--pid", PID, "--no-children", "--against", "1000", "--granule", "64KiB")
    assert done.status == 1
    assert (
        "against 1000, 64KiB each by address" in done.stdout
        and "in place                0 pages" in done.stdout
    )


def test_read_again_until_the_program_has_ended(run: Run) -> None:
    code = "import sys, time; sys.stdin.readline(); time.sleep(2)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1) as child:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        done = run("placement", "--pid", str(child.pid), "--watch", "0.1", "--json")
    assert done.status == 0
    lines = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert lines and all(line["pid"] == child.pid for line in lines)
    assert "this was the last" in done.stderr


def test_what_is_refused(run: Run) -> None:
    for words, said in (
        (("--pid", "2"), "is a thread of the kernel"),
        (("--pid", "999999999"), "there is no process 999999999"),
        (("--pid", "-5"), "is not the number of a process"),
        (("--pid", PID, "--granule", "2MiB"), "--granule needs --against"),
        (("--pid", PID, "--against", "0,x"), "entry 2"),
        (("--pid", PID, "--watch", "0"), "--watch 0 is not a time"),
    ):
        done = run("placement", *words)
        assert done.status == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
