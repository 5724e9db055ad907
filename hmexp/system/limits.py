"""What this process may use: the nodes of its cpuset, and the memory and CPU time of its cgroups."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.errors import ParseError
from hmexp.store.limits import LimitsRecord
from hmexp.system.cgroups import Cgroup, anonymous, find_cgroups
from hmexp.system.limit import AllowedNodes, CpuQuota, MemoryLimit
from hmexp.system.sysfs import parse_id_list, parse_meminfo, read_text, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hmexp.system.node import Node

#: Version 1 writes "no limit" as the largest number of whole pages; no machine has an exbibyte.
_UNLIMITED_BYTES: Final = 1 << 60
_RAISE_PROCESS: Final = "ulimit -v or -d in the shell; LimitAS= or LimitDATA= of systemd"
#: Name in /proc/PID/limits, and in /proc/PID/status what the process has of it.
_PROCESS_LIMITS: Final = {"Max address space": "VmSize", "Max data size": "VmData"}
_NUMBER: Final = re.compile(r"\d+", re.ASCII)
#: Files of a limit and of what is used of it, by version of the hierarchy.
_MEMORY_FILES: Final = {
    1: (
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"),
    ),
    2: (("memory.max", "memory.current"), ("memory.high", "memory.current")),
}
#: The narrowest first: what the kernel made of the wish comes before the wish.
_CPUSET_FILES: Final = {
    # Without the prefix where it is mounted as a file system of the type cpuset.
    1: ("cpuset.effective_mems", "cpuset.mems", "effective_mems", "mems"),
    2: ("cpuset.mems.effective", "cpuset.mems"),
}


@dataclass(frozen=True)
class Limits:
    """What this process may use; by default everything.

    Parameters
    ----------
    nodes : tuple of AllowedNodes
        Every list of nodes that was found, the narrowest first.
    memory : tuple of MemoryLimit
        Every limit on memory that was found, that with the least left first.
    cpu : tuple of CpuQuota
        Every limit on CPU time that was found, the narrowest first.
    process : tuple of MemoryLimit
        The limits on the size of one process (``ulimit -v``, ``ulimit -d``), with what this one takes.
    """

    nodes: tuple[AllowedNodes, ...] = ()
    memory: tuple[MemoryLimit, ...] = ()
    cpu: tuple[CpuQuota, ...] = ()
    process: tuple[MemoryLimit, ...] = ()

    def may_use(self, node_id: int) -> bool:
        """Whether memory of a node may be used."""
        return self.forbids(node_id) is None

    def forbids(self, node_id: int) -> AllowedNodes | None:
        """The list that leaves out a node; None if its memory may be used."""
        return next((found for found in self.nodes if node_id not in found.nodes), None)

    def cpuset_without(self, node_id: int) -> AllowedNodes | None:
        """The cpuset's own file that leaves out a node; None if it is not visible here."""
        cpusets = (found for found in self.nodes if found.path.name != "status")
        return next((found for found in cpusets if node_id not in found.nodes), None)

    @property
    def memory_left_bytes(self) -> int | None:
        """What can still be taken of memory [bytes]; None without a limit."""
        return self.memory[0].left_bytes if self.memory else None

    def to_record(self) -> LimitsRecord | None:
        """The limits as they are stored; None where none was found."""
        if self == Limits():
            return None
        return LimitsRecord(
            nodes=tuple(each.to_record() for each in self.nodes),
            memory=tuple(each.to_record() for each in self.memory),
            cpu=tuple(each.to_record() for each in self.cpu),
            process=tuple(each.to_record() for each in self.process),
        )


