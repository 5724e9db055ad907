"""How much of a mapping is in huge pages, by ``/proc/PID/smaps``.

A mapping is a line ``START-END PERMISSIONS ...``, followed by lines ``Name: COUNT kB``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hmexp.errors import ParseError
from hmexp.system.sysfs import split_lines

#: What the kernel counts as mapped by an entry of the level above the pages'; which of them there are
#: depends on the kernel.
_HUGE: Final = frozenset(
    {"AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb"}
)
_COUNT: Final = re.compile(r"\d+", re.ASCII)
_HEAD: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) [-rwxps]{4} .*$", re.ASCII | re.MULTILINE)


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
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ParseError(
            f"{path} cannot be read: {error.strerror}", "as root: mount -t proc proc /proc"
        ) from error
    end = address + size_bytes
    # A process has hundreds of mappings, of two dozen lines each: only those within are taken to pieces.
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    bodies = [
        text[head.end() : after]
        for head, after in zip(heads, ends, strict=True)
        if address <= int(head[1], 16) and int(head[2], 16) <= end
    ]
    if not bodies:
        raise ParseError(f"{path} has no mapping in {address:x}-{end:x}")
    return sum(_huge_in(line, path) for body in bodies for line in split_lines(body))


def _huge_in(line: str, path: Path) -> int:
    name, _, value = line.partition(":")
    if name not in _HUGE:
        return 0
    number, _, unit = value.strip().partition(" ")
    if _COUNT.fullmatch(number) is None or unit != "kB":
        raise ParseError(f"{path} has a line that cannot be parsed: {line!r}")
    return int(number) * 1024
