"""Which shape the loops of a run had, and why."""

from __future__ import annotations

from typing import Literal

from hmexp.store.schema import Stored


class ShapeTrial(Stored, frozen=True, kw_only=True, gc=False):
    """What a shape gave when it was tried.

    Parameters
    ----------
    shape : str
        Name of the shape.
    vector_bits : int
        Width of its loads and stores [bits].
    ratios : tuple of float
        Its bandwidth as a multiple of the plain loop's beside it: the median in each fresh region.
    gbps : tuple of float
        Its bandwidth, the median in each region [GB/s].
    rounds : int
        How often it was measured in each region.
    """

    shape: str
    vector_bits: int
    ratios: tuple[float, ...]
    gbps: tuple[float, ...] = ()
    rounds: int = 0

    @property
    def name(self) -> str:
        """Such as ``places4-256``."""
        return f"{self.shape}-{self.vector_bits}"


class ShapeRecord(Stored, frozen=True, kw_only=True, gc=False):
    """The shape of all loops of a run that have an operation, a page size and a number of threads in common.

    Parameters
    ----------
    operation : str
        Name of the bandwidth.
    page_bytes : int
        Size of the pages [bytes].
    threads : int
        Threads.
    shape : str
        Name of the shape; `plain` is the loop that every operation has.
    vector_bits : int
        Width of its loads and stores [bits].
    ratio : float or None
        Its bandwidth as a multiple of the plain loop's at the widest vectors, on DRAM: the geometric mean
        over the regions; None if nothing was measured, as for a shape that was asked for by name.
    source : str
        `measured` for this run, `kept` from an earlier measurement on this CPU, or `named` by a person.
    trials : tuple of ShapeTrial
        What each shape gave.
    spread : float or None
        How much the plain loop itself varied meanwhile: the middle half of its rounds as a part of the
        median, in the worse region; None if nothing was measured. Where the plain loop was chosen and this is
        more than 0.1, the choice is used, but not kept for other runs.
    """

    operation: str
    page_bytes: int
    threads: int
    shape: str
    vector_bits: int
    ratio: float | None = None
    source: Literal["measured", "kept", "named"] = "named"
    trials: tuple[ShapeTrial, ...] = ()
    spread: float | None = None

    @property
    def name(self) -> str:
        """Such as ``places4-256``."""
        return f"{self.shape}-{self.vector_bits}"
