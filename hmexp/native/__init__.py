"""The C core, with Python's types and errors around it.

Every function here takes plain numbers and numpy arrays, releases the interpreter lock while the C
code runs, and turns a returned errno into `NativeError`. Nothing here knows what a pattern is for.
"""

from __future__ import annotations

import errno as errno_names
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from hmexp.errors import HmexpError, NativeError
from hmexp.pattern import Pattern

try:
    from hmexp.native._core import ffi, lib
except ImportError as error:  # pragma: no cover - only where the build was skipped
    raise HmexpError(
        f"the C core of hmexp cannot be loaded: {error}", "build it: `make setup`, or `pip install -e .`"
    ) from error

Operation = Literal["read", "write"]

PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
LINE_BYTES: Final = 64

_OPERATIONS: Final[Mapping[str, int]] = {"read": lib.HM_READ, "write": lib.HM_WRITE}
_POLICY_REMEDY: Final = (
    "the kernel or a container's filter refuses NUMA system calls: run outside the container, "
    "or give it the capability (docker run --cap-add SYS_NICE)"
)


def _check(returned: int, what: str) -> None:
    if returned >= 0:
        return
    code = -returned
    remedy = None
    if code in (errno_names.EPERM, errno_names.ENOSYS):
        remedy = _POLICY_REMEDY
    elif code == errno_names.ENOMEM:
        remedy = "free memory, or ask for a smaller region; see `hmexp nodes`"
    raise NativeError(f"{what}: {os.strerror(code)} ({errno_names.errorcode.get(code, code)})", remedy, code)


