"""Reading the small text files of `/sys` and `/proc`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterable

# The kernel's own limits (MAX_NUMNODES 1024, NR_CPUS 8192) are far below this; it only keeps a
# damaged file from being expanded into a list that fills the memory.
_LARGEST_ID: Final = 1 << 16
_RANGE: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
# No amount has more digits than 64 bits take; Python refuses to read numbers of thousands of them.
_NUMBER: Final = re.compile(r"-?\d{1,30}", re.ASCII)
# Captured trees pad their files with null bytes.
_BLANK: Final = " \t\r\n\v\f\0"


def read_text(path: Path) -> str | None:
    """Read a file, without the white space around its text; None when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip(_BLANK)
    except OSError:
        return None


def split_lines(text: str) -> list[str]:
    """The lines of a text of the kernel, which ends them by a line feed and nothing else.

    `str.splitlines` and files opened as text also break at a carriage return, U+2028, U+0085 and others,
    all of which the kernel writes as they stand where a path or a name has them.
    """
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def read_int(path: Path) -> int | None:
    """Read a file that holds one whole number; None when it cannot be read or is no number."""
    text = read_text(path)
    return int(text) if text is not None and _NUMBER.fullmatch(text) is not None else None


def list_folder(path: Path) -> tuple[Path, ...]:
    """What is in a folder, sorted by name; empty when it cannot be read."""
    return tuple(path / name for name in _names(path))


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except OSError:
        return []


def real_path(path: Path) -> Path:
    """Follow links as far as they lead; a loop of links ends where it is."""
    # Path.resolve raises RuntimeError for a loop.
    return Path(os.path.realpath(path))


def numbered(folder: Path, prefix: str) -> dict[int, Path]:
    """The entries of a folder whose names are a prefix and a number, by number, ascending."""
    number = re.compile(re.escape(prefix) + r"(\d{1,9})", re.ASCII)
    # A node's folder has an entry for each block of memory: only what is asked for becomes a path.
    matches = ((number.fullmatch(name), name) for name in _names(folder))
    found = sorted((int(match[1]), name) for match, name in matches if match is not None)
    return {each: folder / name for each, name in found}


def read_choice(path: Path) -> str | None:
    """Read the chosen word of a file such as ``always [madvise] never``."""
    text = read_text(path)
    match = re.search(r"\[([^\]]+)\]", text) if text is not None else None
    return match[1] if match is not None else None


def parse_id_list(text: str, where: str) -> tuple[int, ...]:
    """Read a list of ids as the kernel writes it.

    Parameters
    ----------
    text : str
        ``"0-3,8"``, or an empty text.
    where : str
        The file the text came from, for the message.

    Returns
    -------
    tuple of int
        The ids, ascending, each once.

    Raises
    ------
    ParseError
        If the text is no such list.
    """
    ids: set[int] = set()
    for part in text.strip().split(",") if text.strip() else []:
        match = _RANGE.fullmatch(part)
        first = int(match[1]) if match is not None else -1
        last = int(match[2] or match[1]) if match is not None else -1
        if not 0 <= first <= last <= _LARGEST_ID:
            raise ParseError(
                f"{where}: {part!r} in {text!r} is not a range of ids", "a list looks like 0-3,8"
            )
        ids.update(range(first, last + 1))
    return tuple(sorted(ids))


def parse_cpu_mask(text: str, where: str) -> tuple[int, ...]:
    """Read a mask of CPUs as the kernel writes it: hexadecimal words of 32 bits, the highest first.

    Parameters
    ----------
    text : str
        ``"00000000,0000000f"``.
    where : str
        The file the text came from, for the message.

    Raises
    ------
    ParseError
        If the text is no such mask.
    """
    words = text.split(",")
    if len(words) * 32 > _LARGEST_ID or not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", word) for word in words):
        raise ParseError(
            f"{where}: {text[:80]!r} is not a mask of CPUs", "a mask looks like 00000000,0000000f"
        )
    mask = int("".join(word.zfill(8) for word in words), 16)
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def format_id_list(ids: Iterable[int]) -> str:
    """Write ids as the kernel does: ``0-3,8``; ``none`` for no ids."""
    runs: list[list[int]] = []
    for each in sorted(set(ids)):
        if runs and runs[-1][1] == each - 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) or "none"


def parse_meminfo(text: str) -> dict[str, int]:
    """Read `/proc/meminfo`, or a node's `meminfo`, as bytes by name.

    Lines that give no amount in kB (the counts of huge pages) are left out.
    """
    amounts: dict[str, int] = {}
    for line in split_lines(text):
        match = re.match(r"(?:Node\s+\d+\s+)?(\S+):\s+(\d{1,18})\s+kB\s*$", line, re.ASCII)
        if match is not None:
            amounts[match[1]] = int(match[2]) * 1024
    return amounts
