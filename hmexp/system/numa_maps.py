r"""`/proc/PID/numa_maps`: on which nodes the kernel says the pages of a mapping are.

What a line holds, as `show_numa_map` in the kernel's `fs/proc/task_mmu.c` writes it:
``ADDRESS POLICY [file=PATH|heap|stack] [huge] [NAME=COUNT...] [N<node>=COUNT...] [kernelpagesize_kB=SIZE]``

- **Every count is in pages of `kernelpagesize_kB`.** A hugetlb mapping counts each huge page once
  and gives its size; every other mapping counts base pages and gives the base page's size, also
  where a transparent huge page backs it (one of 2 MiB counts 512). Pages times page size is bytes
  in both cases.
- Counts are left out where they say nothing: ``mapped`` when all pages are anonymous or all are
  dirty, ``active`` when all are, ``mapmax`` when 1. Absent is not zero.
- Pages that are not resident, swapped out, or the shared zero page are not counted. A mapping
  without any counted page has no counts and no page size.
- The policy is written into 64 bytes and cut off there: the end of a long list of nodes may be missing.
- Blanks, tabs, new lines and ``=`` in a path become octal (``\\040``); a backslash itself does not.
- Neighbouring mappings of the same kind may be one line: only starts are given, never ends.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from hmexp.errors import HmexpError, ParseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ADDRESS: Final = re.compile(r"[0-9a-f]{1,16}")
# mode[=flags][:nodes], of which mode may have blanks and parentheses ("prefer (many)",
# "weighted interleave"). Modes are not listed: a later kernel may have more.
_POLICY: Final = re.compile(r"[a-z][a-z_ ()]*(?:=[a-z|?]*)?(?::[0-9,-]*)?")
# A count is an unsigned long: more digits are damage, and Python refuses to convert endless ones.
_COUNT: Final = re.compile(r"([A-Za-z_]+)=(\d{1,20})", re.ASCII)
_NODE: Final = re.compile(r"N(\d{1,5})=(\d{1,20})", re.ASCII)
_FLAG: Final = re.compile(r"[A-Za-z_]+", re.ASCII)
_FLAGS: Final = frozenset({"heap", "stack", "huge"})
_OCTAL: Final = re.compile(r"\\([0-3][0-7]{2})")
_PAGE_SIZE: Final = "kernelpagesize_kB"
_NEAREST: Final = 4
_SHOWN: Final = 200

_Key = TypeVar("_Key", int, str)


@dataclass(frozen=True)
class NumaMapping:
    """One line of `numa_maps`.

    Parameters
    ----------
    start : int
        First address of the mapping.
    policy : str
        As the kernel writes it: ``default``, ``bind:0``, ``prefer (many):0,2``,
        ``weighted interleave:0,2``, ``bind=static:0``.
    pages : mapping of int to int
        Resident pages by node, in pages of `kernelpagesize_bytes`.
    kernelpagesize_bytes : int or None
        Size of the pages that are counted [bytes]; None when none is resident.
    file : str or None
        What is mapped, unescaped; None for anonymous memory. Bytes that are no UTF-8 are kept as
        surrogates (`os.fsencode` gives them back).
    flags : frozenset of str
        ``heap``, ``stack``, ``huge``.
    counters : mapping of str to int
        ``anon``, ``dirty``, ``mapped``, ``mapmax``, ``swapcache``, ``active``, ``writeback``; what
        the kernel left out is absent. All but ``mapmax`` are in pages.
    """

    start: int
    policy: str
    pages: Mapping[int, int] = field(default_factory=dict)
    kernelpagesize_bytes: int | None = None
    file: str | None = None
    flags: frozenset[str] = frozenset()
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes_by_node(self) -> dict[int, int]:
        """Resident memory by node [bytes]."""
        return {node: pages * (self.kernelpagesize_bytes or 0) for node, pages in self.pages.items()}


def parse_numa_maps(text: str) -> list[NumaMapping]:
    """Read the text of a `numa_maps` file.

    Raises
    ------
    ParseError
        If a line does not look as documented; the message has its number and its text.
    """
    # Not `str.splitlines`: a path may hold any other character that Python takes for an end of line.
    return [_parse_line(line, number) for number, line in enumerate(text.split("\n"), 1) if line]


def read_numa_maps(pid: int | None = None, proc_root: Path = Path("/proc")) -> list[NumaMapping]:
    """Read the mappings of a process.

    Parameters
    ----------
    pid : int, optional
        The process; by default the caller itself.
    proc_root : Path
        Where `/proc` is.

    Raises
    ------
    HmexpError
        If the process is gone, is not readable by this user, or the kernel has no NUMA support.
    ParseError
        If the file does not look as documented.
    """
    folder = proc_root / ("self" if pid is None else str(pid))
    who = "this process" if pid is None else f"process {pid}"
    path = folder / "numa_maps"
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError) as error:
        if folder.exists() and not isinstance(error, ProcessLookupError):
            raise HmexpError(f"{path} does not exist", "boot a kernel built with CONFIG_NUMA=y") from error
        if not isinstance(error, ProcessLookupError) and not (proc_root / "self").exists():
            raise HmexpError(
                f"{path} cannot be read, and no placement can be proven: {proc_root} is not mounted",
                "as root: mount -t proc proc /proc",
            ) from error
        raise HmexpError(
            f"{who} has ended: {path} cannot be read", "inspect the process while it is running"
        ) from error
    except PermissionError as error:
        raise HmexpError(
            f"this user may not read {path} of {who}", "run as the same user, or as root"
        ) from error
    except OSError as error:
        raise HmexpError(f"{path} cannot be read: {error.strerror}") from error
    return parse_numa_maps(text)


def count_pages_within(start: int, length_bytes: int, proc_root: Path = Path("/proc")) -> dict[int, int]:
    """Add up the bytes on each node in the mappings of this process that start inside a range [bytes].

    The file is read line by line and no further than the range: a region may be of so many mappings that
    a list of them would be larger than what is known of its pages.

    Raises
    ------
    HmexpError
        If the file cannot be read, or no mapping starts exactly at `start`.
    ParseError
        If a line does not look as documented.
    """
    path = proc_root / "self" / "numa_maps"
    counts: dict[int, int] = {}
    begins = False
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.rstrip(b"\n").decode("utf-8", "surrogateescape")
                address = text.partition(" ")[0]
                if _ADDRESS.fullmatch(address) is None:
                    raise _error(number, text, f"{address[:_SHOWN]!r} is not an address")
                at = int(address, 16)
                if at >= start + length_bytes:
                    break
                if at >= start:
                    begins |= at == start
                    found = _parse_line(text, number)
                    for node, pages in found.pages.items():
                        counts[node] = counts.get(node, 0) + pages * (found.kernelpagesize_bytes or 0)
    except OSError:
        begins = False
    if not begins:
        mapping_at(start, read_numa_maps(proc_root=proc_root))  # an error that says why
        raise HmexpError(f"no mapping starts at {start:x} in {path}", "the mapping was removed")
    return {node: n for node, n in sorted(counts.items()) if n}


def mapping_at(start: int, mappings: Sequence[NumaMapping]) -> NumaMapping:
    """Return the mapping that starts at exactly this address.

    Raises
    ------
    HmexpError
        If none does; the message has the nearest ones.
    """
    ordered = sorted(mappings, key=lambda mapping: mapping.start)
    index = bisect_left(ordered, start, key=lambda mapping: mapping.start)
    if index < len(ordered) and ordered[index].start == start:
        return ordered[index]
    near = ordered[max(0, index - _NEAREST // 2) : index + _NEAREST // 2]
    listed = ", ".join(f"{mapping.start:x} ({mapping.policy})" for mapping in near) or "none"
    raise HmexpError(
        f"no mapping starts at {start:x}; the nearest of {len(ordered)} start at {listed}",
        "the mapping was removed, or the kernel has merged it with its neighbour below",
    )


def mappings_within(start: int, length_bytes: int, mappings: Sequence[NumaMapping]) -> list[NumaMapping]:
    """Return the mappings that start inside a range: a region may be split into many."""
    return [mapping for mapping in mappings if start <= mapping.start < start + length_bytes]


def _parse_line(line: str, number: int) -> NumaMapping:
    address, _, rest = line.partition(" ")
    if _ADDRESS.fullmatch(address) is None:
        raise _error(number, line, f"{address[:_SHOWN]!r} is not an address")
    words = rest.split(" ")
    size = next((i for i, word in enumerate(words) if i and _is_attribute(word)), len(words))
    policy = " ".join(words[:size])
    if _POLICY.fullmatch(policy) is None:
        raise _error(number, line, f"{policy[:_SHOWN]!r} is not a memory policy")
    file: str | None = None
    flags: set[str] = set()
    pages: dict[int, int] = {}
    counters: dict[str, int] = {}
    for word in words[size:]:
        if word.startswith("file="):
            file = _OCTAL.sub(lambda match: chr(int(match[1], 8)), word[5:])
        elif (match := _NODE.fullmatch(word)) is not None:
            _put(pages, int(match[1]), match[2], number, line)
        elif (match := _COUNT.fullmatch(word)) is not None:
            _put(counters, match[1], match[2], number, line)
        elif _FLAG.fullmatch(word) is not None:
            flags.add(word)
        else:
            raise _error(number, line, f"{word[:_SHOWN]!r} is not known")
    page_kib = counters.pop(_PAGE_SIZE, None)
    if page_kib == 0:
        raise _error(number, line, f"{_PAGE_SIZE} is 0")
    if pages and page_kib is None:
        raise _error(number, line, f"pages without {_PAGE_SIZE}")
    page_bytes = page_kib * 1024 if page_kib is not None else None
    return NumaMapping(int(address, 16), policy, pages, page_bytes, file, frozenset(flags), counters)


def _is_attribute(word: str) -> bool:
    return (
        word in _FLAGS
        or word.startswith("file=")
        or _NODE.fullmatch(word) is not None
        or _COUNT.fullmatch(word) is not None
    )


def _put(counts: dict[_Key, int], key: _Key, digits: str, number: int, line: str) -> None:
    if key in counts:
        raise _error(number, line, f"{key!r} is given twice")
    counts[key] = int(digits)


def _error(number: int, line: str, why: str) -> ParseError:
    return ParseError(f"numa_maps, line {number}: {why}, in {line[:_SHOWN]!r}")
