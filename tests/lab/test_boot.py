"""Real guests: what a command sees, gives back, and cannot break."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hmexp
from hmexp.lab import LabCrashError, LabResult, LabTimeoutError
from hmexp.lab.cache import cache_directory
from hmexp.lab.errors import LabError
from hmexp.lab.kernels import Kernel

pytestmark = pytest.mark.lab

Guest = Callable[..., LabResult]
NODES = "cd /sys/devices/system/node; cat online possible has_memory"


def qemus_of(process_id: int) -> list[str]:
    """Command lines of the QEMU processes below a process, by its own run directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            words = (path.parent / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if int(fields[1]) == process_id and any("qemu-system" in word for word in words[:5]):
            found.append(path.parent.name)
    return found


def start(kernel: Kernel, *words: str, topology: str = "one") -> subprocess.Popen[bytes]:
    """Start ``hmexp lab run`` as a process of its own."""
    # As this process finds the package, whether installed or not.
    search = f"import hmexp; hmexp.__path__[:] = {list(hmexp.__path__)!r}; "
    code = search + "import sys; from hmexp.lab.cli import main; sys.exit(main(sys.argv[1:]))"
    roots = os.pathsep.join([str(Path(hmexp.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", "--kernel", kernel.release, "--topology", topology, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": roots.strip(os.pathsep)},
    )  # fmt: skip


def test_a_command_gives_back_status_and_bytes(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("from the host")
    streamed = io.BytesIO()
    result = guest(
        r"""
        printf 'a\0\377\r\n'; head -c 300000 /dev/urandom >r; cat r; cat r >&2
        cat seen; pwd; uname -r; echo $HMEXP_LAB $HMEXP_TIMING_VALID $WORD; cat; echo via >/dev/stdout
        echo lost >seen; echo lost >/usr/lost; cat seen
        (sleep 1000 & ) ; exit 7
        """,
        topology="three-dram", directory=tmp_path, stdin=b"in\0put\n", environment={"WORD": "a b"},
        stdout=streamed,
    )  # fmt: skip
    assert result.status == 7
    assert result.stdout.startswith(b"a\0\xff\r\n")
    assert result.stderr == result.stdout[5:300005]
    timing = "1" if result.timing_valid else "0"
    assert result.stdout[300005:].decode() == (
        f"from the host{tmp_path}\n{result.kernel}\nthree-dram {timing} a b\nin\0put\nvia\nlost\n"
    )
    assert streamed.getvalue() == result.stdout
    # What was written went to the guest's memory.
    assert (tmp_path / "seen").read_text() == "from the host"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seen"]
    assert not Path("/usr/lost").exists()
    assert 0 < result.boot_seconds < result.elapsed_seconds
    assert result.splats == ()


@pytest.mark.parametrize(("command", "status"), [("kill -SEGV $$", 139), ("kill -KILL $$", 137), ("true", 0)])
def test_death_by_a_signal_is_told_as_by_a_shell(guest: Guest, command: str, status: int) -> None:
    result = guest(command, topology="one")
    assert (result.status, result.stdout, result.stderr) == (status, b"", b"")


def test_three_nodes_are_there_and_a_writable_directory_is_written(guest: Guest, tmp_path: Path) -> None:
    shared = tmp_path / "with blank %"
    shared.mkdir()
    result = guest(
        f"{NODES}; echo kept >'{shared}/file'; echo 1 >/proc/sys/vm/compact_memory && echo root",
        topology="three-dram", writable=[shared],
    )  # fmt: skip
    assert result.check().text.split()[:4] == ["0-2", "0-2", "0-2", "root"]
    assert (shared / "file").read_text() == "kept\n"


def test_nvdimm_nodes_come_online_with_their_numbers(guest: Guest) -> None:
    result = guest(
        f"{NODES}; grep MemTotal node*/meminfo; daxctl list | grep -c movable.*true; "
        "awk '/^Node/{z=$0} /present/&&$2{print z}' /proc/zoneinfo | grep -c 'Node [12].*Movable'",
        topology="dram-nvm",
    )
    lines = result.check().text.splitlines()
    assert lines[:3] == ["0-2", "0-2", "0-2"]
    assert [line.split()[-2] for line in lines[4:6]] == [str(1152 << 10)] * 2
    assert lines[6:] == ["2", "2"]


def test_a_gap_in_the_numbers(guest: Guest) -> None:
    result = guest(f"{NODES}; grep MemTotal node2/meminfo; ls -d node?", topology="sparse")
    lines = result.check().text.splitlines()
    assert lines[:3] == ["0,2", "0-2", "0,2"]
    assert lines[4:] == ["node0", "node2"]


def test_speeds_reach_the_kernel(guest: Guest) -> None:
    command = "cd /sys/devices/system/node/node1; cat distance; grep . access0/initiators/*_*"
    text = guest(command, topology="hmat").check().text
    assert text.splitlines()[0] == "17 10"
    assert [line.rpartition(":")[2] for line in text.splitlines()[1:]] == ["30720", "300", "10240", "320"]


@pytest.mark.parametrize(
    ("topology", "expected"),
    [("one", ["0", "0", "0"]), ("tiny-node", ["0-1"] * 3), ("memoryless", ["0-2", "0-2", "0,2"])],
)
def test_other_topologies(guest: Guest, topology: str, expected: list[str]) -> None:
    assert guest(NODES, topology=topology).check().text.split() == expected


def test_a_guest_that_hangs_is_ended_in_time(guest: Guest, tmp_path: Path) -> None:
    streamed = io.BytesIO()
    started = time.monotonic()
    with pytest.raises(
        LabTimeoutError, match="reached its time limit of 15 s and was stopped while the command was running"
    ) as caught:
        guest("echo before; sleep 600", topology="one", timeout_seconds=15, stdout=streamed)
    assert time.monotonic() - started < 30
    assert streamed.getvalue() == b"before\n"
    assert "HMEXP-LAB ready" in caught.value.console
    assert not qemus_of(os.getpid())


def test_a_panic_ends_the_guest_at_once(guest: Guest) -> None:
    started = time.monotonic()
    with pytest.raises(LabCrashError, match="sysrq triggered crash") as caught:
        guest("echo c >/proc/sysrq-trigger; sleep 600", topology="one", timeout_seconds=120)
    assert time.monotonic() - started < 60
    assert "Call Trace" in caught.value.console


def test_a_kernel_that_cannot_reach_the_files_says_so(guest: Guest) -> None:
    with pytest.raises(LabCrashError) as caught:
        guest("true", topology="one", append="rdinit=/nonsense init=/nonsense")
    assert "panic" in str(caught.value)


def test_a_directory_that_is_not_there(guest: Guest, tmp_path: Path) -> None:
    result = guest("true", topology="one", directory=tmp_path / "gone")
    assert result.status == 125
    with pytest.raises(LabError, match="ended with status 125"):
        result.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_lab_is_ended(kernel: Kernel, number: signal.Signals) -> None:
    process = start(kernel, "--", "sh", "-c", "echo up; sleep 600")
    assert process.stdout is not None and process.stderr is not None
    with process:
        assert process.stdout.readline() == b"up\n"
        [emulator] = qemus_of(process.pid)
        process.send_signal(number)
        status = process.wait(20)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{emulator}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{emulator}").exists()
    assert status == (-9 if number == signal.SIGKILL else 128 + number)


def test_the_command_line_passes_everything_on(kernel: Kernel) -> None:
    process = start(kernel, "--verbose", "--env", "X=1 2", "--", "sh", "-c", 'echo "$X"; echo --flag; exit 3')
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (3, b"1 2\n--flag\n")
    assert kernel.release.encode() in err
    process = start(kernel, "--timeout", "6", "--", "sleep", "600")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (124, b"")
    assert b"the guest's console" in err and b"time limit of 6 s" in err


def test_no_directory_of_a_run_is_left(guest: Guest) -> None:
    guest("true", topology="one")
    assert not [path for path in (cache_directory() / "runs").glob("run-*") if not (path / "lock").exists()]
