"""Every remedy of a refused system call, tried: refused by Docker's profile, allowed by what is said."""

from __future__ import annotations

import errno
import json
import platform
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.native.refusal import PAGE, PLACING, RULE, Call, explain, is_filtered

ROOT = Path(__file__).resolve().parents[2]
CONTAINER = ROOT / "tests" / "docker_profile.py"
RULED = ("--rule", RULE)
REPORT = """
import errno, json
from hmexp.native.refusal import Call, explain, is_filtered
print(json.dumps({c.value: explain(c, errno.EPERM) if is_filtered(c) else None for c in Call}))
"""
PLACERS = ("first_touch", "mbind", "move_pages", "shared_policy", "userfaultfd", "interleave")
TRY = """
import json
from hmexp.memory.placers import PLACERS
print(json.dumps({n: str(p.unavailable() or "") for n, p in PLACERS.items()}))
"""

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="numbers of system calls are of these machines"
)


def container(*command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(CONTAINER), *options, "--", sys.executable, *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=ROOT)


@cache
def report(*options: str, code: str = REPORT) -> dict[str, str | None]:
    # Several remedies are the same: each container is started once.
    done = container("-c", code, options=options)
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def measure(*options: str) -> subprocess.CompletedProcess[str]:
    words = ["measure", "--pattern", "0", "--size", "1MiB", "--operation", "read", "--threads", "1"]
    words += ["--samples", "2", "--launches", "1", "--sample-seconds", "0.001", "-q"]
    return container("-m", "hmexp", *words, options=options)


@pytest.fixture(scope="module")
def default() -> dict[str, str | None]:
    """The remedies in a container of the default profile."""
    return report()


def test_the_kernel_refuses_nothing_here() -> None:
    if is_filtered(Call.MBIND):
        pytest.skip("these tests run under a filter themselves")
    assert not [call for call in Call if is_filtered(call)]


def test_dockers_profile_refuses_all_that_places_pages(default: dict[str, str | None]) -> None:
    refused = {name for name, remedy in default.items() if remedy}
    assert refused == {call.value for call in PLACING} | {"perf_event_open"}


@pytest.mark.parametrize("call", PLACING)
def test_the_rule_that_is_said_allows_the_call(default: dict[str, str | None], call: Call) -> None:
    remedy = default[call.value]
    assert remedy is not None and PAGE in remedy and call.value in remedy
    [rule] = re.findall(r"\{.*\}", remedy)
    assert report("--rule", rule)[call.value] is None


@pytest.mark.parametrize("call", list(Call))
def test_a_capability_that_is_said_allows_the_call(default: dict[str, str | None], call: Call) -> None:
    said = re.findall(r"--cap-add ([A-Z_]+)", default[call.value] or "")
    # Docker allows the others to nobody: there a capability would be advice that does not help.
    assert bool(said) == (call.value in ("get_mempolicy", "set_mempolicy", "mbind", "perf_event_open"))
    for capability in said:
        assert report("--cap-add", capability)[call.value] is None


def test_with_sys_nice_it_is_not_said_to_add_it() -> None:
    found = report("--cap-add", "SYS_NICE")
    assert found["mbind"] is None
    assert found["move_pages"] is not None and "SYS_NICE" not in found["move_pages"]


def test_a_filter_that_answers_enosys_is_told_from_a_kernel_without_the_call() -> None:
    found = report("--errno", str(errno.ENOSYS))
    assert "seccomp" in (found["move_pages"] or "") and "CONFIG" not in (found["move_pages"] or "")


def test_measuring_in_a_container_needs_the_rule_and_nothing_else() -> None:
    refused = measure()
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "seccomp" in refused.stderr and RULE in refused.stderr
    half = measure("--cap-add", "SYS_NICE")
    assert half.returncode == 2 and "move_pages" in half.stderr and "--cap-add" not in half.stderr
    allowed = measure(*RULED)
    assert allowed.returncode == 0, allowed.stderr


def test_every_placer_works_with_the_rule() -> None:
    refused, allowed = report(code=TRY), report(*RULED, code=TRY)
    assert {name: RULE in (refused[name] or "") for name in PLACERS} == dict.fromkeys(PLACERS, True)
    assert {name: allowed[name] for name in PLACERS} == dict.fromkeys(PLACERS, "")


def test_the_page_has_the_rule_that_the_messages_have() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert json.loads(RULE) in [json.loads(block) for block in blocks]
    for capability in re.findall(r"--cap-add[ =]([A-Z_]+)", text):
        assert capability in ("SYS_NICE", "SYS_ADMIN", "PERFMON", "IPC_LOCK")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENODEV, errno.EACCES])
def test_a_node_that_may_not_be_used_is_told_by_the_cpuset(tmp_path: Path, code: int) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text("Seccomp:\t0\nMems_allowed_list:\t1-2\n")
    remedy = explain(Call.MBIND, code, tmp_path)
    assert remedy is not None and "1-2" in remedy and str(tmp_path) in remedy


def test_the_kernels_own_refusals_have_remedies_of_their_own(tmp_path: Path) -> None:
    said = {
        (Call.USERFAULTFD, errno.EPERM): "vm.unprivileged_userfaultfd",
        (Call.USERFAULTFD, errno.ENOSYS): "CONFIG_USERFAULTFD",
        (Call.PERF_EVENT_OPEN, errno.EACCES): "perf_event_paranoid",
        (Call.MBIND, errno.ENOSYS): "CONFIG_NUMA",
        (Call.MOVE_PAGES, errno.ENOSYS): "CONFIG_MIGRATION",
        (Call.MOVE_PAGES, errno.EPERM): "CAP_SYS_NICE",
        (Call.MADVISE, errno.EINVAL): "kernel",
        (Call.MLOCK, errno.ENOMEM): "ulimit -l",
        (Call.MBIND, errno.ENOMEM): "smaller",
    }
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text("Seccomp:\t0\n")
    for (call, code), word in said.items():
        remedy = explain(call, code, tmp_path)
        assert remedy is not None and word in remedy, (call, code)
        assert "docker" not in remedy


@given(st.sampled_from(list(Call)), st.integers(1, 133))
def test_any_errno_of_any_call_has_a_remedy_or_none(call: Call, code: int) -> None:
    remedy = explain(call, code)
    assert remedy is None or remedy.strip()
