"""One NUMA node, as the kernel and the firmware describe it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hmexp.system.dax import NodeKind

#: The words that begin a sentence of evidence and are no names.
_OPENING: Final = re.compile(r"(\A|; |\. )(By|It|Its|No|Node|Nothing|The|They)\b")


@dataclass(frozen=True)
class Node:
    """One NUMA node.

    Parameters
    ----------
    id : int
        The kernel's number of it.
    kind : NodeKind
        ``dram``, ``nvm``, ``cxl``, ``hbm``, ``gpu`` or ``unknown``.
    cpus : tuple of int
        Its CPUs that are online; empty for a node of memory alone.
    total_bytes, free_bytes : int
        Its memory, and an estimate of what a program can still get of it [bytes].
    distances : mapping of int to int
        Distance to each node (10 is the node itself); empty when the kernel gives none.
    read_latency_ns, write_latency_ns : float or None
        What the firmware (HMAT) says, seen from the best CPUs [ns].
    read_gbps, write_gbps : float or None
        What the firmware (HMAT) says, seen from the best CPUs [GB/s].
    initiators : tuple of int
        The nodes whose CPUs the firmware (HMAT) calls nearest to this memory; empty when it says nothing.
    evidence : tuple of str
        Why it is of this kind: short sentences, each with the file and what it says.
    """

    id: int
    kind: NodeKind
    cpus: tuple[int, ...]
    total_bytes: int
    free_bytes: int
    distances: Mapping[int, int] = field(default_factory=dict)
    read_latency_ns: float | None = None
    write_latency_ns: float | None = None
    read_gbps: float | None = None
    write_gbps: float | None = None
    initiators: tuple[int, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def has_memory(self) -> bool:
        """Whether the node has any memory."""
        return self.total_bytes > 0


def join_evidence(evidence: Sequence[str]) -> str:
    """Make one sentence of the evidence for a node's kind, to follow a colon.

    Parameters
    ----------
    evidence : sequence of str
        Sentences, as a node or its record has them.
    """
    joined = "; ".join(sentence.removesuffix(".") for sentence in evidence)
    one = _OPENING.sub(lambda match: f"{'; ' if match[1] else ''}{match[2].lower()}", joined)
    return f"{one}." if one else ""
