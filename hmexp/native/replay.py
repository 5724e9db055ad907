"""The model of emulated nodes alone, in a time of its own: no memory is touched, and no clock is read."""

from __future__ import annotations

from dataclasses import dataclass

from hmexp.native.chases import Blend
from hmexp.native.core import check, ffi, lib
from hmexp.native.emulation import NodeModel
from hmexp.native.operations import OPERATIONS


@dataclass(frozen=True)
class Load:
    """What threads ask the nodes for.

    Parameters
    ----------
    operation : str
        Name of an operation.
    threads : int
        How many; 0 for a chase alone.
    blend : Blend, optional
        Another operation among its bursts.
    burst_bytes, delay_ns : int
        Of each stream between two pauses, and the pause [bytes, ns].
    """

    operation: str = "read"
    threads: int = 1
    blend: Blend | None = None
    burst_bytes: int = 1024
    delay_ns: int = 0


def replay_bandwidth(model: NodeModel, load: Load, bursts: int) -> float:
    """Bandwidth that so many bursts of each thread get [GB/s]."""
    return _replay(model, load, hops=0, bursts=bursts)[0]


def replay_latency(model: NodeModel, load: Load, hops: int) -> tuple[float, float]:
    """Bandwidth of a load, and latency of a chase of so many hops under it [GB/s, ns]."""
    return _replay(model, load, hops=hops, bursts=0)


def _replay(model: NodeModel, load: Load, hops: int, bursts: int) -> tuple[float, float]:
    gbps, latency = ffi.new("double *"), ffi.new("double *")
    c_model, _held = model.to_c()
    c_map, _held_map = model.map_to_c()
    number = OPERATIONS[load.operation].number
    blend = load.blend.to_c() if load.blend else {"operation": number, "of_thousand": 0}
    replay = ffi.new(
        "struct hm_replay *",
        {
            "operation": number,
            "threads": load.threads,
            "blend": blend,
            "delay_ns": load.delay_ns,
            "burst_bytes": load.burst_bytes,
            "hops": hops,
            "bursts": bursts,
        },
    )
    check(lib.hm_replay(replay, c_model, c_map, gbps, latency), f"replaying {load.operation}")
    return float(gbps[0]), float(latency[0])
