"""What was found of shapes on this CPU, kept in the user's cache.

A file for each operation, page size and number of threads. It counts only for the same CPU (family, model,
stepping, microcode), hypervisor, build of the core and way of comparing. What cannot be read, or is torn, is
measured again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from hmexp import native
from hmexp.decoding import decode
from hmexp.native.core import lib
from hmexp.store.shapes import ShapeRecord
from hmexp.system.sysfs import read_text

#: Raised whenever something else than the core changes what is compared: which shapes, how their streams lie.
COMPARISON: Final = 4
#: Lines of /proc/cpuinfo that say what a CPU is; the last ones are those of aarch64.
_OF_CPU: Final = (
    "vendor_id", "cpu family", "model", "stepping", "microcode", "CPU implementer", "CPU variant", "CPU part",
    "CPU revision",
)  # fmt: skip


class KeptShape(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the cache.

    Parameters
    ----------
    machine : str
        What it was measured on; see `describe_machine`.
    record : ShapeRecord
        What was found.
    """

    machine: str
    record: ShapeRecord


def cache_folder() -> Path:
    """``hmexp/shapes`` in the XDG cache directory."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path is to be ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "hmexp" / "shapes"


@lru_cache(maxsize=8)
def describe_machine(proc_root: Path = Path("/proc")) -> str:
    """What a shape depends on: the CPU, the hypervisor, the build of the core, and what is compared."""
    text = read_text(proc_root / "cpuinfo") or ""
    first = text.split("\n\n", 1)[0]
    found = dict(re.findall(r"^([^\t:]+)\s*: *(.*)$", first, re.MULTILINE))
    values = [f"{name} {found[name]}" for name in _OF_CPU if name in found]
    ours = f"core {lib.hm_sources_crc():08x}", f"comparison {COMPARISON}"
    return ", ".join((*values, f"hypervisor {native.hypervisor() or 'none'}", *ours))


def read_kept(operation: str, page_bytes: int, threads: int) -> ShapeRecord | None:
    """What was found on this machine; None if nothing, or nothing that can be used."""
    kept = _read(_file_of(operation, page_bytes, threads))
    if kept is None or kept.machine != describe_machine():
        return None
    record = kept.record
    if (record.operation, record.page_bytes, record.threads) != (operation, page_bytes, threads):
        return None
    known = record.shape in native.SHAPES and record.vector_bits in native.VECTOR_BITS
    return msgspec.structs.replace(record, source="kept") if known else None


def keep(record: ShapeRecord) -> None:
    """Keep what was found; where the cache cannot be written it is measured again next time."""
    path = _file_of(record.operation, record.page_bytes, record.threads)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(KeptShape(machine=describe_machine(), record=record)))
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def all_kept() -> Iterator[ShapeRecord]:
    """Everything that is kept for this machine, by operation, page size and threads."""
    found = (_read(path) for path in sorted(cache_folder().glob("*.json")))
    records = [kept.record for kept in found if kept is not None and kept.machine == describe_machine()]
    yield from sorted(records, key=lambda one: (one.page_bytes, one.threads, one.operation))


def _file_of(operation: str, page_bytes: int, threads: int) -> Path:
    machine = hashlib.sha256(describe_machine().encode()).hexdigest()[:12]
    return cache_folder() / f"{machine}-{operation}-{page_bytes}-{threads}.json"


def _read(path: Path) -> KeptShape | None:
    try:
        return decode(path.read_bytes(), KeptShape)
    except (OSError, ValueError, RecursionError):
        return None
