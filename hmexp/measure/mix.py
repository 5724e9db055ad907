"""A mix of reads and writes, given as its share of reads in the traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from hmexp.errors import ParameterError
from hmexp.native import Blend
from hmexp.store.details import PerPayload

Stores = Literal["nt", "regular"]
#: How stores are made: past the cache, or through it, where each reads its line first.
STORES: Final[tuple[Stores, ...]] = get_args(Stores)
#: Regular stores alone: each line that is written was read before.
LEAST_REGULAR_PERCENT: Final = 50.0
_OPERATIONS: Final = {"nt": "write_nt", "regular": "write"}
_WORDS: Final = {"nt": "non-temporal stores", "regular": "regular stores"}


@dataclass(frozen=True)
class Mix:
    """Loads and stores whose traffic has a share of reads.

    Parameters
    ----------
    read_percent : float
        Share of reads in the traffic, lines that a regular store reads first included [%].
    stores : str
        ``nt`` or ``regular``.

    Raises
    ------
    ParameterError
        If there is no such mix: regular stores read a line for each that they write.
    """

    read_percent: float
    stores: Stores

    def __post_init__(self) -> None:
        if self.stores not in STORES:
            raise ParameterError(f"stores {self.stores!r} is unknown", f"use {' or '.join(STORES)}")
        least = 0.0 if self.stores == "nt" else LEAST_REGULAR_PERCENT
        if not least <= self.read_percent <= 100:
            raise ParameterError(
                f"{self.read_percent:g} % reads with {_WORDS[self.stores]} is not from {least:g} to 100 %",
                "regular stores read each line that they write: at most half of the traffic is written"
                if self.stores == "regular"
                else None,
            )

    def __str__(self) -> str:
        return f"{self.read_percent:g} % reads, {_WORDS[self.stores]}"

    @property
    def writing(self) -> str:
        """The operation that writes."""
        return _OPERATIONS[self.stores]

    @property
    def stored_share(self) -> float:
        """Share of stores in the payload, as the loops make it: in thousandths."""
        reads = self.read_percent / 100
        share = 1 - reads if self.stores == "nt" else (1 - reads) / reads
        return round(1000 * share) / 1000

    @property
    def traffic_per_payload(self) -> float:
        """Bytes on the bus for each byte of payload: a regular store's line counts twice."""
        return 1 + (self.stored_share if self.stores == "regular" else 0.0)

    @property
    def blend(self) -> Blend:
        """Which of the bursts write."""
        return Blend(self.writing, round(1000 * self.stored_share))

    @property
    def per_payload(self) -> PerPayload:
        """What a byte of payload consists of."""
        stored = self.stored_share
        return PerPayload(
            loads=1 - stored,
            stores=stored,
            write_allocates=stored if self.stores == "regular" else 0.0,
            nontemporal=self.stores == "nt",
        )
