"""How much of a mapping is in huge pages, by ``/proc/PID/smaps``.

A mapping is a line ``START-END PERMISSIONS ...``, followed by lines ``Name: COUNT kB``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hmexp.errors import ParseError

#: What the kernel counts as mapped by an entry of the level above the pages'; which of them there are
#: depends on the kernel.
_HUGE: Final = frozenset(
    {"AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb"}
)
_COUNT: Final = re.compile(r"\d+", re.ASCII)
_HEAD: Final = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) [-rwxps]{4} ")
#: What the first line of a mapping begins with, and no other.
_DIGITS: Final = tuple(bytes([digit]) for digit in b"0123456789abcdef")


def read_huge_bytes(address: int, size_bytes: int, path: Path = Path("/proc/self/smaps")) -> int:
    """Bytes of an address range that huge pages hold [bytes].

    Parameters
    ----------
    address, size_bytes : int
        The range; mappings within it are counted, there may be several [bytes].
    path : Path
        The file, of this process by default.

    Raises
    ------
    ParseError
        If the file cannot be read, or has no mapping in the range.
    """
    end, found, huge_bytes, within = address + size_bytes, False, 0, False
    try:
        with path.open("rb") as file:
            for line in file:
                # A process has hundreds of mappings, of two dozen lines each: only those within are taken to
                # pieces, and what lies behind them is not asked for.
                if line[:1] in _DIGITS:
                    head = _HEAD.match(line)
                    if head is None:
                        continue
                    start = int(head[1], 16)
                    if start >= end:
                        break
                    within = address <= start and int(head[2], 16) <= end
                    found |= within
                elif within:
                    huge_bytes += _huge_in(line.decode("utf-8", "surrogateescape"), path)
    except OSError as error:
        raise ParseError(
            f"{path} cannot be read: {error.strerror}", "as root: mount -t proc proc /proc"
        ) from error
    if not found:
        raise ParseError(f"{path} has no mapping in {address:x}-{end:x}")
    return huge_bytes


def _huge_in(line: str, path: Path) -> int:
    name, _, value = line.partition(":")
    if name not in _HUGE:
        return 0
    number, _, unit = value.strip().partition(" ")
    if _COUNT.fullmatch(number) is None or unit != "kB":
        raise ParseError(f"{path} has a line that cannot be parsed: {line!r}")
    return int(number) * 1024
