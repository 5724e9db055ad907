"""Findings about the nodes and about what the kernel does with their memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section, Severity
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.limits import describe_limits
from hmexp.system.sysfs import format_id_list
from hmexp.units import MIB, format_size

_MEMORY: Final = Section(Group.MEMORY)
#: A node with less free memory has no room for the regions of the presets.
_LITTLE_BYTES: Final = 512 * MIB


@check(_MEMORY, "NUMA library", live=True, on_error=Severity.BLOCK)
def look_at_libnuma(_: Subject) -> Iterator[Finding]:
    """Whether libnuma works, and what it says of this process."""
    from hmexp.system.libnuma import LibNuma

    about = "NUMA library"
    nodes = LibNuma.load().allowed_memory_nodes()
    yield _MEMORY.fine(about, f"libnuma works; memory of node {format_id_list(nodes)} may be used")


@check(_MEMORY, "nodes", on_error=Severity.BLOCK)
def look_at_nodes(subject: Subject) -> Iterator[Finding]:
    """Every node with its kind, and what is odd about them."""
    topology = subject.topology
    for node in topology.nodes:
        memory = f"{format_size(node.total_bytes)}, {format_size(node.free_bytes)} free"
        seen = f"node {node.id}: {node.kind}, {len(node.cpus)} CPUs, {memory}"
        yield _MEMORY.fine(f"node {node.id}", seen, node.evidence)
    elsewhere = (
        *describe_limits(topology.limits, topology.nodes),
        *(memory.note for memory in topology.idle),
    )
    for note in (note for note in topology.notes if note not in elsewhere):
        yield _MEMORY.know("nodes", note.removesuffix("."))
    for idle in topology.idle:
        yield _MEMORY.know("idle memory", idle.finding, idle.remedy or None)
    if not topology.slow_nodes:
        yield _MEMORY.know(
            "slow memory",
            "no node has slow memory (NVM, CXL): sweeps emulate one, by default Optane",
            "hmexp sweep --emulate 2=cxl-expander",
        )
    for node in topology.memory_nodes:
        if topology.may_use(node.id) and node.free_bytes < _LITTLE_BYTES:
            yield _MEMORY.know(
                "free memory",
                f"node {node.id} has only {format_size(node.free_bytes)} free: most regions do not fit there",
                "free memory, or use smaller regions (--size)",
            )
