"""What a point can measure, by name: bandwidth of an operation, a latency, or a loaded latency."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.measure.operation import OPERATIONS, find_operation
from hmexp.memory.speed import FIGURES, Quantity

#: Idle latencies, all by one thread: of loads at random over the region, or within windows that a TLB
#: covers, of single loads by their slowest hundredth, and of stores.
LATENCIES: Final = ("latency", "latency_window", "latency_tail", "store_nt", "store_flush")
#: What comes before the operation that loads: ``loaded_read``.
LOADED: Final = "loaded_"
#: Single loads under the load of threads that read.
TAIL_LOADED: Final = "latency_tail_loaded"


def find_quantity(name: str) -> str:
    """The quantity's own name; ``3:1`` is ``mix_3_1``, ``loaded`` is ``loaded_read``.

    Raises
    ------
    ParameterError
        If there is none, with the names there are.
    """
    if name in (*LATENCIES, TAIL_LOADED):
        return name
    if "," in name:
        raise ParameterError(
            f"operation {name!r} is a list with commas",
            f"write each as a word of its own: --operations {' '.join(name.replace(',', ' ').split())}; in a "
            f"notebook or a preset, as a list of texts",
        )
    if name == LOADED.rstrip("_"):
        name = f"{LOADED}read"
    loading = name.removeprefix(LOADED)
    try:
        found = find_operation(loading).name
    except ParameterError:
        raise ParameterError(
            f"operation {name!r} is unknown",
            f"use some of: {', '.join((*OPERATIONS, *LATENCIES, TAIL_LOADED))}, or {LOADED}OPERATION for the "
            "latency under that load",
        ) from None
    return found if loading == name else f"{LOADED}{found}"


def is_loaded(name: str) -> bool:
    """Whether it is a latency under load."""
    return has_curve(name) or name == TAIL_LOADED


def has_curve(name: str) -> bool:
    """Whether it is a latency under every load there can be, rather than under all of it alone."""
    return name.startswith(LOADED)


def is_latency(name: str) -> bool:
    """Whether less of it is better; its unit is ns then, else GB/s."""
    return name in LATENCIES or is_loaded(name)


def streaming(name: str) -> str | None:
    """The operation that streams over memory in it; None for an idle latency."""
    if name == TAIL_LOADED:
        return "read"
    return None if name in LATENCIES else name.removeprefix(LOADED)


def predictable(name: str) -> str | None:
    """What `Emulation.predict` calls it; None if there is no prediction."""
    if is_loaded(name) or name == "latency_tail":
        return None
    return "latency" if name == "latency_window" else name


def figures_of(name: str) -> tuple[Quantity, ...]:
    """What an emulation must know of the host for it, besides what it always does."""
    found = [quantity for quantity in FIGURES if quantity == name and quantity.startswith("store")]
    operation = streaming(name)
    if operation is not None and native.OPERATIONS[operation].nontemporal:
        found.append("write_nt")
    return tuple(found)
