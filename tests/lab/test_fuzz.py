"""System calls at random on the module, by seed: data and refusals are as they must be, the log is clean."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="no compiler"),
]

#: Operations in all: the default takes about two minutes of an emulated processor.
OPERATIONS = int(os.environ.get("HMEXP_LAB_FUZZ", "400000"))
SEED = int(os.environ.get("HMEXP_LAB_FUZZ_SEED", "1"))
#: Ends the fuzzer then [s], whatever is done.
SECONDS = os.environ.get("HMEXP_LAB_FUZZ_SECONDS", "")
#: Prints what each kind of operation costs, too.
TIMES = os.environ.get("HMEXP_LAB_FUZZ_TIMES", "")
PROCESSES = 4
#: Of one process, to see that it does the same again.
OPERATIONS_ALONE = 3000
#: Emulated, with four processes on two processors; a slow machine may take this long for each operation.
SECONDS_PER_OPERATION = 1 / 200
#: Emulators do the string instructions of a processor with ERMS or FSRM byte by byte: without both, a page
#: is cleared eight bytes at a time. Without init_on_alloc what the module forgets to clear has old data.
FAST = "clearcpuid=297,580 mitigations=off init_on_alloc=0 no5lvl lsm=capability log_buf_len=4M"
TUNABLES = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM"
#: A switch of processes costs an emulator all that it knows of addresses, so each has 16 ms at least. The
#: setting has other names in other kernels.
SLICES = (
    "for f in /proc/sys/kernel/sched_ /sys/kernel/debug/sched/; do "
    "for n in latency min_granularity base_slice; do "
    "if [ -w $f${n}_ns ]; then echo 16000000 >$f${n}_ns; fi; done; done; "
)

KIND = re.compile(r"^ *# +(\d+) ([A-Za-z_ ]+?)(?:: (.*))?$", re.MULTILINE)
TOTAL = re.compile(r"# +(\d+) operations in all")
PAGES = re.compile(r"# +(\d+) pages read, (\d+) written, (\d+) values checked, (\d+) SIGBUS, (\d+) SIGSEGV")

#: Kinds of which some thousand operations have several, with an errno that some of them must get.
REFUSED = {
    "write of garbage": "EINVAL",
    "set configuration": "EINVAL",
    "get pattern": "EFAULT",
    "punch": "EBADF",
    "ioctl of garbage": "ENOTTY",
    "ftruncate": "EINVAL",
    "mbind": "EOPNOTSUPP",
    "unload": "EAGAIN",
    "userfaultfd": "EINVAL",
}
DONE = (
    "open", "writev", "readv", "mmap", "mremap", "madvise", "reads", "writes", "fork", "move_pages", "races",
    "changes by a second thread", "userfaultfd", "placement", "a full node", "offline", "compaction", "KSM",
)  # fmt: skip
#: What takes as long as thousands of others is in as many operations surely.
RARE = ("migrate_pages", "memory cgroup", "soft offline")
OPERATIONS_WITH_RARE = 400_000


def test_random_operations_leave_data_and_kernel_whole(
    guest: Callable[..., LabResult], built: Path, tmp_path: Path
) -> None:
    """Files, mappings, patterns, ioctls, children, migration, memory going offline, attempts to unload."""
    asked = ("FUZZ_TIMES=1 " if TIMES else "") + (f"FUZZ_SECONDS={SECONDS} " if SECONDS else "")
    result = guest(
        f"{SLICES} {TUNABLES} {asked} FUZZ={OPERATIONS} FUZZ_SEED={SEED} FUZZ_PROCESSES={PROCESSES} "
        f"TESTS=fuzz OUT={tmp_path} {built}/tests/run.sh",
        topology="module-tests",
        writable=[tmp_path],
        append=f"memhp_default_state=online_movable {FAST}",
        timeout_seconds=600 + OPERATIONS * SECONDS_PER_OPERATION,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    for line in ("fuzz: passed", "unload: passed", "kernel log: clean"):
        assert line in result.text
    assert f"seeds {SEED} to {SEED + PROCESSES - 1}" in result.text

    tap = (tmp_path / "fuzz.tap").read_text()
    assert "nothing is left (0 pages, 0 regions" in tap
    done = {name: (int(count), errors or "") for count, name, errors in KIND.findall(tap)}
    (total,) = map(int, TOTAL.findall(tap))
    for name in DONE + (RARE if total >= OPERATIONS_WITH_RARE else ()):
        assert done[name][0] > 0, name
    for name, error in REFUSED.items():
        assert f"{error} " in done[name][1], (name, done[name])
    assert SECONDS or total >= OPERATIONS // PROCESSES * PROCESSES
    assert total == sum(count for name, (count, _) in done.items() if name != "operations in all")
    (pages,) = PAGES.findall(tap)
    read, written, checked, _, _ = map(int, pages)
    assert read > 0 and written > 0 and checked > 0


def test_a_process_is_repeated_by_its_seed(guest: Callable[..., LabResult], built: Path) -> None:
    """One process alone does the same operations again, and gets the same answers."""
    fuzz = f"FUZZ_ALONE=1 {built}/tests/fuzz {OPERATIONS_ALONE}"
    result = guest(
        f"insmod {built}/hybridmem.ko && for s in 7 7 8; do echo run; {fuzz} $s 1; done && rmmod hybridmem",
        topology="module-tests",
        timeout_seconds=600,
    )
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    runs = [KIND.findall(run) for run in result.text.split("run\n")[1:]]
    assert len(runs) == 3 and "not ok" not in result.text
    assert runs[0] == runs[1] != runs[2]
