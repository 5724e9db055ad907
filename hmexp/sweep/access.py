"""The order of a bandwidth's accesses, as a parameter of a sweep: ``random_line``, ``strided:8KiB``."""

from __future__ import annotations

from typing import Final

from hmexp.errors import ParameterError, UnitError
from hmexp.measure.quantity import is_latency
from hmexp.native import ACCESSES, LINE_BYTES, Access
from hmexp.units import format_size, parse_size

SEQUENTIAL: Final = "sequential"
#: From one line to the next, if no other stride is named [bytes].
STRIDE_BYTES: Final = 4096


def find_access(text: str) -> str:
    """The access by its own name: ``strided:4KiB`` is ``strided``.

    Raises
    ------
    ParameterError
        If there is none of that name, or its stride cannot be used.
    """
    order, colon, stride = text.strip().partition(":")
    if order not in ACCESSES or (colon and order != "strided"):
        raise ParameterError(
            f"access {text!r} is unknown",
            f"use one or more of: {', '.join(ACCESSES)}, or a stride: strided:8KiB",
        )
    if not colon:
        return order
    try:
        stride_bytes = parse_size(stride)
    except UnitError as error:
        raise ParameterError(f"access {text!r}: {error.message}", error.remedy) from error
    if stride_bytes % LINE_BYTES:
        raise ParameterError(f"access {text!r}: the stride is not a multiple of {LINE_BYTES} bytes")
    # Written in bytes where the largest unit would round it.
    written = format_size(stride_bytes)
    written = written if parse_size(written) == stride_bytes else f"{stride_bytes}B"
    return order if stride_bytes == STRIDE_BYTES else f"{order}:{written}"


def read_access(access: str | None) -> tuple[Access, int]:
    """The order and the stride [bytes] that `find_access` has named; sequential for None."""
    name, _, stride = (access or SEQUENTIAL).partition(":")
    order = next(order for order in ACCESSES if order == name)
    return order, parse_size(stride) if stride else STRIDE_BYTES


def access_of(operation: str, access: str) -> str | None:
    """What a point of an operation has for its access: None for a latency, which has an order of its own."""
    return None if is_latency(operation) else access
