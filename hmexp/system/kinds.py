"""What the memory of each node is, decided from evidence, and the evidence in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hmexp.system.clues import Clues
from hmexp.system.dax import DaxMemory, NodeKind
from hmexp.system.dram_comparison import ALIKE, BesideDram
from hmexp.system.node import Node
from hmexp.system.sysfs import format_id_list
from hmexp.units import format_size

#: A node's memory is lent as a whole if this part of it is; the kernel keeps some for itself.
_NEARLY_ALL: Final = 0.9


@dataclass(frozen=True)
class Verdict:
    """What the memory of a node is, and why.

    Parameters
    ----------
    kind : NodeKind
        What it is.
    evidence : tuple of str
        Short sentences, each with the file and what it says.
    """

    kind: NodeKind
    evidence: tuple[str, ...]


def decide_kinds(nodes: Sequence[Node], clues: Clues) -> tuple[Node, ...]:
    """Give each node its kind, with the evidence.

    What is said of the memory itself comes first (a GPU's driver, the device that lends it, its addresses);
    then CPUs beside it make it DRAM; what is left is compared with that DRAM.

    Parameters
    ----------
    nodes : sequence of Node
        The nodes, of whatever kind.
    clues : Clues
        What the machine's files say.
    """
    with_memory = [node for node in nodes if node.has_memory]
    found: dict[int, Verdict] = {}

    def decide(rule: Callable[[Node], Verdict | None]) -> None:
        for node in with_memory:
            verdict = rule(node) if node.id not in found else None
            if verdict is not None:
                found[node.id] = verdict

    decide(lambda node: _said_of_memory(node, clues))
    decide(lambda node: _beside_cpus(node, clues))
    if not any(verdict.kind is NodeKind.DRAM for verdict in found.values()):
        left = [node for node in with_memory if node.id not in found and not clues.lent_to(node.id)]
        found |= _what_dram_there_is(left, [node for node in nodes if node.cpus], clues)
    dram = [node for node in with_memory if node.id in found and found[node.id].kind is NodeKind.DRAM]
    decide(lambda node: _beside_dram(node, dram, clues))
    return tuple(
        replace(node, kind=found[node.id].kind, evidence=_with_cache(found[node.id].evidence, node, clues))
        if node.id in found
        else replace(node, evidence=("It has no memory.",))
        for node in nodes
    )


def is_lent_whole(node: Node, devices: Iterable[DaxMemory]) -> bool:
    """Whether these devices lend all of a node's memory, as far as the kernel says how large they are."""
    sizes = [device.size_bytes for device in devices]
    known = [size_bytes for size_bytes in sizes if size_bytes is not None]
    if len(known) < len(sizes):
        return not node.cpus
    return sum(known) >= _NEARLY_ALL * node.total_bytes


def _said_of_memory(node: Node, clues: Clues) -> Verdict | None:
    if node.id in clues.gpus:
        return Verdict(NodeKind.GPU, (f"{clues.gpus[node.id]}.",))
    lent = clues.lent_to(node.id)
    kinds = {device.kind for device in lent}
    whole = bool(lent) and is_lent_whole(node, lent)
    said = tuple(_lending(device) for device in lent)
    if whole and len(kinds) == 1 and NodeKind.UNKNOWN not in kinds:
        return Verdict(kinds.pop(), said)
    if not node.cpus and (len(kinds) > 1 or (lent and not whole)):
        more = "" if whole else f" They lend less than its {format_size(node.total_bytes)}."
        return Verdict(NodeKind.UNKNOWN, (*said, f"Its memory is mixed.{more}"))
    # What the firmware set aside may be CXL memory all the same.
    place = clues.places.get(node.id)
    if kinds <= {NodeKind.UNKNOWN} and place is not None and place.kind is not NodeKind.UNKNOWN:
        return Verdict(place.kind, (*said, f"Its memory lies where {place.source}."))
    return None


def _lending(device: DaxMemory) -> str:
    size = "" if device.size_bytes is None else f", and lends {format_size(device.size_bytes)}"
    return f"{device.path} is {_what(device)}, driver kmem, target_node {device.node}{size}."


def _what(device: DaxMemory) -> str:
    if device.is_soft_reserved:
        return "memory that the firmware set aside (soft reserved)"
    names = {NodeKind.NVM: "on an NVDIMM bus", NodeKind.CXL: "on a CXL bus"}
    return names.get(device.kind, "a dax device")


def _beside_cpus(node: Node, clues: Clues) -> Verdict | None:
    lent = clues.lent_to(node.id)
    if not node.cpus or (lent and is_lent_whole(node, lent)):
        return None
    processor = clues.processor
    if processor is not None and processor.alone:
        return Verdict(NodeKind.HBM, (f"{processor.source}: the {processor.name} has no other memory.",))
    cpus = f"It has the CPUs {format_id_list(node.cpus)}"
    if lent:
        return Verdict(
            NodeKind.DRAM,
            (f"{cpus} and memory of its own beside what is lent.", *(_lending(device) for device in lent)),
        )
    return Verdict(NodeKind.DRAM, (f"{cpus}, and nothing calls its memory anything else.",))


def _what_dram_there_is(left: Sequence[Node], with_cpus: Sequence[Node], clues: Clues) -> dict[int, Verdict]:
    """Where CPUs and memory are on different nodes: the memory that nothing calls slow."""
    tiers = [clues.tiers[node.id].number for node in left if node.id in clues.tiers]
    best = max((node.read_gbps or 0.0 for node in left), default=0.0)
    least = min((node.read_latency_ns for node in left if node.read_latency_ns), default=0.0)
    chosen = [
        node
        for node in left
        if node.id not in clues.devices
        and not (node.id in clues.tiers and clues.tiers[node.id].number > min(tiers))
        and not (node.read_gbps is not None and node.read_gbps * ALIKE < best)
        and not (node.read_latency_ns is not None and node.read_latency_ns > least * ALIKE)
        and not _always_farther(node, left, with_cpus)
    ]
    why = "No node has both CPUs and memory, and nothing calls this memory slow."
    return {node.id: Verdict(NodeKind.DRAM, (why, *_figures(node))) for node in chosen}


def _always_farther(node: Node, others: Sequence[Node], with_cpus: Sequence[Node]) -> bool:
    """Whether some other memory is nearer to every CPU, by the firmware's distances."""
    if any(node.id not in cpu.distances for cpu in with_cpus) or not with_cpus:
        return False
    return all(
        any(cpu.distances.get(other.id, node.distances.get(cpu.id, 0)) < cpu.distances[node.id]
            for other in others if other.id != node.id and other.id in cpu.distances)
        for cpu in with_cpus
    )  # fmt: skip


def _beside_dram(node: Node, dram: Sequence[Node], clues: Clues) -> Verdict:
    """What is neither named by a device nor beside CPUs, compared with DRAM."""
    said = tuple(_lending(device) for device in clues.lent_to(node.id))
    place = clues.places.get(node.id)
    if not said and place is not None:
        said = (f"Its memory lies where {place.source}: the firmware set it aside.",)
    compared = BesideDram(node, dram, clues)
    fast = compared.faster() or compared.on_package()
    if fast is not None:
        return Verdict(NodeKind.HBM, (*said, fast))
    if node.id in clues.devices and not said and not node.cpus:
        return Verdict(NodeKind.GPU, (f"{clues.devices[node.id]}.",))
    slow = compared.slower()
    if slow is not None:
        return Verdict(NodeKind.UNKNOWN, (*said, slow))
    if said:
        return Verdict(NodeKind.UNKNOWN, (*said, "Nothing says what it is."))
    if compared.is_alike():
        return Verdict(NodeKind.DRAM, ("By the firmware it is as fast as DRAM.", *_figures(node)))
    return Verdict(NodeKind.UNKNOWN, ("It has no CPU, no dax device lends it, and nothing says what it is.",))


def _figures(node: Node) -> tuple[str, ...]:
    if node.read_gbps is None and node.read_latency_ns is None:
        return ()
    figures = [
        f"{node.read_gbps:g} GB/s" if node.read_gbps is not None else "",
        f"{node.read_latency_ns:g} ns" if node.read_latency_ns is not None else "",
    ]
    return (f"The firmware (HMAT) says {' and '.join(filter(None, figures))}.",)


def _with_cache(evidence: tuple[str, ...], node: Node, clues: Clues) -> tuple[str, ...]:
    cache = clues.caches.get(node.id)
    return evidence if cache is None else (*evidence, f"{cache}.")
