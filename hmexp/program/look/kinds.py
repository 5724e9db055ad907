"""The kinds of this machine's nodes, for what counts pages by them."""

from __future__ import annotations

from functools import cache

from hmexp.system.topology import read_topology


@cache
def node_kinds() -> dict[int, str]:
    """The kind of each node of this machine, by its number."""
    return {node.id: node.kind.value for node in read_topology(idle=False).nodes}
