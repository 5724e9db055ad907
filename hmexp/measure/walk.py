"""How the threads of a bandwidth go over a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.memory.region import Region
from hmexp.native import Access, Operation
from hmexp.units import format_size

Share = Literal["slices", "granules"]

SHARES: Final[tuple[Share, ...]] = get_args(Share)
#: From one line to the next, where no stride is named [bytes].
STRIDE_BYTES: Final = 4096


@dataclass(frozen=True)
class Walk:
    """How threads go over a region.

    Parameters
    ----------
    access : str
        ``sequential``, ``random_line``, ``random_granule`` or ``strided``: every line once a pass.
    stride_bytes : int
        From one line to the next, if `access` is ``strided`` [bytes].
    share : str
        ``slices``: each thread has a part of its own; ``granules``: all take granules in turn.
    window_bytes : int, optional
        The bandwidth of each window of that length along the region is taken, too [bytes].
    vector_bits : int, optional
        Width of the vectors; the widest of this CPU if not given. 64 is plain C [bits].
    shape : str
        How the loop walks: a name of `hmexp.native.SHAPES`, such as ``places4``, or one with a vector width,
        ``places4-256``. Emulated nodes, and lines one by one, are walked by the ``plain`` loop.
    """

    access: Access = "sequential"
    stride_bytes: int = STRIDE_BYTES
    share: Share = "slices"
    window_bytes: int | None = None
    vector_bits: int | None = None
    shape: str = native.PLAIN

    @property
    def shared(self) -> bool:
        """Whether the threads take granules in turn."""
        return self.share == "granules"

    def require(self, region: Region) -> None:
        """Refuse what cannot be done in a region.

        Raises
        ------
        ParameterError
            Naming the value and what can be used.
        """
        if self.access not in native.ACCESSES:
            raise ParameterError(
                f"access {self.access!r} is unknown", f"use one of: {', '.join(native.ACCESSES)}"
            )
        if self.share not in SHARES:
            raise ParameterError(f"share {self.share!r} is unknown", f"use one of: {', '.join(SHARES)}")
        if self.access == "strided" and (
            self.stride_bytes < native.LINE_BYTES or self.stride_bytes % native.LINE_BYTES
        ):
            raise ParameterError(f"stride {self.stride_bytes} is not a multiple of {native.LINE_BYTES} bytes")
        if self.shared and self.access in ("random_line", "strided"):
            raise ParameterError(
                f"threads that share granules cannot use {self.access} access",
                "use share='slices', or sequential or random_granule access",
            )
        self._require_window(region)

    def _require_window(self, region: Region) -> None:
        if self.window_bytes is None:
            return
        if self.window_bytes % native.PAGE_BYTES or not 0 < self.window_bytes <= region.size_bytes:
            raise ParameterError(
                f"a window of {format_size(self.window_bytes)} is not a number of whole pages within the "
                "region",
                f"use a multiple of {format_size(native.PAGE_BYTES)} from {format_size(native.PAGE_BYTES)} "
                f"to {format_size(region.size_bytes)}",
            )
        if self.access != "sequential" or self.shared:
            raise ParameterError(
                "bandwidth per window needs sequential access and share='slices'",
                "otherwise there is no moment at which a window ends",
            )


def require_vectors(bits: int | None, operation: Operation) -> int:
    """Choose the vector width [bits].

    Raises
    ------
    ParameterError
        If this CPU does not have it, or the operation cannot be done at that width.
    """
    widest = native.vector_bits()
    widths = [width for width in native.VECTOR_BITS if width <= widest]
    usable = [width for width in widths if width > 64 or not operation.nontemporal]
    if not usable:
        raise ParameterError(
            f"operation {operation.name} needs non-temporal stores, which hmexp does not have for this CPU",
            "use a regular operation",
        )
    if bits is None:
        return usable[-1]
    if bits not in usable:
        why = (
            "has no non-temporal stores"
            if bits == 64
            else f"is too wide: the vectors of this CPU have {widest} bits"
        )
        raise ParameterError(
            f"vector width {bits} {why}", f"use one of: {', '.join(map(str, usable))} for {operation.name}"
        )
    return bits
