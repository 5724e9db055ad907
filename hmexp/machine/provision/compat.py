"""The older model of DAX devices, dax_pmem_compat (before Linux 5.18), whose devices cannot become memory.

The alias of such devices names this driver alone, so udev and ndctl load it for every new namespace: also
where dax_pmem already has others, and some of these are memory.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from hmexp.machine.provision.state import ProvisionState
from hmexp.machine.provision.steps import ProvisionStep, ShellCommand, SysfsWrite
from hmexp.system.sysfs import list_folder

_BIND: Final = "bus/nd/drivers/dax_pmem/bind"
_DEVICE: Final = r"dax\d+\.\d+"


def leave_compat(state: ProvisionState) -> ProvisionStep:
    """Give the devices to the newer driver: by the seed's sequence where none of them is memory yet."""
    actions: tuple[ShellCommand | SysfsWrite, ...]
    if any(device.kind == "nvm" and device.mode == "system-ram" for device in state.dax):
        # Without dax_pmem the kernel takes these devices away, and their memory cannot go with them.
        actions = (_modprobe("-r dax_pmem_compat"), *(SysfsWrite(_BIND, each) for each in state.of_compat))
    else:
        actions = (
            _modprobe("-r dax_pmem_compat"),
            _modprobe("-r dax_pmem"),
            _modprobe("-i dax_pmem"),
        )
    return ProvisionStep(
        actions,
        "dax_pmem_compat has the devices, and a device of its model cannot become memory.",
        "The DAX devices appear on the bus `dax`. The kernel needs CONFIG_DEV_DAX_KMEM (and "
        "CONFIG_MEMCG_KMEM).",
        replace(state, is_compat=False, has_left_compat=True, of_compat=()),
    )


def read_of_compat(doing: str | None, sys_root: Path) -> tuple[str, ...]:
    """Read which devices dax_pmem_compat has, or had when the step that takes them away was interrupted.

    Parameters
    ----------
    doing : str or None
        The step that was interrupted in this boot.
    sys_root : Path
        Where `/sys` is.
    """
    had = re.findall(rf"echo ({_DEVICE}) > /sys/{_BIND}", doing or "", re.ASCII)
    has = [
        entry.name
        for entry in list_folder(sys_root / "bus/nd/drivers/dax_pmem_compat")
        if re.fullmatch(_DEVICE, entry.name, re.ASCII)
    ]
    return tuple(sorted({*had, *has}))


def _modprobe(text: str) -> ShellCommand:
    return ShellCommand(("modprobe", *text.split()))
