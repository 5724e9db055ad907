"""What is checked before a program is started: what would make a placement fail, or surprise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from hmexp.errors import CapacityError, StartError
from hmexp.memory.capacity import check_capacity, require_allowed
from hmexp.native.core import PAGE_BYTES
from hmexp.native.refusal import Call, explain, is_filtered
from hmexp.pattern import Pattern
from hmexp.program.launch.request import Request
from hmexp.system.sysfs import format_id_list, parse_meminfo, read_int, read_text, split_lines
from hmexp.units import format_size

#: With less, a node is full: the kernel keeps about as much for itself.
FULL_BYTES: Final = 32 << 20
#: Programs that ask a service to start another, which then inherits nothing; and what starts them so.
_LAUNCHERS: Final = {
    "systemctl": ("start", "restart", "try-restart", "reload-or-restart", "isolate"),
    "service": ("start", "restart"),
    "systemd-run": (),
    "docker": ("run", "start", "restart", "compose"),
    "podman-remote": ("run", "start", "restart"),
    "kubectl": ("run", "apply", "create"),
    "initctl": ("start", "restart"),
    "rc-service": ("start", "restart"),
    "batch": (), "at": (),
}  # fmt: skip


def check_program(request: Request) -> None:
    """Refuse a command whose program would not run in this process's family.

    Raises
    ------
    StartError
        Naming the launcher.
    """
    name = Path(request.command[0]).name
    verbs = _LAUNCHERS.get(name)
    words = request.command[1:]
    if verbs is None or (verbs and not any(word in verbs for word in words)) or "--scope" in words:
        return
    raise StartError(
        f"no process would be placed: {name} asks a service to start the program, which inherits nothing",
        "name the program itself (`systemctl cat UNIT` shows ExecStart), or start it as usual and lay it out "
        "with `hmexp move --pid PID`",
    )


def check_nodes(request: Request) -> None:
    """Refuse a pattern whose nodes may not be used, or have no room.

    Raises
    ------
    HmexpError
        Naming the node and what is in the way.
    """
    pattern, topology = request.pattern, request.topology
    left = topology.limits.memory_left_bytes
    if left is not None and left < FULL_BYTES:
        raise CapacityError(
            f"this process may take only {format_size(left)} more: {topology.limits.memory[0]}",
            f"raise the limit ({topology.limits.memory[0].remedy})",
        )
    if pattern is None:
        return
    there = {node.id: node for node in topology.nodes}
    for node_id in pattern.distinct_nodes:
        if node_id not in there:
            raise StartError(
                f"pattern {pattern}: node {node_id} does not exist: this machine has {format_id_list(there)}",
                "use nodes that exist: see `hmexp nodes`; a program's memory cannot be emulated, but `hmexp "
                "lab` has machines with more nodes",
            )
        require_allowed(node_id, pattern, topology)
        node = there[node_id]
        if not node.has_memory:
            raise CapacityError(f"pattern {pattern}: node {node_id} has no memory", "see `hmexp nodes`")
        if node.free_bytes < FULL_BYTES:
            raise CapacityError(
                f"pattern {pattern}: node {node_id} is full: {format_size(node.free_bytes)} of "
                f"{format_size(node.total_bytes)} are free, and the kernel would take other nodes instead",
                "free memory there, or use another pattern; see `hmexp nodes`",
            )
    if request.options.needs_bytes:
        check_capacity(pattern, request.options.needs_bytes, topology)


def check_call(call: Call, way: str) -> None:
    """Refuse a way whose system call a filter forbids.

    Raises
    ------
    StartError
        Naming the call and the filter.
    """
    if is_filtered(call):
        raise StartError(
            f"a seccomp filter refuses {call.value} here, which {way} needs",
            explain(call, 1) or "run it outside of the container",
        )


def find_warnings(request: Request, way: str, proc_root: Path = Path("/proc")) -> tuple[str, ...]:
    """What a person should know before the program starts, though it is no reason against it.

    Parameters
    ----------
    request : Request
        The program.
    way : str
        The way that is taken.
    proc_root : Path
        Where `/proc` is.
    """
    found: list[str] = []
    for check in _WARNINGS:
        found += check(request, way, proc_root)
    return tuple(found)


def _zones(request: Request, _way: str, proc_root: Path) -> Iterator[str]:
    if request.pattern is None:
        return
    for node, zones in sorted(read_zones(proc_root).items()):
        if node in request.pattern.distinct_nodes and list(zones) == ["Movable"]:
            yield (
                f"node {node} has movable memory alone (zone Movable, {format_size(zones['Movable'])}): "
                "what is pinned, and page tables, must come from other nodes. When those are full, programs "
                "are killed although this node has room."
            )


def _overcommit(_request: Request, way: str, proc_root: Path) -> Iterator[str]:
    if read_int(proc_root / "sys/vm/overcommit_memory") != 2:
        return
    meminfo = parse_meminfo(read_text(proc_root / "meminfo") or "")
    limit, used = meminfo.get("CommitLimit", 0), meminfo.get("Committed_AS", 0)
    text = (
        f"vm.overcommit_memory is 2, and {format_size(max(0, limit - used))} may still be promised: a large "
        "program cannot fork (Redis forks for BGSAVE) unless there is room for a second one"
    )
    if way == "preload":
        count = read_int(proc_root / "sys/vm/max_map_count")
        text += f"; each large mapping counts against vm.max_map_count, {count}"
    yield text + "."


def _secure(request: Request, way: str, _proc_root: Path) -> Iterator[str]:
    privileges = request.executable.privileges
    if privileges is not None and way != "preload":
        yield f"{request.executable.path} {privileges}: only root can see where its pages are, or move them."


def _balancing(_request: Request, way: str, proc_root: Path) -> Iterator[str]:
    if way in ("default", "preload") and (read_int(proc_root / "sys/kernel/numa_balancing") or 0) > 0:
        yield (
            "kernel.numa_balancing is on: the kernel may move pages of this program while it runs (the "
            "counters of migration in the record show how many on the whole machine)."
        )


_WARNINGS: Final[Sequence[Callable[[Request, str, Path], Iterator[str]]]] = (
    _zones, _overcommit, _secure, _balancing,
)  # fmt: skip


def read_zones(proc_root: Path = Path("/proc")) -> dict[int, dict[str, int]]:
    """The memory of each node by zone, without zones that have none [bytes]."""
    found: dict[int, dict[str, int]] = {}
    node, zone = -1, ""
    for line in split_lines(read_text(proc_root / "zoneinfo") or ""):
        words = line.replace(",", " ").split()
        match words:
            case ["Node", number, "zone", name] if number.isdigit():
                node, zone = int(number), name
            case ["managed", count] if count.isdigit() and int(count) and node >= 0:
                found.setdefault(node, {})[zone] = int(count) * PAGE_BYTES
    return found


def needs_pattern(request: Request, way: str) -> Pattern:
    """The pattern of a request, which this way cannot do without.

    Raises
    ------
    StartError
        If there is none.
    """
    if request.pattern is None:
        raise StartError(f"{way} needs a pattern", "add --pattern, such as --pattern 0,2,2 or --pattern 1:2")
    return request.pattern
