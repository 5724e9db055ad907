"""Sizes in bytes: parsing what a person writes, and writing what a person reads."""

from __future__ import annotations

import re
from typing import Final

from hmexp.errors import UnitError

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40

_FACTORS: Final = {
    "": 1, "b": 1,
    "k": KIB, "kb": KIB, "kib": KIB,
    "m": MIB, "mb": MIB, "mib": MIB,
    "g": GIB, "gb": GIB, "gib": GIB,
    "t": TIB, "tb": TIB, "tib": TIB,
}  # fmt: skip
_SIZE: Final = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)\s*", re.ASCII)
_EXAMPLES: Final = "write a size such as 256MiB, 1GiB or 4096"


def parse_size(text: str | int) -> int:
    """Read a size.

    Units are binary whatever their spelling (``1GB`` is ``1GiB``), as everywhere in memory.

    Parameters
    ----------
    text : str or int
        ``"256MiB"``, ``"1.5 GiB"``, ``"4k"``, or a number of bytes.

    Returns
    -------
    int
        The size [bytes], always positive and whole.

    Raises
    ------
    UnitError
        If the text is no size, is zero or negative, or is not a whole number of bytes.
    """
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise UnitError(f"size {text!r} is neither a text nor a whole number", _EXAMPLES)
    if isinstance(text, int):
        if text <= 0:
            raise UnitError(f"size {text} is not positive", _EXAMPLES)
        return text
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UnitError(f"size {text!r} is not a number and a unit", _EXAMPLES)
    factor = _FACTORS.get(match["unit"].lower())
    if factor is None:
        known = "B, KiB, MiB, GiB, TiB"
        raise UnitError(f"size {text!r} has the unknown unit {match['unit']!r} (known: {known})", _EXAMPLES)
    whole, _, fraction = match["number"].partition(".")
    # Integer arithmetic: a float would lose bytes above 2**53.
    scaled: int = int(whole + fraction) * factor
    denominator: int = 10 ** len(fraction)
    size_bytes, rest = divmod(scaled, denominator)
    if rest:
        raise UnitError(f"size {text!r} is not a whole number of bytes", _EXAMPLES)
    if size_bytes == 0:
        raise UnitError(f"size {text!r} is zero", _EXAMPLES)
    return size_bytes


def format_size(size_bytes: int) -> str:
    """Write a size with the largest binary unit that keeps it readable.

    Exact multiples are written exactly (``256MiB``), and read back to the same number by
    `parse_size`; others are rounded to one decimal.
    """
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(size_bytes) >= factor:
            whole, rest = divmod(size_bytes, factor)
            return f"{whole}{unit}" if rest == 0 else f"{size_bytes / factor:.1f}{unit}"
    return f"{size_bytes}B"


def explain_size(text: str, unit_bytes: int) -> str | None:
    """Say what a size is taken for where that may surprise: decimal units, or a rest below a page.

    Parameters
    ----------
    text : str
        The size as a person wrote it.
    unit_bytes : int
        What it is rounded up to: the page size [bytes].

    Returns
    -------
    str or None
        How the sentence goes on after the size; None if the size is exactly what was written.
    """
    size_bytes = parse_size(text)
    rounded = -(-size_bytes // unit_bytes) * unit_bytes
    notes = []
    if re.search(r"[kmgt]b\s*$", text.lower()):
        notes.append(f"is {format_size(size_bytes)}: units are binary, 1 MB is 1 MiB")
    if rounded != size_bytes:
        notes.append(f"is rounded up to {format_size(rounded)}, whole pages of {format_size(unit_bytes)}")
    return ", and ".join(notes) or None