# ---------------------------------------------------------------------- process and clock


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent`, the process that started it, ends.

    Raises
    ------
    NativeError
        If that cannot be arranged, or `parent` has already gone.
    """
    _check(lib.hm_die_with_parent(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise NativeError(f"the process {parent} that started this one has ended", None, errno_names.ESRCH)


def now_ns() -> int:
    """CLOCK_MONOTONIC_RAW [ns]."""
    return int(lib.hm_now_ns())


def clock_description() -> dict[str, object]:
    """The clock that emulated nodes are timed by: its name and ticks per nanosecond."""
    ticks_per_ns = float(lib.hm_ticks_per_ns())
    return {"ticks": "tsc" if lib.hm_ticks_are_tsc() else "clock_gettime", "ticks_per_ns": ticks_per_ns}


def hypervisor() -> str:
    """CPUID's hypervisor signature (``KVMKVMKVM``, ``TCGTCGTCGTCG``), or an empty text."""
    out = ffi.new("char[16]")
    lib.hm_hypervisor(out)
    return bytes(ffi.string(out)).decode("ascii", "replace")


# ---------------------------------------------------------------------- pages


class PageMapping:
    """A mapping of its own in the kernel's list, with an inaccessible page on either side.

    Parameters
    ----------
    size_bytes : int
        Length, a multiple of the page [bytes].
    align_bytes : int
        Alignment of the start [bytes].
    huge : bool
        Whether transparent huge pages are asked for (else they are forbidden).
    fd : int
        A file to map from its start, shared; it is closed with the mapping. Anonymous if negative.
    """

    def __init__(
        self, size_bytes: int, align_bytes: int = PAGE_BYTES, huge: bool = False, fd: int = -1
    ) -> None:
        self.fd = fd
        self._base: Any = None
        out = ffi.new("void **")
        _check(
            lib.hm_map(size_bytes, PAGE_BYTES, align_bytes, int(huge), fd, out), f"mapping {size_bytes} bytes"
        )
        self._base = out[0]
        self.size_bytes = size_bytes

    @property
    def base(self) -> Any:
        """The start, as cffi's ``void *``."""
        if self._base is None:
            raise NativeError("the region is closed", "allocate it again", errno_names.EBADF)
        return self._base

    @property
    def address(self) -> int:
        """The start, as a number."""
        return int(ffi.cast("uintptr_t", self.base))

    def close(self) -> None:
        """Give the memory back; closing twice is allowed."""
        base, self._base = self._base, None
        if base is not None:
            _check(lib.hm_unmap(base, self.size_bytes, PAGE_BYTES), "munmap")
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def array(self) -> npt.NDArray[np.uint8]:
        """The bytes, without a copy; the array must not be used after `close`."""
        return np.frombuffer(ffi.buffer(self.base, self.size_bytes), dtype=np.uint8)

    def __del__(self) -> None:
        if getattr(self, "_base", None) is not None:
            self.close()


def _layout(pattern: Pattern, pages: int) -> tuple[Any, Any]:
    nodes = np.asarray(pattern.nodes, dtype=np.int32)
    held = ffi.from_buffer("int32_t[]", nodes)
    layout = ffi.new(
        "struct hm_layout *", (held, len(nodes), pattern.granule_pages(PAGE_BYTES), pages, PAGE_BYTES)
    )
    return layout, (nodes, held)


def populate(mapping: PageMapping) -> None:
    """Touch every page of a mapping that holds nothing yet, under the policy of the calling thread.

    Raises
    ------
    NativeError
        With EFAULT where an access would be a SIGBUS.
    """
    _check(lib.hm_populate(mapping.base, mapping.size_bytes, PAGE_BYTES), "populating pages")


def first_touch(mapping: PageMapping, pattern: Pattern, node: int) -> None:
    """Touch the pages that `pattern` has on `node`, allocating on that node alone.

    The policy of the calling thread is as before when it returns.
    """
    layout, _held = _layout(pattern, mapping.size_bytes // PAGE_BYTES)
    _check(lib.hm_first_touch(mapping.base, layout, node), f"touching pages bound to node {node}")


def move_pages(mapping: PageMapping, pattern: Pattern, retries: int) -> tuple[int, dict[str, int]]:
    """Move every page to its node.

    Returns
    -------
    requested : int
        Pages asked for [pages].
    failures : dict
        Pages that could not be moved, by the name of the errno [pages].
    """
    layout, _held = _layout(pattern, mapping.size_bytes // PAGE_BYTES)
    requested = ffi.new("int64_t *")
    failures = ffi.new("int64_t[256]")
    _check(lib.hm_move(mapping.base, layout, retries, requested, failures), "move_pages")
    counted = {errno_names.errorcode.get(code, str(code)): int(failures[code]) for code in range(256)}
    return int(requested[0]), {name: count for name, count in counted.items() if count}


def settle(mapping: PageMapping, pattern: Pattern) -> None:
    """Keep automatic NUMA balancing from moving the pages, by a policy of the mapping's own.

    To be called when they are in place: the policy takes any node of the pattern for a new page.
    """
    layout, _held = _layout(pattern, mapping.size_bytes // PAGE_BYTES)
    _check(lib.hm_settle(mapping.base, mapping.size_bytes, layout), "mbind of the region")


def query_nodes(mapping: PageMapping, first_page: int, pages: int) -> npt.NDArray[np.int32]:
    """Ask the kernel where pages are.

    Returns
    -------
    numpy.ndarray
        Node of each page, or a negative errno (``-ENOENT``: not present), shape ``(pages,)``.
    """
    nodes = np.empty(pages, dtype=np.int32)
    held = ffi.from_buffer("int32_t[]", nodes, require_writable=True)
    _check(
        lib.hm_query(mapping.base, first_page, pages, PAGE_BYTES, held), "asking move_pages where pages are"
    )
    return nodes


# ---------------------------------------------------------------------- emulated nodes


@dataclass(frozen=True)
class NodeRates:
    """Speed of one modelled node.

    Parameters
    ----------
    read_ns_per_byte, write_ns_per_byte : float
        Time that the node is occupied by a byte [ns].
    latency_ns : float
        Time of a dependent load [ns].
    """

    read_ns_per_byte: float
    write_ns_per_byte: float
    latency_ns: float


@dataclass(frozen=True)
class NodeModel:
    """What a run needs to emulate nodes: a speed for each node of its pattern."""

    pattern: Pattern
    rates: Mapping[int, NodeRates]
    window_bytes: int

    def to_c(self) -> tuple[Any, Any]:
        """The C structure, and what must be kept alive as long as it is used."""
        order = self.pattern.distinct_nodes
        index = {node: position for position, node in enumerate(order)}
        entries = np.asarray([index[node] for node in self.pattern.nodes], dtype=np.uint8)
        columns = [
            np.asarray([getattr(self.rates[node], name) for node in order], dtype=np.float64)
            for name in ("read_ns_per_byte", "write_ns_per_byte", "latency_ns")
        ]
        held = [ffi.from_buffer("double[]", column) for column in columns]
        held_entries = ffi.from_buffer("uint8_t[]", entries)
        model = ffi.new(
            "struct hm_model *",
            (len(order), *held, self.window_bytes, held_entries, len(entries), self.pattern.granule_bytes),
        )
        return model, (columns, held, entries, held_entries)


def _model(model: NodeModel | None) -> tuple[Any, Any]:
    return (ffi.NULL, None) if model is None else model.to_c()


# ---------------------------------------------------------------------- measuring loops


@dataclass(frozen=True)
class Slice:
    """The part of a region that one thread works on, and the CPU that it is pinned to."""

    offset_bytes: int
    size_bytes: int
    cpu: int


@dataclass(frozen=True)
class BandwidthRun:
    """Times of each thread in each sample, shape ``(samples, threads)`` [ns], and the checksum."""

    start_ns: npt.NDArray[np.int64]
    end_ns: npt.NDArray[np.int64]
    checksum: int


def vector_bits() -> int:
    """Widest vectors that this CPU has and the core has loops for [bits]."""
    return int(lib.hm_vector_bits())


def bandwidth(
    mapping: PageMapping,
    slices: Sequence[Slice],
    operation: Operation,
    passes: int,
    samples: int,
    model: NodeModel | None = None,
    bits: int | None = None,
) -> BandwidthRun:
    """Go over the slices, `passes` times a sample, all threads starting each sample together.

    Returns
    -------
    BandwidthRun
        The checksum is the exclusive or of every 64-bit word read in every pass but the warm-up
        passes' included, so that tests can prove which bytes were read; 0 for writes.
    """
    held_slices = ffi.new("struct hm_slice[]", [(s.offset_bytes, s.size_bytes, s.cpu) for s in slices])
    shape = (samples, len(slices))
    start, end = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    checksum = ffi.new("uint64_t *")
    c_model, _held = _model(model)
    _check(
        lib.hm_bandwidth(
            mapping.base, held_slices, len(slices), _OPERATIONS[operation], bits or vector_bits(), passes,
            samples, c_model, ffi.from_buffer("int64_t[]", start, require_writable=True),
            ffi.from_buffer("int64_t[]", end, require_writable=True), checksum,
        ),
        f"{operation} loop with {len(slices)} threads",
    )  # fmt: skip
    return BandwidthRun(start, end, int(checksum[0]))


def build_ring(
    mapping: PageMapping, seed: int, model: NodeModel | None = None, spacing_bytes: int = LINE_BYTES
) -> int:
    """Write a random ring through the region, one line every `spacing_bytes`.

    Returns
    -------
    int
        How many lines it has.
    """
    lines = ffi.new("uint64_t *")
    c_model, _held = _model(model)
    _check(
        lib.hm_ring_build(mapping.base, mapping.size_bytes, spacing_bytes, seed, c_model, lines),
        "building the ring",
    )
    return int(lines[0])


def walk_ring(mapping: PageMapping, cpu: int, limit: int) -> int:
    """Count the lines from the first one round to itself, giving up beyond `limit`."""
    length = ffi.new("uint64_t *")
    _check(lib.hm_ring_walk(mapping.base, cpu, limit, length), f"walking the ring on CPU {cpu}")
    return int(length[0])


def chase(
    mapping: PageMapping,
    cpu: int,
    hops: int,
    samples: int,
    model: NodeModel | None = None,
    start_offset: int = 0,
) -> tuple[npt.NDArray[np.int64], int]:
    """Follow the ring.

    Returns
    -------
    elapsed_ns : numpy.ndarray
        Time of each sample of `hops` dependent loads, shape ``(samples,)`` [ns].
    end_offset : int
        Where the chase stopped, to go on from [bytes].
    """
    elapsed = np.zeros(samples, dtype=np.int64)
    offset = ffi.new("uint64_t *", start_offset)
    c_model, _held = _model(model)
    held = ffi.from_buffer("int64_t[]", elapsed, require_writable=True)
    _check(lib.hm_chase(mapping.base, cpu, hops, samples, c_model, held, offset), f"chasing on CPU {cpu}")
    return elapsed, int(offset[0])
