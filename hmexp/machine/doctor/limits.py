"""Findings about what this process may use: rights, user limits, the share of the CPUs."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.sysfs import read_text
from hmexp.units import GIB, MIB, format_size

_LIMITS: Final = Section(Group.LIMITS)
#: Less memory than this is not enough for a worker and a small region.
_LITTLE_BYTES: Final = 512 * MIB
#: Bits of `CapEff` in /proc/self/status, and what they are for.
_RIGHTS: Final = {
    21: ("CAP_SYS_ADMIN", "page frames in the proof"),
    23: ("CAP_SYS_NICE", "moving pages that are shared"),
}


@check(_LIMITS, "rights")
def look_at_rights(subject: Subject) -> Iterator[Finding]:
    """What the kernel lets this process do."""
    status = read_text(subject.proc / "self/status") or ""
    found = re.search(r"^CapEff:\s*([0-9a-fA-F]+)$", status, re.MULTILINE)
    if found is None:
        yield _LIMITS.know("rights", "the rights of this process are unknown")
        return
    bits = int(found[1], 16)
    absent = [f"{name} ({use})" for bit, (name, use) in _RIGHTS.items() if not bits >> bit & 1]
    if absent:
        yield _LIMITS.know(
            "rights",
            f"this process does not have {' and '.join(absent)}: the proof asks move_pages about each page "
            "instead, and settings stay as they are",
            "sudo -E env PATH=$PATH hmexp ...",
        )
    else:
        yield _LIMITS.fine("rights", "all rights that hmexp uses")
    filtered = re.search(r"^Seccomp:\s*2$", status, re.MULTILINE)
    if filtered is not None:
        yield _LIMITS.know(
            "seccomp", "system calls are filtered (seccomp): the placers below say which ones are refused"
        )


@check(_LIMITS, "user limits", live=True)
def look_at_user_limits(_: Subject) -> Iterator[Finding]:
    """The limits of `ulimit` that a region meets."""
    low = []
    for name, limit, flag in (
        ("address space", resource.RLIMIT_AS, "-v"),
        ("data", resource.RLIMIT_DATA, "-d"),
    ):
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY and soft < 16 * GIB:
            low.append(f"{name} {format_size(soft)} (ulimit {flag})")
    if low:
        yield _LIMITS.know(
            "user limits",
            f"limits of this user: {', '.join(low)}",
            "ulimit -v unlimited -d unlimited",
        )
    else:
        yield _LIMITS.aside("user limits", "no limit of this user is in the way of a region")


@check(_LIMITS, "nodes allowed")
def look_at_allowed_nodes(subject: Subject) -> Iterator[Finding]:
    """Nodes that a cpuset keeps from this process."""
    about = "nodes allowed"
    limits, nodes = subject.limits, subject.topology.memory_nodes
    forbidden = [node.id for node in nodes if not limits.may_use(node.id)]
    if not forbidden:
        yield _LIMITS.aside(about, "the memory of every node may be used")
        return
    files = "; ".join(dict.fromkeys(str(limits.forbids(node)) for node in forbidden))
    names = ", ".join(map(str, forbidden))
    tell = _LIMITS.block if len(forbidden) == len(nodes) else _LIMITS.know
    yield tell(
        about,
        f"the memory of node {names} may not be used: {files}",
        "run outside the cpuset, or widen it (docker run --cpuset-mems; systemd: AllowedMemoryNodes=)",
    )


@check(_LIMITS, "memory limit")
def look_at_memory_limit(subject: Subject) -> Iterator[Finding]:
    """The control group that leaves the least memory."""
    about = "memory limit"
    limits = subject.limits
    total_bytes = sum(node.total_bytes for node in subject.topology.nodes)
    left_bytes = limits.memory_left_bytes
    if left_bytes is None or left_bytes >= total_bytes:
        yield _LIMITS.aside(about, "no control group limits the memory below what the machine has")
        return
    tell = _LIMITS.block if left_bytes < _LITTLE_BYTES else _LIMITS.know
    yield tell(
        about,
        f"the memory of this process is limited: {limits.memory[0]}",
        "run outside the limit, or raise it (docker run --memory; systemd: MemoryMax=)",
    )


@check(_LIMITS, "CPU quota")
def look_at_quota(subject: Subject) -> Iterator[Finding]:
    """A process that has used up its share of the CPUs is stopped for the rest of the period."""
    quota = next(iter(subject.limits.cpu), None)
    if quota is None:
        yield _LIMITS.aside("CPU quota", "no control group limits the time on the CPUs")
        return
    tell = _LIMITS.block if quota.cpus < 1 else _LIMITS.know
    yield tell(
        "CPU quota",
        f"a control group allows the time of {quota.cpus:g} CPUs ({quota.path} says {quota.value}): "
        "threads that want more are stopped in the middle of a sample",
        "run outside the limit (docker run without --cpus; systemd: CPUQuota=)",
    )