def read_limits(sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> Limits:
    """Read what this process may use.

    Files that are missing, may not be read or make no sense are left out: a limit that cannot be seen is
    found at the latest by the kernel's refusal.

    Parameters
    ----------
    sys_root, proc_root : Path
        Where `/sys` and `/proc` are; a captured tree describes another machine.
    """
    cpuset = find_cgroups("cpuset", sys_root, proc_root)
    memory = find_cgroups("memory", sys_root, proc_root)
    cpu = find_cgroups("cpu", sys_root, proc_root)
    return Limits(
        _allowed_nodes(cpuset, proc_root),
        tuple(sorted(_memory_limits(memory), key=lambda limit: limit.left_bytes)),
        tuple(sorted(_quotas(cpu), key=lambda quota: quota.cpus)),
        tuple(_process_limits(proc_root)),
    )


def describe_limits(limits: Limits, nodes: Sequence[Node]) -> list[str]:
    """Say in sentences what a reader of the nodes should know of the limits."""
    # Notes are stored, where names of groups have no place; an error names the file as it is.
    notes = [
        f"Node {node.id} may not be used: {forbidding.describe(anonymous(forbidding.path))}."
        for node in nodes
        if node.has_memory and (forbidding := limits.forbids(node.id)) is not None
    ]
    left = limits.memory_left_bytes
    if left is not None and left < sum(node.total_bytes for node in nodes):
        text = limits.memory[0].describe(anonymous(limits.memory[0].path))
        notes.append(f"The memory of this process is limited: {text}.")
    return notes


def note_quota(limits: Limits, threads: int) -> str | None:
    """A warning where so many threads may not run all the time; None where they may.

    The kernel stops all threads of a group that has used up its time until the next period begins, in the
    middle of a sample.
    """
    quota = limits.cpu[0] if limits.cpu else None
    if quota is None or quota.cpus >= threads:
        return None
    who = "1 thread gets" if threads == 1 else f"{threads} threads get"
    return (
        f"{who} the time of {quota.cpus:g} CPUs: {quota.describe(anonymous(quota.path))}. The kernel stops "
        "them in the middle of samples, which then take too long. Use fewer threads, or raise the quota "
        "(docker run --cpus; CPUQuota= of systemd)."
    )


def count_throttled(sys_root: Path = Path("/sys"), proc_root: Path = Path("/proc")) -> int | None:
    """How often the kernel has stopped the groups of this process for their CPU quota; None without one."""
    cpu = find_cgroups("cpu", sys_root, proc_root)
    limited = {quota.path.parent for quota in _quotas(cpu)}
    counts = [_read_stat(folder / "cpu.stat").get("nr_throttled") for folder in limited]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def cap_free(nodes: Sequence[Node], limits: Limits) -> tuple[Node, ...]:
    """The nodes, with no more free memory than this process may take."""
    left = limits.memory_left_bytes
    room = {node.id: node.free_bytes if left is None else min(node.free_bytes, left) for node in nodes}
    return tuple(replace(node, free_bytes=room[node.id] if limits.may_use(node.id) else 0) for node in nodes)


def _allowed_nodes(cpuset: Cgroup | None, proc_root: Path) -> tuple[AllowedNodes, ...]:
    status = nodes_of_process(proc_root)
    found = [status] if status is not None else []
    for folder in cpuset.folders if cpuset is not None else ():
        for name in _CPUSET_FILES[cpuset.version] if cpuset is not None else ():
            listed = _parse_nodes(folder / name, read_text(folder / name) or "")
            if listed is not None:
                found.append(listed)
                break
    # The kernel's own word on this process is never wrong; files of a group that has nothing in common with
    # it are of another group, which a container's paths were mistaken for.
    if status is not None:
        found = [each for each in found if set(each.nodes) & set(status.nodes)]
    return tuple(sorted(found, key=lambda each: len(each.nodes)))


def nodes_of_process(proc_root: Path = Path("/proc")) -> AllowedNodes | None:
    """The nodes that the kernel says this process may use; None where it does not say."""
    path = proc_root / "self/status"
    text = read_text(path) or ""
    match = re.search(r"^Mems_allowed_list:[ \t]*(\S*)[ \t]*$", text, re.MULTILINE)
    listed = _parse_nodes(path, match[1], "Mems_allowed_list: ") if match is not None else None
    if listed is not None:
        return listed
    # The same as bits, in words of 32.
    match = re.search(r"^Mems_allowed:[ \t]*([0-9a-fA-F]{1,8}(?:,[0-9a-fA-F]{8}){0,63})$", text, re.MULTILINE)
    bits = int(match[1].replace(",", ""), 16) if match is not None else 0
    nodes = tuple(node for node in range(bits.bit_length()) if bits >> node & 1)
    return AllowedNodes(nodes, path, f"Mems_allowed: {match[1]}") if match is not None and nodes else None


def _parse_nodes(path: Path, text: str, before: str = "") -> AllowedNodes | None:
    try:
        nodes = parse_id_list(text, str(path))
    except ParseError:
        return None
    # An empty list is inherited: version 1 starts a new group with one.
    return AllowedNodes(nodes, path, f"{before}{text}") if nodes else None


def _memory_limits(memory: Cgroup | None) -> Iterator[MemoryLimit]:
    if memory is None:
        return
    for folder in memory.folders:
        if folder != memory.folders[0] and read_text(folder / "memory.use_hierarchy") == "0":
            return  # before Linux 5.11 such a group of version 1 did not limit those below it
        stat = _read_stat(folder / "memory.stat")
        cache_bytes = stat.get("total_inactive_file", stat.get("inactive_file", 0))
        for name, used_name in _MEMORY_FILES[memory.version]:
            limit_bytes = parse_limit(read_text(folder / name))
            if limit_bytes is not None:
                used_bytes = parse_limit(read_text(folder / used_name)) or 0
                yield MemoryLimit(folder / name, limit_bytes, max(0, used_bytes - cache_bytes))
        # Also of the groups above those that a container can see.
        whole_bytes = stat.get("hierarchical_memory_limit")
        if folder == memory.folders[0] and whole_bytes is not None and whole_bytes < _UNLIMITED_BYTES:
            used_bytes = parse_limit(read_text(folder / "memory.usage_in_bytes")) or 0
            used_bytes = max(0, used_bytes - cache_bytes)
            yield MemoryLimit(folder / "memory.stat", whole_bytes, used_bytes, "hierarchical_memory_limit")


def parse_limit(text: str | None) -> int | None:
    """The number of bytes in the file of a limit; None for no limit (``max``), and for what is no number."""
    if text is None or _NUMBER.fullmatch(text) is None or len(text) > len(str(_UNLIMITED_BYTES)):
        return None
    return int(text) if int(text) < _UNLIMITED_BYTES else None


def _read_stat(path: Path) -> dict[str, int]:
    found = {}
    for line in split_lines(read_text(path) or ""):
        name, _, text = line.partition(" ")
        number = parse_limit(text.strip())
        if number is not None:
            found[name] = number
    return found


def _quotas(cpu: Cgroup | None) -> Iterator[CpuQuota]:
    for folder in cpu.folders if cpu is not None else ():
        if cpu is not None and cpu.version == 1:
            path = folder / "cpu.cfs_quota_us"
            words = [read_text(path) or "", read_text(folder / "cpu.cfs_period_us") or ""]
        else:
            path = folder / "cpu.max"
            words = (read_text(path) or "").split()
        numbers = [parse_limit(word) for word in words]
        match numbers:
            case [int(quota), int(period)] if period > 0 and quota > 0:
                yield CpuQuota(path, quota / period, " ".join(words))


def _process_limits(proc_root: Path) -> Iterator[MemoryLimit]:
    path = proc_root / "self/limits"
    has = parse_meminfo(read_text(proc_root / "self/status") or "")
    for line in split_lines(read_text(path) or ""):
        name = next((name for name in _PROCESS_LIMITS if line.startswith(f"{name} ")), None)
        words = line.removeprefix(name).split() if name is not None else []
        limit_bytes = parse_limit(words[0]) if words else None
        if name is not None and limit_bytes is not None:
            yield MemoryLimit(path, limit_bytes, has.get(_PROCESS_LIMITS[name], 0), name, _RAISE_PROCESS)
