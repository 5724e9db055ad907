"""What every benchmark says first and last: how quiet the machine was."""

from __future__ import annotations

import os
from pathlib import Path


def say_load(when: str) -> None:
    """Print the load average and the time that the hypervisor has stolen so far."""
    cpu = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    cpus = len(os.sched_getaffinity(0))
    print(f"{when}: load average {os.getloadavg()[0]:.2f}, {cpus} CPUs, {cpu[8]} ticks stolen since boot")
