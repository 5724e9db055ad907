"""How threads load a memory while another measures, and on which CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError
from hmexp.measure.mix import Mix
from hmexp.measure.threads import place_threads
from hmexp.system.cpus import allowed_cpus

#: Pauses after each burst, the longest first [ns].
DELAYS_NS: Final = (
    20000, 8000, 4000, 2500, 1700, 1200, 900, 700, 550, 420, 320, 250, 200, 150, 110, 80, 50, 25, 0
)  # fmt: skip
#: What an injecting thread does of each stream between two pauses [bytes].
BURST_BYTES: Final = 1024
#: Points that are added between the two delays on either side of the knee.
REFINE: Final = 4


@dataclass(frozen=True)
class Injection:
    """How the threads that load a memory do it, at one rate after the other.

    Parameters
    ----------
    delays_ns : tuple of int
        Pauses after each burst [ns].
    refine : int
        How many rates to add on either side of the knee.
    vector_bits : int, optional
        Width of the vectors; the widest of this CPU if not given [bits].
    mix : Mix, optional
        Loads and stores by their share of traffic; the operation must be ``read`` then.
    """

    delays_ns: tuple[int, ...] = DELAYS_NS
    refine: int = REFINE
    vector_bits: int | None = None
    mix: Mix | None = None


#: All the rates, and as many again beside the knee as `REFINE` says.
INJECTION: Final = Injection()


def check_delays(delays_ns: Sequence[int]) -> tuple[int, ...]:
    """Sort pauses, the longest first; refuse what is none [ns]."""
    delays = tuple(dict.fromkeys(delays_ns))
    if not delays:
        raise ParameterError("there are no delays", "give at least one, such as 0")
    for delay in delays:
        if isinstance(delay, bool) or not isinstance(delay, int) or not 0 <= delay <= 10_000_000:
            raise ParameterError(f"delay {delay!r} is not a whole number of ns from 0 to 10000000")
    return tuple(sorted(delays, reverse=True))


def place_load(threads: int | None, pinning: str | Sequence[int]) -> tuple[int, ...]:
    """The CPU of the chase, and one for each thread that injects; all others if `threads` is None.

    Raises
    ------
    ParameterError
        If there are not so many.
    """
    able = len(allowed_cpus())
    if able < 2:
        raise ParameterError("loaded latency takes two CPUs, and this process may use one", "allow more CPUs")
    named = None if isinstance(pinning, str) else len(pinning)
    count = (able if named is None else named) - 1 if threads is None else threads
    if type(count) is not int or count < 1:
        raise ParameterError(f"threads {count!r} is not a positive whole number", "use 1 or more threads")
    if named is None and count + 1 > able:
        raise ParameterError(
            f"{count} threads that inject and one that chases are more than the {able} CPUs",
            f"use at most {able - 1} threads",
        )
    return tuple(place_threads(count + 1, pinning))
