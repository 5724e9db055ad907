"""The way `preload`: a small library gives a program's large mappings to ``/dev/hybridmem``.

Every page is placed as it is first touched, by its virtual page number. For programs on the malloc of the C
library, a kept allocator (jemalloc) goes in front, so that the heap is made of such mappings.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final

from hmexp.errors import NativeError, ProgramError
from hmexp.memory.placers.hybridmem import DEVICE, F_SPARSE, Hybridmem, open_region
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.program.launch.linkage import find_obstacle, find_program, read_linkage
from hmexp.program.launch.preload_counters import PreloadCounters, create_counters, read_counters
from hmexp.system.sysfs import split_lines
from hmexp.units import KIB, format_size

#: Smaller mappings stay as they are; from here on glibc's malloc, too, maps memory by itself [bytes].
THRESHOLD_BYTES: Final = 128 * KIB
#: native/preload/preload.h: HM_MOST_NODES.
MOST_NODES: Final = 4096
OTHER_WAYS: Final = "use another way: --via follow, --via policy"

_MARK: Final = b"hmexp-preload-device="
_JEMALLOC: Final = "libjemalloc.so.2"
_OWN_ALLOCATORS: Final = ("libjemalloc", "libtcmalloc", "libmimalloc", "libhoard", "libsnmalloc")
_STATS: Final = Path("/sys/class/misc/hybridmem/stats")
#: Of the device's stats: private pages that are not on the node wanted.
_SHORTFALL: Final = "private_fallbacks"


@dataclass(frozen=True)
class Preload:
    """What a program must be started with; a context manager, which removes its folder at the end.

    Parameters
    ----------
    environment : mapping
        Added to the environment of the program.
    library : Path
        The library that is loaded into it.
    allocator : Path or None
        The allocator in front of it; None where the program has one of its own.
    folder : Path
        Holds the counters; the program's processes need it while they run.
    command : tuple of str
        The program and its arguments.
    misplaced_before : int or None
        Private pages of all programs that the device could not put on their nodes, before the start.
    """

    environment: Mapping[str, str]
    library: Path
    allocator: Path | None
    folder: Path
    command: tuple[str, ...]
    misplaced_before: int | None = None

    def verify(self, pid: int, within_seconds: float = 10.0) -> None:
        """Require that the library is in a process, by its mappings.

        Parameters
        ----------
        pid : int
            The process, once it has been started.
        within_seconds : float
            So long the loader may take [s].

        Raises
        ------
        ProgramError
            If it is not, or the process has ended before that could be seen.
        """
        end = time.monotonic() + within_seconds
        while True:
            found = self._is_in(pid)
            if found:
                return
            if found is None or time.monotonic() > end:
                break
            time.sleep(0.005)
        what = "had ended before" if found is None else f"has not loaded {self.library} after"
        raise ProgramError(
            f"{self.command[0]} (process {pid}) {what} {within_seconds:g} s: its memory is not placed"
            if found is not None
            else f"{self.command[0]} (process {pid}) {what} {self.library.name} was seen in it",
            OTHER_WAYS,
        )

    def _is_in(self, pid: int) -> bool | None:
        try:
            text = Path(f"/proc/{pid}/maps").read_bytes().decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        except PermissionError as error:
            raise ProgramError(
                f"/proc/{pid}/maps of {self.command[0]} cannot be read: {error.strerror}", OTHER_WAYS
            ) from error
        if not text:
            return None if _has_ended(pid) else False
        return any(line.endswith(str(self.library)) for line in split_lines(text))

    def read_counters(self) -> PreloadCounters:
        """What the library has counted so far, in all processes of the program."""
        return read_counters(self.folder / "counters")

    def misplaced(self) -> int | None:
        """Private pages that the device has not put on their nodes since the start, of all its users [pages].

        None where the module does not say.
        """
        now = _read_shortfall()
        return None if now is None or self.misplaced_before is None else now - self.misplaced_before

    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it went."""
        pages = self.misplaced()
        full = (
            f"{pages} pages went to another node than their own, which was full (pages of all users of "
            f"{DEVICE} while the program ran; copies made after a fork are not among them)"
        )
        return self.read_counters().notes + ((full,) if pages else ())

    def remove(self) -> None:
        """Remove the folder; processes that still run count no more that anybody sees."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Preload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def prepare(
    pattern: Pattern,
    granule_bytes: int,
    threshold_bytes: int,
    command: Sequence[str],
    library: Path | None = None,
) -> Preload:
    """Check all that can be checked before a program starts, and say what to start it with.

    Parameters
    ----------
    pattern : Pattern
        Where its pages shall be; `granule_bytes` takes the place of its granule.
    granule_bytes : int
        Bytes in a row from one entry [bytes].
    threshold_bytes : int
        Smaller mappings stay as they are [bytes].
    command : sequence of str
        The program and its arguments.
    library : Path, optional
        Another build of the library.

    Raises
    ------
    ProgramError
        If the program cannot be put on hybrid memory in this way; it says why, and what else would do.
    """
    pattern = replace(pattern, granule_bytes=granule_bytes)
    if len(pattern.nodes) > MOST_NODES:
        raise ProgramError(
            f"the pattern has {len(pattern.nodes)} entries; preload takes {MOST_NODES} at most", OTHER_WAYS
        )
    if threshold_bytes < PAGE_BYTES:
        raise ProgramError(
            f"the threshold of preload, {threshold_bytes} bytes, is below a page",
            f"{format_size(THRESHOLD_BYTES)} is usual",
        )
    linkage = read_linkage(find_program(command))
    obstacle = find_obstacle(linkage)
    if obstacle is not None:
        raise ProgramError(f"{linkage.path} cannot be run with a preloaded library: {obstacle}", OTHER_WAYS)
    ours = _find_library(library)
    _require_device(pattern)
    own = [name for name in linkage.libraries if name.startswith(_OWN_ALLOCATORS)]
    allocator = None if own else find_jemalloc()
    folder = Path(tempfile.mkdtemp(prefix="hmexp-preload-"))
    create_counters(folder / "counters")
    files = ":".join(_loadable(path, folder) for path in (ours, allocator) if path is not None)
    environment = {
        "LD_PRELOAD": ":".join(filter(None, (files, os.environ.get("LD_PRELOAD", "")))),
        "HMEXP_PRELOAD_FILES": files,
        "HMEXP_PRELOAD_PATTERN": ",".join(map(str, pattern.nodes)),
        "HMEXP_PRELOAD_GRANULE_BYTES": str(granule_bytes),
        "HMEXP_PRELOAD_THRESHOLD_BYTES": str(threshold_bytes),
        "HMEXP_PRELOAD_COUNTERS": str(folder / "counters"),
        # Else gperftools takes its memory from the heap of the process (brk), which nobody can place.
        "TCMALLOC_SKIP_SBRK": "true",
    } | _room_for_tls()
    return Preload(environment, ours, allocator, folder, tuple(command), _read_shortfall())


def _find_library(library: Path | None) -> Path:
    folder = Path(__file__).resolve().parents[2] / "native"
    path = library or next(iter(sorted(folder.glob("_preload*.so"))), folder / "_preload.abi3.so")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProgramError(
            f"the preload library {path} cannot be read: {error.strerror}",
            "install hmexp again (in a checkout: make install), or " + OTHER_WAYS,
        ) from error
    if _MARK + os.fsencode(DEVICE) + b"\0" not in data:
        raise ProgramError(
            f"{path} is not built for {DEVICE}" + (" but for a stand-in" if _MARK in data else ""),
            "install hmexp again (in a checkout: make install), or " + OTHER_WAYS,
        )
    return path.resolve()


def _require_device(pattern: Pattern) -> None:
    obstacle = Hybridmem().unavailable()
    if obstacle is not None:
        raise ProgramError(obstacle.reason, f"{obstacle.remedy}; or {OTHER_WAYS}")
    try:
        os.close(open_region(pattern, F_SPARSE))
    except NativeError as error:
        if error.errno in (errno.EINVAL, errno.E2BIG):
            raise ProgramError(error.message, f"{error.remedy}; or {OTHER_WAYS}") from error
        raise ProgramError(error.message, OTHER_WAYS) from error


def find_jemalloc() -> Path:
    """Find the distribution's jemalloc.

    Raises
    ------
    ProgramError
        If it is not installed.
    """
    machine = os.uname().machine
    folders = (f"/usr/lib/{machine}-linux-gnu", f"/lib/{machine}-linux-gnu", "/usr/lib64", "/usr/lib",
               "/usr/local/lib64", "/usr/local/lib")  # fmt: skip
    for folder in folders:
        path = Path(folder, _JEMALLOC)
        if path.exists() and read_linkage(path).bits == 64:
            return path
    raise ProgramError(
        f"{_JEMALLOC} was not found: the malloc of the C library takes its memory where no library sees it",
        f"install it (Debian: apt-get install libjemalloc2; Fedora: dnf install jemalloc); or {OTHER_WAYS}",
    )


def _loadable(path: Path, folder: Path) -> str:
    """A path that LD_PRELOAD can name: it splits at blanks and colons."""
    if not any(letter in str(path) for letter in ": \t\n"):
        return str(path)
    link = folder / path.name
    link.symlink_to(path)
    if any(letter in str(link) for letter in ": \t\n"):
        raise ProgramError(
            f"LD_PRELOAD cannot name {path}, nor a file in {folder}: blanks and colons separate its entries",
            "set TMPDIR to a folder without them",
        )
    return str(link)


def _room_for_tls() -> dict[str, str]:
    """Under LD_AUDIT, glibc has no room left for the thread-local variables of an allocator: more of it."""
    if not os.environ.get("LD_AUDIT"):
        return {}
    tunables = (os.environ.get("GLIBC_TUNABLES", ""), "glibc.rtld.optional_static_tls=16384")
    return {"GLIBC_TUNABLES": ":".join(filter(None, tunables))}


def _read_shortfall() -> int | None:
    try:
        return int((_STATS / _SHORTFALL).read_text())
    except (OSError, ValueError):
        return None


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True
