"""Which node is emulated: what ``auto``, ``none`` and ``NODE=PROFILE`` mean on a machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hmexp.errors import ParameterError
from hmexp.memory.emulation import EmulationRequest
from hmexp.system.topology import Topology


def find_request(
    text: str, topology: Topology, named: Iterable[int] | None = None
) -> EmulationRequest | None:
    """The node to emulate, or None where all nodes are real.

    Parameters
    ----------
    text : str
        ``none``; ``NODE=PROFILE``; or ``auto``, which emulates a node only where the machine has no slow
        memory of its own.
    topology : Topology
        The machine.
    named : iterable of int, optional
        Nodes that patterns name: ``auto`` emulates the one that does not exist. Without it ``auto`` emulates
        the first number from 2 that no node has.

    Raises
    ------
    ParameterError
        If the text has another form, the node is real, or several nodes would have to be emulated.
    EmulationError
        If the profile cannot be used.
    """
    word = text.strip()
    real = {node.id for node in topology.nodes}
    # The only node that may be used is no slow side of a ratio, whatever its kind.
    has_slow = bool(topology.slow_nodes) and len(topology.usable_nodes) > 1
    if word == "none" or (word == "auto" and has_slow):
        return None
    if word != "auto":
        request = EmulationRequest.parse(word)
        if request.node in real:
            raise ParameterError(
                f"emulate {text!r}: node {request.node} is a real node of this machine",
                "emulate a node with an id of its own",
            )
        return request
    if named is None:
        # The original design's slow node is 2.
        return _by_default(next(node for node in itertools.count(2) if node not in real))
    missing = sorted(set(named) - real)
    if len(missing) > 1:
        raise ParameterError(
            f"nodes {', '.join(map(str, missing))} do not exist, and only one node can be emulated",
            "see `hmexp nodes` for the nodes of this machine",
        )
    return _by_default(missing[0]) if missing else None


def _by_default(node: int) -> EmulationRequest:
    return EmulationRequest.parse(f"{node}={EmulationRequest.default_profile()}")
