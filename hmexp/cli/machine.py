"""What the commands that measure ask of this machine, and say of what they found."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hmexp.measure.measurement import Measurement
    from hmexp.memory.emulation import Emulation
    from hmexp.system.topology import Topology

_log = logging.getLogger(__name__)


def this_machine() -> Topology:
    """The nodes of this machine."""
    from hmexp.system.libnuma import LibNuma
    from hmexp.system.topology import read_topology

    return read_topology(libnuma=LibNuma.load())


def warn_of_quota(machine: Topology, threads: int) -> None:
    """Warn on standard error where so many threads may not run all the time."""
    from hmexp.system.limits import note_quota

    warning = note_quota(machine.limits, threads)
    if warning is not None:
        _log.warning("%s", warning)


def say_emulated(emulation: Emulation | None) -> None:
    """Say that a node is emulated, if one is."""
    if emulation is None:
        return
    node = next(iter(emulation.backing))
    speed = "at its published speed" if emulation.absolute else "scaled to this host"
    print(
        f"EMULATED: node {node} is {emulation.profile.title}, modelled in software on the DRAM of node "
        f"{emulation.backing[node]}, {speed}. Its numbers say nothing about this machine."
    )


def say_trust(found: Measurement) -> None:
    """Say what was proven, and what to beware of."""
    print(f"proof: {found.after.summary}")
    for warning in found.warnings:
        print(f"warning: {warning}")
