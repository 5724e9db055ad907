"""Speeds of emulated nodes, as the core's loops are slowed by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hmexp.native.core import ffi, lib
from hmexp.pattern import Pattern

#: Of the curves of a node: shares of reads, and parts of what it can carry, both from 0 to 1.
CURVE_SHAPE: Final = (int(lib.HM_CURVE_SHARES), int(lib.HM_CURVE_STEPS))


@dataclass(frozen=True)
class Lanes:
    """Servers of a node beside its medium: both directions of a link, and the turns of the medium.

    Parameters
    ----------
    toward_ns_per_byte, request_ns_per_byte : float
        Time that a byte written, and a byte read, occupies the direction to the memory [ns].
    back_ns_per_byte, completion_ns_per_byte : float
        Time that a byte read, and a byte written, occupies the direction from the memory [ns].
    turn_ns_per_byte : float
        What turning adds, times ``sqrt(r (1 - r))``, r being the share of reads [ns].
    """

    toward_ns_per_byte: float = 0.0
    request_ns_per_byte: float = 0.0
    back_ns_per_byte: float = 0.0
    completion_ns_per_byte: float = 0.0
    turn_ns_per_byte: float = 0.0


@dataclass(frozen=True)
class NodeRates:
    """Speed of one modelled node.

    Parameters
    ----------
    read_ns_per_byte, write_ns_per_byte, write_nt_ns_per_byte : float
        Time that the node is occupied by a byte that is read, written, or written past the cache [ns].
        Without the last, such a byte costs what any written one does.
    latency_ns : float
        Time of a dependent load [ns].
    store_nt_ns, store_flush_ns : float
        Time of a non-temporal store and a fence; of a store, a flush and a fence [ns].
    lanes : Lanes
        All zero: the node is one queue.
    curves_ns : array of float or None
        Latency under load, of the shape `CURVE_SHAPE`; None where it is that of the queue alone [ns].
    """

    read_ns_per_byte: float
    write_ns_per_byte: float
    latency_ns: float
    write_nt_ns_per_byte: float = -1.0
    store_nt_ns: float = 0.0
    store_flush_ns: float = 0.0
    lanes: Lanes = Lanes()
    curves_ns: npt.NDArray[np.float64] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.write_nt_ns_per_byte == -1.0:
            object.__setattr__(self, "write_nt_ns_per_byte", self.write_ns_per_byte)


@dataclass(frozen=True)
class NodeModel:
    """What a run needs to emulate nodes: a speed for each, and the pattern that the region follows.

    Parameters
    ----------
    pattern : Pattern
        Of the region.
    rates : mapping of int to NodeRates
        Of its nodes, and of those that another region of the same run has.
    window_bytes : int
        Traffic that one thread may have under way [bytes].
    chunk_bytes : int
        What a thread asks a node for at a time, a power of two up to 4096 [bytes].
    """

    pattern: Pattern
    rates: Mapping[int, NodeRates]
    window_bytes: int
    chunk_bytes: int = 4096

    def map_to_c(self, pattern: Pattern | None = None) -> tuple[Any, Any]:
        """The C map from granules to nodes, and what must be kept alive with it."""
        chosen = self.pattern if pattern is None else pattern
        index = {node: position for position, node in enumerate(self.rates)}
        return make_map(chosen, index)

    def to_c(self) -> tuple[Any, Any]:
        """The C structure, and what must be kept alive with it."""
        names = {each.name for each in fields(NodeRates)} - {"lanes", "curves_ns"}
        columns = {
            name: np.asarray([getattr(rates, name) for rates in self.rates.values()], dtype=np.float64)
            for name in names
        }
        held = {name: ffi.from_buffer("double[]", column) for name, column in columns.items()}
        model = ffi.new(
            "struct hm_model *",
            {
                "nodes": len(self.rates),
                **held,
                **self._carried(held),
                "chunk_bytes": self.chunk_bytes,
                "window_bytes": self.window_bytes,
            },
        )
        return model, (columns, held)

    def _carried(self, held: dict[str, Any]) -> dict[str, Any]:
        """Lanes and curves, where a node has them."""
        found: dict[str, Any] = {}
        rates = self.rates.values()
        if any(each.lanes != Lanes() for each in rates):
            found["lanes"] = ffi.new("struct hm_lanes[]", [vars(each.lanes) for each in rates])
        if any(each.curves_ns is not None for each in rates):
            none = np.zeros(CURVE_SHAPE)
            curves = np.stack([none if each.curves_ns is None else each.curves_ns for each in rates])
            held["curves_ns"] = curves
            found["curves_ns"] = ffi.from_buffer("double[]", np.ascontiguousarray(curves, dtype=np.float64))
        held.update({f"c_{name}": value for name, value in found.items()})
        return found


def make_map(pattern: Pattern, index: Mapping[int, int]) -> tuple[Any, Any]:
    """The C map of a pattern whose nodes are numbered by `index`, and what must be kept alive with it."""
    entries = np.asarray([index[node] for node in pattern.nodes], dtype=np.uint8)
    held = ffi.from_buffer("uint8_t[]", entries)
    return ffi.new("struct hm_map *", (held, len(entries), pattern.granule_bytes)), (entries, held)


def number_nodes(pattern: Pattern) -> dict[int, int]:
    """Numbers from 0 up for the nodes of a pattern that is not modelled."""
    return {node: position for position, node in enumerate(pattern.distinct_nodes)}


def model_to_c(model: NodeModel | None) -> tuple[Any, Any]:
    """As `NodeModel.to_c`; a null pointer without a model."""
    return (ffi.NULL, None) if model is None else model.to_c()


def map_to_c(model: NodeModel | None) -> tuple[Any, Any]:
    """As `NodeModel.map_to_c`; a null pointer without a model."""
    return (ffi.NULL, None) if model is None else model.map_to_c()
