"""Whether the kernel was built with what provisioning needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hmexp.machine.doctor.kernel_options import read_options

_NEEDED: Final = ("MEMORY_HOTPLUG", "DEV_DAX_KMEM")


def describe_kernel(release: str, root: Path = Path("/")) -> str:
    """Say whether the kernel has the options for making memory of devices, as a sentence.

    Parameters
    ----------
    release : str
        The kernel's release.
    root : Path
        Where `/proc`, `/boot` and `/lib` are.
    """
    needed = list(_NEEDED)
    match = re.match(r"(\d{1,6})\.(\d{1,6})", release, re.ASCII)
    # Kernels that still have dax_pmem_compat are given this option too by those who wrote the steps down.
    if match is not None and (int(match[1]), int(match[2])) < (5, 18):
        needed.append("MEMCG_KMEM")
    names = ", ".join(f"CONFIG_{name}" for name in needed)
    found = read_options(root, release)
    if found is None:
        return (
            f"Whether this kernel has {names} is unknown: neither /proc/config.gz nor /boot/config-{release} "
            "can be read."
        )
    options, path = found
    lacking = [f"CONFIG_{name}" for name in needed if options.get(name) not in ("y", "m")]
    if lacking:
        return f"This kernel lacks {', '.join(lacking)} ({path}): the steps need a kernel that has them."
    return f"This kernel has {names} ({path})."
