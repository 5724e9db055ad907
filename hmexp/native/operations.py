"""The operations that the core has loops for, and what each asks of the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hmexp.native.core import ffi, lib
from hmexp.store.details import PerPayload

#: Vector widths that there are loops for somewhere [bits]; 64 is plain C.
VECTOR_BITS: Final = (64, 128, 256, 512)


@dataclass(frozen=True)
class Operation:
    """A way of going over memory, in streams of equal length.

    Payload is what the program asked for: the bytes of its loads and of its stores. The bus carries
    more: a regular store of a line that is not in the cache reads the line first.

    Parameters
    ----------
    name : str
        What it is called in parameters and records.
    number : int
        Its place in the core's table.
    loads, stores : int
        Streams that are read and that are written.
    write_allocates : int
        Streams that the bus reads only because they are written.
    nontemporal : bool
        Whether the stores go past the cache.
    """

    name: str
    number: int
    loads: int
    stores: int
    write_allocates: int
    nontemporal: bool

    @property
    def streams(self) -> int:
        """How many parts of a slice it works on side by side."""
        return self.loads + self.stores

    @property
    def bus_factor(self) -> float:
        """Bytes on the bus for each byte of payload, if nothing is found in a cache."""
        return (self.streams + self.write_allocates) / self.streams

    def bus_bytes(self, payload_bytes: int) -> int:
        """Estimated bytes on the bus [bytes]."""
        return payload_bytes * (self.streams + self.write_allocates) // self.streams

    def to_record(self) -> PerPayload:
        """What one unit of payload is made of, as it is stored."""
        return PerPayload(
            loads=self.loads,
            stores=self.stores,
            write_allocates=self.write_allocates,
            nontemporal=self.nontemporal,
        )


def _read_table() -> dict[str, Operation]:
    table = {}
    for number in range(lib.hm_operation_count()):
        row = lib.hm_operation(number)
        name = ffi.string(row.name).decode("ascii")
        table[name] = Operation(
            name, number, row.loads, row.stores, row.write_allocates, bool(row.nontemporal)
        )
    return table


#: Every operation by its name, regular ones first.
OPERATIONS: Final[Mapping[str, Operation]] = _read_table()


def vector_bits() -> int:
    """Widest vectors that this CPU has and the core has loops for [bits]."""
    return int(lib.hm_vector_bits())
