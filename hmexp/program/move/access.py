"""Whether the pages of a process may be moved by this user to these nodes, before any is moved."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hmexp.errors import PatternError, ProgramError
from hmexp.native.mover import move_foreign
from hmexp.native.refusal import Call, explain, is_filtered
from hmexp.program.look.target import explain_refusal, require_target
from hmexp.system.sysfs import parse_id_list, read_text, split_lines
from hmexp.system.topology import read_topology

if TYPE_CHECKING:
    from hmexp.pattern import Pattern
    from hmexp.program.pages.held import HeldProcess

_CAP_SYS_NICE: Final = 23


def require_access(target: HeldProcess, *, everybody: bool) -> None:
    """Refuse a process whose pages this user may not move.

    Raises
    ------
    ProgramError
        With what is needed: the kernel's answer to a request for no page at all decides.
    """
    if target.pid == os.getpid():
        raise ProgramError(
            "a process cannot move its own pages while it looks at them", "name another process"
        )
    # A thread of it: the first one may have ended before the others.
    require_target(target.thread)
    if everybody and not has_capability(_CAP_SYS_NICE):
        raise ProgramError(
            "moving pages that other processes map, too, needs CAP_SYS_NICE",
            "run as root, or leave out --all",
        )
    none = np.empty(0, dtype=np.uint64)
    call = move_foreign(target.thread, none, none.astype(np.int32), everybody=everybody)
    if call.errno:
        raise ProgramError(*_explain(target, call.errno))


def describe_refusal(target: HeldProcess, code: int) -> str:
    """Why the kernel refuses to move more pages of a process, in one sentence."""
    if code == errno.EACCES:
        return (
            f"the nodes that process {target.pid} may use have changed to {target.allowed_nodes} (its cpuset)"
        )
    if code == errno.ENODEV:
        return "a node of the pattern has no memory any more"
    message, remedy = _explain(target, code)
    return f"{message} ({remedy})" if remedy else message


def _explain(target: HeldProcess, code: int) -> tuple[str, str | None]:
    who = f"process {target.pid} ({target.name})"
    if code == errno.ESRCH:
        return f"{who} has ended", None
    if code in (errno.EPERM, errno.EACCES, errno.ENOSYS) and is_filtered(Call.MOVE_PAGES):
        return f"move_pages is refused to hmexp by a seccomp filter, so {who} is left alone", explain(
            Call.MOVE_PAGES, code
        )
    if code in (errno.EPERM, errno.EACCES):
        found = explain_refusal(target.pid, PermissionError(code, os.strerror(code)))
        return found.message, found.remedy
    return f"move_pages on {who}: {os.strerror(code)}", explain(Call.MOVE_PAGES, code)


def require_nodes(pid: int, pattern: Pattern) -> None:
    """Refuse nodes that do not exist, have no memory, or that the process may not use.

    Raises
    ------
    PatternError
        Naming the node, and what the process may use.
    """
    memory = {node.id for node in read_topology(idle=False).nodes if node.has_memory}
    for node in dict.fromkeys(pattern.nodes):
        if node not in memory:
            raise PatternError(
                f"node {node} of the pattern has no memory, or does not exist",
                f"use some of the nodes {', '.join(map(str, sorted(memory)))}; see `hmexp nodes`",
            )
    allowed = read_allowed_nodes(pid)
    for node in dict.fromkeys(pattern.nodes):
        if allowed is not None and node not in allowed[0]:
            raise PatternError(
                f"process {pid} may not have memory of node {node}: Mems_allowed_list in "
                f"/proc/{pid}/status is {allowed[1]}",
                "change its cpuset (cpuset.mems of its cgroup), or use a pattern of nodes that it may use",
            )


def read_allowed_nodes(pid: int) -> tuple[tuple[int, ...], str] | None:
    """The nodes that a process may use, and how the kernel writes them; None where it does not tell."""
    path = Path(f"/proc/{pid}/status")
    for line in split_lines(read_text(path) or ""):
        if line.startswith("Mems_allowed_list:"):
            text = line.partition(":")[2].strip()
            return parse_id_list(text, str(path)), text
    return None


def has_capability(number: int) -> bool:
    """Whether this process has a capability in force."""
    for line in split_lines(read_text(Path("/proc/self/status")) or ""):
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return os.geteuid() == 0
