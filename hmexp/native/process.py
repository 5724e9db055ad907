"""The process, its clocks and the machine under them."""

from __future__ import annotations

import errno as errno_names
import os
from dataclasses import dataclass

from hmexp.errors import NativeError
from hmexp.native.core import check, ffi, lib


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent`, the process that started it, ends.

    Raises
    ------
    NativeError
        If that cannot be arranged, or `parent` has already gone.
    """
    check(lib.hm_die_with_parent(), "prctl(PR_SET_PDEATHSIG)")
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


@dataclass(frozen=True)
class ClockCheck:
    """The clock of the emulated nodes held against the kernel's CLOCK_MONOTONIC.

    Parameters
    ----------
    drift : float
        By how much it runs fast; 1e-6 is a microsecond a second.
    read_ns : float
        What one reading of it costs [ns].
    """

    drift: float
    read_ns: float


def check_clock(span_seconds: float = 0.01) -> ClockCheck:
    """Compare the clocks for a while [s]."""
    drift, read_ns = ffi.new("double *"), ffi.new("double *")
    check(lib.hm_clock_check(int(span_seconds * 1e9), drift, read_ns), "comparing the clocks")
    return ClockCheck(float(drift[0]), float(read_ns[0]))
