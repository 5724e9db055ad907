"""Method two of the original design: the kernel module binds each page as it is first touched."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import struct
from pathlib import Path
from typing import Final

from hmexp import native
from hmexp.errors import CapacityError, NativeError, ParseError, PlacerUnsuitableError
from hmexp.memory.page_sizes import HUGE_PAGE_BYTES
from hmexp.memory.placers.protocol import Obstacle, Placed
from hmexp.native import PAGE_BYTES, PageMapping
from hmexp.pattern import MAX_GRANULE_BYTES, Pattern
from hmexp.system.sysfs import split_lines
from hmexp.units import format_size

DEVICE: Final = Path("/dev/hybridmem")

# kernel_module/hybridmem.h: the first version of struct hybridmem_config, which every version of the module
# accepts, is two u32, and hybridmem_pattern a u64 and two u32.
F_STRICT: Final = 0x1
F_SPARSE: Final = 0x2
_CONFIG: Final = struct.Struct("=II")
_PATTERN: Final = struct.Struct("=QII")
_COUNT: Final = re.compile(r"\d+", re.ASCII)
_INSTALL: Final = (
    "install it with `make -C kernel_module` and `sudo make -C kernel_module install`, then `sudo modprobe "
    "hybridmem`; or try it in a virtual machine: `hmexp lab run`"
)


def _iow(number: int, size: int) -> int:
    # _IOW('H', number, size) of <asm-generic/ioctl.h>, which all architectures we run on use.
    return 1 << 30 | size << 16 | ord("H") << 8 | number


_SET_CONFIG: Final = _iow(0x40, _CONFIG.size)
_SET_PATTERN: Final = _iow(0x43, _PATTERN.size)


class Hybridmem:
    """Memory of ``/dev/hybridmem``: placed in the kernel, page by page, whoever touches it.

    A shared mapping, so that a forked child and a second mapping see the same pages, and a page that
    is dropped comes back on its node.

    Parameters
    ----------
    strict : bool
        Refuse a page whose node has no room. Otherwise the kernel takes it from another node and
        counts it; the placement check then finds it misplaced.
    """

    name = "hybridmem"
    exact_order = True
    lazy = True
    needs = "the kernel module"
    granules = (PAGE_BYTES, MAX_GRANULE_BYTES)

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict

    def unavailable(self) -> Obstacle | None:
        """See `Placer`."""
        if not DEVICE.exists():
            return Obstacle(f"{DEVICE} does not exist: the kernel module is not loaded", _INSTALL)
        try:
            os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            return Obstacle(
                f"{DEVICE} cannot be opened: {os.strerror(error.errno or 0)}",
                "run as root, or join the group that its udev rule names",
            )
        return None

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """See `Placer`."""
        if huge and pattern.granule_bytes % HUGE_PAGE_BYTES:
            return Obstacle(
                f"the kernel module gives huge pages for granules of {format_size(HUGE_PAGE_BYTES)} or more, "
                f"not of {format_size(pattern.granule_bytes)}",
                f"use granules of {format_size(HUGE_PAGE_BYTES)} or more",
            )
        return None

    def map(self, size_bytes: int, align_bytes: int, pattern: Pattern, huge: bool = False) -> PageMapping:
        """See `Placer`. The module gives huge pages for granules of as much, if the mapping allows it."""
        obstacle = self.unsuitable(pattern, huge)
        if obstacle is not None:
            raise PlacerUnsuitableError(obstacle.reason, obstacle.remedy)
        fd = open_region(pattern, F_STRICT if self.strict else 0)
        try:
            return PageMapping(size_bytes, align_bytes, huge, fd)
        except OSError:
            os.close(fd)
            raise

    def bind(self, mapping: PageMapping, pattern: Pattern) -> None:
        """See `LazyPlacer`: the file that is mapped has the pattern already."""

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        try:
            native.populate(mapping)
        except NativeError as error:
            if error.errno != errno.EFAULT:
                raise
            refused = _read_counters(mapping.fd)[1].get("refused", 0)
            raise CapacityError(
                f"the kernel module refused {refused} page of the pattern {pattern}: its node is full",
                "ask for a smaller region, or another pattern; see `hmexp nodes`",
            ) from error
        nodes, events = _read_counters(mapping.fd)
        return Placed(
            {
                "strict": self.strict,
                "module_pages": {str(n): count for n, count in nodes.items()},
                **events,
            }
        )

    def count(self, mapping: PageMapping) -> dict[int, int] | None:
        """See `Placer`."""
        return {node: pages for node, pages in _read_counters(mapping.fd)[0].items() if pages}


def open_region(pattern: Pattern, flags: int) -> int:
    """Open a new region of the device and give it a pattern.

    Parameters
    ----------
    pattern : Pattern
        The pattern, with its granule.
    flags : int
        `F_STRICT`, `F_SPARSE`, or both.

    Returns
    -------
    int
        The descriptor.

    Raises
    ------
    NativeError
        If the module refuses the pattern, or does not know a flag.
    """
    fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    shift = pattern.granule_pages(PAGE_BYTES).bit_length() - 1
    nodes = array.array("H", pattern.nodes)
    address, length = nodes.buffer_info()
    asked = f"the flags {flags:#x} and granules of {format_size(pattern.granule_bytes)}"
    remedy = "load the module of this version of hmexp"
    try:
        fcntl.ioctl(fd, _SET_CONFIG, _CONFIG.pack(flags, shift))
        asked = f"the pattern {pattern}"
        remedy = "see `hmexp nodes` for the nodes with memory, and hybridmem(4)"
        fcntl.ioctl(fd, _SET_PATTERN, _PATTERN.pack(address, length, 0))
    except OSError as error:
        os.close(fd)
        code = error.errno or 0
        raise NativeError(
            f"{DEVICE} refuses {asked}: {os.strerror(code)} ({errno.errorcode.get(code, code)})", remedy, code
        ) from error
    return fd


def _read_counters(fd: int) -> tuple[dict[int, int], dict[str, int]]:
    """Pages that the module has allocated for this descriptor, by node, and its other counters."""
    path = Path(f"/proc/self/fdinfo/{fd}")
    nodes: dict[int, int] = {}
    events: dict[str, int] = {}
    for line in split_lines(path.read_bytes().decode("latin-1")):
        name, _, value = line.partition(":")
        if _COUNT.fullmatch(value.strip()) is None:
            continue
        if name[:1] == "N" and _COUNT.fullmatch(name[1:]) is not None:
            nodes[int(name[1:])] = int(value)
        elif name in ("fallbacks", "refused", "migrated", "huge"):
            events[name] = int(value)
    if "refused" not in events:
        raise ParseError(f"{path} has no counters of the hybridmem module", "load the module of this version")
    return nodes, events
