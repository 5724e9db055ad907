"""How far the memory of a machine is on its way to a NUMA node, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

Mode = Literal["devdax", "system-ram", "unbound"]
#: Until it is this, daxctl of newer kernels refuses to bring memory online.
OFFLINE: Final = "offline"


#: Mode of a namespace that hmexp was interrupted at.
UNFINISHED: Final = "unfinished"


@dataclass(frozen=True)
class PmemSpace:
    """A namespace of persistent memory.

    Parameters
    ----------
    name : str
        Such as ``namespace0.0``.
    region : int
        Number of its region.
    mode : str
        ``raw``, ``fsdax``, ``sector`` or ``devdax``; or `UNFINISHED`, whatever mode it shows.
    size_bytes : int
        Its size [bytes].
    uuid : str or None
        Its own name, which outlives a reboot.
    is_empty : bool
        Whether it is raw and was looked at: nothing but zeros at its begin and end.
    is_ours : bool
        Whether hmexp made it.
    """

    name: str
    region: int
    mode: str
    size_bytes: int
    uuid: str | None = None
    is_empty: bool = False
    is_ours: bool = False

    @property
    def is_precious(self) -> bool:
        """Whether it may hold data of somebody."""
        return not (self.is_empty or self.is_ours)


@dataclass(frozen=True)
class PmemArea:
    """A region of persistent memory: one or more modules, interleaved.

    Parameters
    ----------
    number : int
        The kernel's number of it.
    size_bytes, available_bytes : int
        Its size, and what no namespace has of it [bytes].
    node : int or None
        The node that its memory would become.
    is_enabled : bool
        Whether it can be used; the namespaces of one that cannot are not known.
    is_interrupted : bool
        Whether hmexp was interrupted as it made a namespace there.
    """

    number: int
    size_bytes: int
    available_bytes: int
    node: int | None = None
    is_enabled: bool = True
    is_interrupted: bool = False


@dataclass(frozen=True)
class DaxState:
    """A DAX device.

    Parameters
    ----------
    name : str
        Such as ``dax0.0``.
    kind : str
        ``nvm``, ``cxl`` or ``unknown``.
    mode : str
        ``devdax`` (a file in /dev), ``system-ram``, or ``unbound`` (no driver).
    size_bytes : int
        Its size [bytes].
    node : int or None
        The node that its memory belongs to, or would.
    online_blocks, total_blocks : int
        Memory blocks in system-ram mode.
    """

    name: str
    kind: str
    mode: Mode
    size_bytes: int
    node: int | None
    online_blocks: int = 0
    total_blocks: int = 0

    @property
    def region(self) -> int:
        """Number of the region that it belongs to."""
        return int(self.name[3:].partition(".")[0])

    @property
    def is_node(self) -> bool:
        """Whether all of its memory is memory of a node."""
        return self.mode == "system-ram" and 0 < self.total_blocks <= self.online_blocks


@dataclass(frozen=True)
class CxlState:
    """A CXL memory device with volatile memory that no region uses.

    Parameters
    ----------
    name : str
        Such as ``mem0``.
    ram_bytes : int
        Its volatile memory [bytes].
    endpoint : str
        Its decoder that is free, such as ``decoder2.0``.
    root : str
        The decoder of the host's window, such as ``decoder0.0``.
    next_region : str
        The region that the kernel would make next, such as ``region0``.
    """

    name: str
    ram_bytes: int
    endpoint: str
    root: str
    next_region: str


@dataclass(frozen=True)
class HalfRegion:
    """What is left of a region of CXL memory whose making was interrupted.

    Parameters
    ----------
    name : str
        Such as ``region0``.
    root : str or None
        The decoder of the host's window that has it; None if there is no such region any more.
    endpoint : str
        The decoder of the device, such as ``decoder2.0``.
    holds : bool
        Whether the decoder still holds memory for it.
    """

    name: str
    root: str | None
    endpoint: str
    holds: bool


@dataclass(frozen=True)
class ProvisionState:
    """Everything that a plan depends on.

    Parameters
    ----------
    areas, spaces, dax, cxl : tuple
        What there is.
    half_region : HalfRegion or None
        What an interruption has left of a region of CXL memory.
    has_left_compat : bool
        False if an interruption came while dax_pmem_compat was being replaced: perhaps no driver has the
        devices.
    of_compat : tuple of str
        The devices of the bus `nd` that dax_pmem_compat has, such as ``dax0.0``.
    auto_online : str or None
        What the kernel does with new memory; None if it does not say.
    auto_before : str or None
        What it was before hmexp set it to ``offline``; None if hmexp did not.
    is_compat : bool
        Whether dax_pmem_compat is loaded, whose devices cannot become memory (before Linux 5.18).
    has_kmem : bool
        Whether the driver that makes memory of a device is there.
    cxl_creates : bool
        Whether the program ``cxl`` can make regions of volatile memory (77 and later).
    missing : tuple of str
        Programs that are needed here and not installed.
    """

    areas: tuple[PmemArea, ...] = ()
    spaces: tuple[PmemSpace, ...] = ()
    dax: tuple[DaxState, ...] = ()
    cxl: tuple[CxlState, ...] = ()
    auto_online: str | None = None
    auto_before: str | None = None
    is_compat: bool = False
    has_kmem: bool = True
    cxl_creates: bool = False
    missing: tuple[str, ...] = ()
    half_region: HalfRegion | None = None
    has_left_compat: bool = True
    of_compat: tuple[str, ...] = ()

    def with_dax(self, new: DaxState) -> ProvisionState:
        """The same with one device added or replaced."""
        others = [each for each in self.dax if each.name != new.name]
        return replace(self, dax=tuple(sorted([*others, new], key=lambda each: each.name)))

    def with_space(self, new: PmemSpace) -> ProvisionState:
        """The same with one namespace added or replaced."""
        others = [each for each in self.spaces if each.name != new.name]
        return replace(self, spaces=tuple(sorted([*others, new], key=lambda each: each.name)))


@dataclass(frozen=True)
class ProvisionWish:
    """Which memory is to become nodes, and how.

    Parameters
    ----------
    movable : bool
        Whether it goes to ZONE_MOVABLE, from where it can be taken offline again.
    regions, nodes : tuple of int
        Only these; empty for all.
    devices : tuple of str
        Only these (``dax0.0``, ``namespace0.0``, ``mem0``); empty for all.
    size_bytes : int or None
        Size of new namespaces and regions; None for all there is [bytes].
    destroy : tuple of str
        Namespaces whose data may be destroyed.
    """

    movable: bool = True
    regions: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()
    size_bytes: int | None = None
    destroy: tuple[str, ...] = ()

    def selects(self, *, region: int | None, node: int | None, names: tuple[str, ...]) -> bool:
        """Whether something with these properties is meant."""
        return (
            (not self.regions or region in self.regions)
            and (not self.nodes or node in self.nodes)
            and (not self.devices or any(name in self.devices for name in names))
        )
