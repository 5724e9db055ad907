"""Where the pages of a foreign program are, beside what it, numastat and smaps say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from hmexp.errors import ProgramError
from hmexp.native.core import PAGE_BYTES
from hmexp.native.foreign import Blocks
from hmexp.pattern import Pattern
from hmexp.program.look import scan
from hmexp.program.look.reading import PlacedMapping
from hmexp.program.placement import ProgramPlacement, read_placement

TARGET = Path(__file__).with_name("target.py")
NODE = next(iter(read_placement(os.getpid(), children=False).by_node))


@contextmanager
def target(*arguments: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with subprocess.Popen([sys.executable, str(TARGET), *arguments], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        yield child.pid, json.loads(child.stdout.readline())
        child.communicate()


def mapping_of(found: ProgramPlacement, address: int) -> PlacedMapping:
    [mapping] = [m for m in found.processes[0].mappings if m.start <= address < m.stop]
    return mapping


def smaps(pid: int) -> dict[int, dict[str, int]]:
    """Each mapping's figures [KiB]."""
    found: dict[int, dict[str, int]] = {}
    current: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps").read_text().split("\n"):
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            current[name] = int(value.split()[0])
        elif line and "-" in line.split()[0]:
            current = found.setdefault(int(line.split("-")[0], 16), {})
    return found


def test_the_program_smaps_and_numastat_find_the_same() -> None:
    with target("fork") as (pid, said):
        found = read_placement(pid, against=Pattern((NODE,)))
        rollup = smaps(pid)
        per_node = numastat(pid)
        own = read_placement(pid, children=False)
    assert found.disagreements == ()
    assert {process.pid for process in found.processes} == {pid, said["child"]}
    for name, area in said["areas"].items():
        mapping = mapping_of(found, area["start"])
        assert mapping.agrees, name
        if name == "reserved":
            assert mapping.pages.present == 0 and not mapping.is_judged
    shared = mapping_of(found, said["areas"]["shared"]["start"])
    assert (shared.sort, shared.pages.by_node) == ("shared", {NODE: 32})
    file = mapping_of(found, said["areas"]["file"]["start"])
    assert (file.sort, file.pages.file, file.verdict) == ("file", 64, None)
    copied = mapping_of(found, said["areas"]["copied"]["start"])
    assert (copied.sort, copied.pages.anonymous, copied.pages.shared) == ("file", 32, 32)
    for mapping in found.processes[0].mappings:
        kib = rollup.get(mapping.start, {})
        assert mapping.pages.present * PAGE_BYTES == kib.get("Rss", 0) * 1024 or mapping.sort == "special"
        assert mapping.pages.huge * PAGE_BYTES == 1024 * sum(
            kib.get(name, 0) for name in ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped")
        )
        if mapping.verdict is not None:
            verdict = mapping.verdict
            there = verdict.in_place + verdict.misplaced + verdict.swapped + verdict.unseen
            assert (there + verdict.absent) * PAGE_BYTES == mapping.size_bytes
    if per_node is not None:
        # numastat prints MiB with two digits.
        assert per_node == pytest.approx(
            {node: n * PAGE_BYTES / 2**20 for node, n in own.by_node.items()}, abs=0.02
        )


def numastat(pid: int) -> dict[int, float] | None:
    """Memory of a process on each node [MiB], as numastat adds it up; None where it is not installed."""
    if shutil.which("numastat") is None:
        return None
    done = subprocess.run(
        ["numastat", "-p", str(pid)], capture_output=True, text=True, check=True, timeout=30
    )
    lines = done.stdout.split("\n")
    heads = next(line for line in lines if "Node" in line).replace("Node ", "Node").split()
    total = next(line for line in lines if line.startswith("Total")).split()[1:]
    named = zip(heads, total, strict=False)
    return {int(head[4:]): float(mib) for head, mib in named if head.startswith("Node")}


