"""The C core, with Python's types and errors around it.

Every function here takes plain numbers and numpy arrays, releases the interpreter lock while the C
code runs, and turns a returned errno into `NativeError`. Nothing here knows what a pattern is for.
"""

from __future__ import annotations

from hmexp.native.chases import (
    MAX_CHAINS,
    MAX_MARKS,
    STORE_KINDS,
    Blend,
    LoadedRun,
    Ring,
    StoreKind,
    build_ring,
    chase,
    chase_blocks,
    loaded,
    store_latency,
    walk_ring,
)
from hmexp.native.core import LINE_BYTES, PAGE_BYTES
from hmexp.native.emulation import CURVE_SHAPE, Lanes, NodeModel, NodeRates
from hmexp.native.gaps import CpuGaps, watch_gaps
from hmexp.native.loops import ACCESSES, SAMPLE, Access, BandwidthRun, Job, Slice, bandwidth
from hmexp.native.operations import OPERATIONS, VECTOR_BITS, Operation, vector_bits
from hmexp.native.pages import PageMapping, advise, first_touch, move_pages, populate, query_nodes
from hmexp.native.policies import (
    FaultHandler,
    Spreading,
    bind_file,
    bind_runs,
    count_runs,
    make_memory_file,
    open_userfaultfd,
    settle,
    spread,
    touch,
)
from hmexp.native.process import (
    ClockCheck,
    check_clock,
    clock_description,
    die_with_parent,
    hypervisor,
    now_ns,
)
from hmexp.native.replay import Load, replay_bandwidth, replay_latency
from hmexp.native.shapes import PLAIN, SHAPES, Shape
from hmexp.native.tails import TAIL_BUCKETS, TailCounts, chase_tail
from hmexp.native.where import FrameNodes, Where, find_pages

__all__ = [
    "ACCESSES",
    "CURVE_SHAPE",
    "LINE_BYTES",
    "MAX_CHAINS",
    "MAX_MARKS",
    "OPERATIONS",
    "PAGE_BYTES",
    "PLAIN",
    "SAMPLE",
    "SHAPES",
    "STORE_KINDS",
    "TAIL_BUCKETS",
    "VECTOR_BITS",
    "Access",
    "BandwidthRun",
    "Blend",
    "ClockCheck",
    "CpuGaps",
    "FaultHandler",
    "FrameNodes",
    "Job",
    "Lanes",
    "Load",
    "LoadedRun",
    "NodeModel",
    "NodeRates",
    "Operation",
    "PageMapping",
    "Ring",
    "Shape",
    "Slice",
    "Spreading",
    "StoreKind",
    "TailCounts",
    "Where",
    "advise",
    "bandwidth",
    "bind_file",
    "bind_runs",
    "build_ring",
    "chase",
    "chase_blocks",
    "chase_tail",
    "check_clock",
    "clock_description",
    "count_runs",
    "die_with_parent",
    "find_pages",
    "first_touch",
    "hypervisor",
    "loaded",
    "make_memory_file",
    "move_pages",
    "now_ns",
    "open_userfaultfd",
    "populate",
    "query_nodes",
    "replay_bandwidth",
    "replay_latency",
    "settle",
    "spread",
    "store_latency",
    "touch",
    "vector_bits",
    "walk_ring",
    "watch_gaps",
]  # fmt: skip
