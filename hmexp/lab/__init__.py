"""The lab: a virtual machine with a chosen kernel and chosen NUMA nodes, to run one command in.

>>> import hmexp.lab
>>> result = hmexp.lab.run(["numactl", "--hardware"], kernel="6.12", topology="dram-nvm")  # doctest: +SKIP
"""

from __future__ import annotations

from hmexp.lab.errors import (
    LabCrashError,
    LabError,
    LabKernelError,
    LabNeedError,
    LabTimeoutError,
    LabTopologyError,
)
from hmexp.lab.guest_node import GuestTopology
from hmexp.lab.runner import LabResult, run
from hmexp.lab.topology import find_topology, shipped_topologies

__all__ = [
    "GuestTopology",
    "LabCrashError",
    "LabError",
    "LabKernelError",
    "LabNeedError",
    "LabResult",
    "LabTimeoutError",
    "LabTopologyError",
    "find_topology",
    "run",
    "shipped_topologies",
]