def test_against_a_pattern_by_virtual_page_number() -> None:
    other = NODE + 1
    pattern = Pattern((NODE, other, other), 16 * 1024)
    with target("fork") as (pid, said):
        small = said["areas"]["small"]
        found = read_placement(pid, children=False, against=pattern)
        whole = read_placement(pid, children=False, against=Pattern((other,)), granule_bytes=2 << 20)
    here = [page for page, status in enumerate(small["status"]) if status == NODE]
    right = sum((small["start"] + page * PAGE_BYTES) // 16384 % 3 == 0 for page in here)
    mapping = mapping_of(found, small["start"])
    assert mapping.verdict is not None
    # The kernel may have merged the mapping with the one beside it, every 4096th page of which is there.
    assert 0 <= mapping.verdict.in_place - right <= 64
    assert mapping.verdict.misplaced + mapping.verdict.in_place - len(here) in (0, 64, 2048, 2112)
    assert not found.ok
    assert whole.in_place == 0
    assert whole.granule_bytes == 2 << 20
    # What a child has in common with it cannot be moved for it alone.
    assert whole.verdict is not None
    assert whole.unmovable == whole.verdict.reasons["shared with another process"] >= 2000
    assert whole.outside["copies of file pages"] >= 32
    assert whole.outside_share == 1.0
    record = json.loads(found.to_json())
    assert record["verdict"]["misplaced"] == found.misplaced
    assert record["by_node"] == {str(NODE): found.by_node[NODE]}
    html = found._repr_html_()
    shown = "".join(ElementTree.fromstring(f"<page>{html}</page>").itertext())
    assert f"{found.in_place:,} of " in shown and "unmovable: shared with another process" in shown
    assert "misplaced" in str(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is shown frames")
def test_two_ways_that_disagree_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    true = scan._read_blocks()
    shifted = Blocks(true.block_bytes, np.where(true.nodes >= 0, true.nodes + 1, -1).astype(np.int16))
    with target() as (pid, said):
        assert read_placement(pid).disagreements == ()
        monkeypatch.setattr(scan, "_read_blocks", lambda: shifted)
        found = read_placement(pid)
    start = said["areas"]["shared"]["start"]
    expected = f"frames say node {NODE + 1}: 32 pages; numa_maps says node {NODE}: 32 pages"
    assert any(f": {start:x}-" in text and expected in text for text in found.disagreements)
    assert "disagreement: process" in str(found)
    assert ">disagreement<" in found._repr_html_()


def test_what_has_no_memory_is_said() -> None:
    with pytest.raises(ProgramError, match="is a thread of the kernel"):
        read_placement(2)
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ProgramError, match="has ended: only its parent"):
        read_placement(child.pid)
    child.wait()
    with pytest.raises(ProgramError, match=f"there is no process {child.pid}"):
        read_placement(child.pid)


STORMS = {
    "exec": """
import os, sys
os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], *sys.argv[1:]])
""",
    "map": """
import mmap
while True:
    small, large = mmap.mmap(-1, 1 << 20), mmap.mmap(-1, 9 << 20)
    small[5] = large[9] = 1
    small.close()
""",
    "fork": """
import os
while True:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
""",
}


@pytest.mark.parametrize("storm", STORMS)
def test_a_program_that_changes_under_our_eyes(storm: str) -> None:
    code = STORMS[storm]
    child = subprocess.Popen([sys.executable, "-S", "-c", code, code])
    try:
        time.sleep(0.1)
        for _ in range(5):
            found = try_to_read(child.pid)
            if found is not None:
                assert found.processes[0].pid == child.pid
                # What differs between the two ways of looking has changed in between.
                assert found.disagreements == ()
    finally:
        child.kill()
        child.wait(30)


def try_to_read(pid: int) -> ProgramPlacement | None:
    """The placement; None of a program that executes others faster than it can be read."""
    try:
        return read_placement(pid)
    except ProgramError as error:
        if "did not stay the same program" not in error.message:
            raise
        return None


def as_user(words: list[str], *capabilities: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who owns nothing here, with these capabilities only."""
    given = ",".join(f"+{name}" for name in capabilities)
    caps = ["--inh-caps", given, "--ambient-caps", given] if capabilities else []
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *caps]
    return subprocess.run([*user, *words], capture_output=True, text=True, check=False, timeout=60)


def may_become_another() -> bool:
    if os.geteuid() or shutil.which("setpriv") is None:
        return False
    return as_user([sys.executable, "-c", "import hmexp"]).returncode == 0


another_user = pytest.mark.skipif(
    not may_become_another(), reason="only root may become another user, who must reach this Python"
)


@another_user
def test_of_another_user() -> None:
    command = [sys.executable, "-m", "hmexp", "placement", "--pid"]
    with target() as (pid, _):
        for capabilities in ((), ("sys_admin",)):  # the second is shown frames
            done = as_user([*command, str(pid)], *capabilities)
            assert done.returncode == 2, done.stderr
            assert f"process {pid} belongs to user root, and user nobody may not look" in done.stderr
            assert "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH" in done.stderr and "sudo" in done.stderr
            assert "Traceback" not in done.stderr
        seen = as_user([*command, str(pid), "--json"], "sys_ptrace", "dac_read_search")
        record = json.loads(seen.stdout)
        assert any("CAP_SYS_ADMIN" in text for text in record["unseen"])
        assert record["by_node"] and not any("refused" in text for text in record["unseen"])


@another_user
def test_frames_that_are_hidden_change_no_count() -> None:
    script = (
        "import subprocess, sys, json, os\n"
        "from hmexp.program.placement import read_placement\n"
        f"t = subprocess.Popen(['-', {str(TARGET)!r}], executable='/proc/self/exe', stdin=-1, stdout=-1)\n"
        "a = json.loads(t.stdout.readline())['areas']\n"
        "p = read_placement(t.pid)\n"
        "t.communicate()\n"
        "m = {m.start: m for m in p.mappings}\n"
        "print(json.dumps([p.processes[0].by_frames, p.disagreements, list(p.unseen), len(p.by_node), "
        "m[a['shared']['start']].pages.by_node]))"
    )
    done = as_user([sys.executable, "-c", script])
    assert done.returncode == 0, done.stderr
    by_frames, disagreements, unseen, nodes, shared = json.loads(done.stdout)
    assert not by_frames
    assert (disagreements, nodes, shared) == ([], 1, {str(NODE): 32})
    assert any("move_pages was asked for the node of each page" in text for text in unseen)


def test_in_a_container_that_forbids_to_ask() -> None:
    """As Docker does; then numa_maps alone counts by node, no page is judged, and both are said."""
    script = (
        "import subprocess, sys\n"
        "from hmexp.pattern import Pattern\n"
        "from hmexp.program.placement import read_placement\n"
        "t = subprocess.Popen([sys.executable, '-c', 'input(7)'], stdin=-1, stdout=-1)\n"
        "t.stdout.read(1)\n"  # it has its pages
        "print(read_placement(t.pid, against=Pattern((0,))).to_json())\n"
        "t.communicate(b'\\n')"
    )
    profile = Path(__file__).parents[2] / "docker_profile.py"
    words = [sys.executable, str(profile), "--", sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    record = json.loads(done.stdout)
    assert not record["processes"][0]["by_frames"]
    assert record["by_node"].keys() == {str(NODE)} and record["by_node"][str(NODE)] > 100
    assert not record["ok"] and record["verdict"]["unseen"] > 0 and not record["verdict"]["in_place"]
    assert any("move_pages was refused" in text and "numa_maps alone" in text for text in record["unseen"])
    assert any("seccomp" in text for text in record["unseen"])


def test_a_program_whose_first_thread_has_ended() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print(flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            deadline = time.monotonic() + 20
            while "Z" not in Path(f"/proc/{child.pid}/stat").read_text() and time.monotonic() < deadline:
                time.sleep(0.01)
            with pytest.raises(ProgramError, match=r"the first thread of .* has ended") as refused:
                read_placement(child.pid)
            assert refused.value.remedy is not None
            thread = int(refused.value.remedy.split()[-1])
            assert read_placement(thread, children=False).by_node
        finally:
            child.kill()
