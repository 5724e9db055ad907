"""The programs that the lab needs: the machine's own, or unpacked beside the system."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hmexp.lab.apt import MERGED_DIRECTORIES, AptArea, own_release, scratch, unpack
from hmexp.lab.cache import built_once, cache_directory
from hmexp.lab.errors import LabError, LabNeedError

NEEDS: Mapping[str, str] = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "ndctl": "ndctl",
    "daxctl": "daxctl",
}
"""Program to the Debian package that brings it."""

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Tools:
    """Programs that are there to be used.

    Parameters
    ----------
    programs : mapping
        Name to path, for each of `NEEDS`.
    layer : Path or None
        Tree of unpacked packages, laid over the host's files in the guest.
    environment : mapping
        Variables under which the programs run.
    emulator : Path or None
        Tree of an emulator that was unpacked apart from the rest, and that the guest does not see.
    """

    programs: Mapping[str, Path]
    layer: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    emulator: Path | None = None

    @property
    def qemu(self) -> list[str]:
        """The emulator, with the options that let it find its firmware."""
        program = self.programs["qemu-system-x86_64"]
        command = [str(program)]
        for root in (self.emulator, self.layer):
            if root is not None and program.is_relative_to(root):
                for share in ("qemu", "seabios"):
                    command += ["-L", str(root / "usr/share" / share)]
        return command

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of the programs, quietly, and return what it said."""
        return subprocess.run(
            [self.programs[program], *arguments],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=self.environment,
        )  # fmt: skip


def is_static(program: Path) -> bool:
    """Whether a program needs no loader and no library (it must run where there are none)."""
    try:
        head = program.read_bytes()[:4096]
    except OSError:
        return False
    if head[:5] != b"\x7fELF\x02":
        return False
    offset, entry_bytes, entries = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
    kinds = [struct.unpack_from("<I", head, offset + index * entry_bytes)[0] for index in range(entries)]
    interpreter = 3  # PT_INTERP
    return interpreter not in kinds


def installed() -> dict[str, Path]:
    """Find those of `NEEDS` that the machine has."""
    found: dict[str, Path] = {}
    for program in NEEDS:
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":" + _SEARCH_PATH)
        if path is not None and (program != "busybox" or is_static(Path(path))):
            found[program] = Path(path)
    return found


def ensure_tools() -> Tools:
    """Find the programs, and fetch those that are not installed, unpacked beside the system."""
    if shutil.which("setpriv") is None:
        raise LabNeedError("the program setpriv is not installed", "install util-linux 2.33 or later")
    found = installed()
    missing = [NEEDS[program] for program in NEEDS if program not in found]
    if not missing:
        return Tools(found, None, dict(os.environ))
    layer = fetch_unpacked(missing)
    tools = _with_layer(found, layer)
    if tools.run("qemu-system-x86_64", "--version").returncode != 0:
        # A library that was the machine's own when this was unpacked has gone since.
        shutil.rmtree(layer)
        tools = _with_layer(found, fetch_unpacked(missing))
        said = tools.run("qemu-system-x86_64", "--version")
        if said.returncode != 0:
            raise LabNeedError(f"QEMU does not start: {said.stderr.strip()}", remedy(missing))
    return tools


def remedy(packages: Sequence[str]) -> str:
    """Say how to install packages."""
    return "apt-get install " + " ".join(packages)


def fetch_unpacked(packages: Sequence[str]) -> Path:
    """Fetch packages of this Debian release with what they depend on, unpacked in the cache, once.

    Raises
    ------
    LabNeedError
        If they cannot be fetched.
    """
    release = own_release()
    if release is None:
        raise LabNeedError(f"these packages are not installed: {', '.join(packages)}", remedy(packages))
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]

    def build(work: Path) -> None:
        area = AptArea(release)
        area.ensure_fetched()
        with scratch(work) as directory:
            archives = area.download_with_dependencies(packages, Path(directory))
            root = work / f"{release}-{key}"
            unpack(archives, root)
        # In the guest this tree lies over the host's; links at its top would hide real directories there.
        for name in MERGED_DIRECTORIES:
            (root / name).unlink()

    try:
        return built_once(cache_directory() / "tools" / f"{release}-{key}", build)
    except LabError as error:
        raise LabNeedError(
            f"these packages are not installed and cannot be fetched: "
            f"{', '.join(packages)} ({error.message})",
            remedy(packages),
        ) from error


def _with_layer(found: Mapping[str, Path], layer: Path) -> Tools:
    programs = dict(found)
    for program in NEEDS:
        for directory in ("usr/sbin", "usr/bin"):
            path = layer / directory / program
            if program not in programs and path.exists():
                programs[program] = path
    lost = [program for program in NEEDS if program not in programs]
    if lost:
        raise LabNeedError(
            f"{layer} is incomplete: it has no {', '.join(lost)}", f"delete {layer} and try again"
        )
    libraries = str(layer / "usr/lib/x86_64-linux-gnu")
    inherited = os.environ.get("LD_LIBRARY_PATH")
    search = libraries if not inherited else f"{libraries}:{inherited}"
    return Tools(programs, layer, {**os.environ, "LD_LIBRARY_PATH": search})
