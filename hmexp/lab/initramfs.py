"""The guest's first file system: a static busybox, the modules that reach the host's files, a script."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import stat
import subprocess
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from hmexp.lab.cache import built_once, cache_directory
from hmexp.lab.errors import LabKernelError
from hmexp.lab.kernels import Kernel
from hmexp.lab.tools import Tools

MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_DIRECTORIES = (
    "bin",
    "dev",
    "proc",
    "sys",
    "modules",
    "lower",
    "tools",
    "rw",
    "host",
    "out",
    "pipes",
    "hmexp",
)


def cpio(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Write an archive as the kernel reads it (the "newc" format).

    Parameters
    ----------
    files : mapping
        Name to mode (with the file type) and content.
    """
    parts = []
    for number, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], start=1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        parts += [_padded(header + encoded), _padded(content)]
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def regular(content: bytes, mode: int = 0o644) -> tuple[int, bytes]:
    """Describe an ordinary file for `cpio`."""
    return stat.S_IFREG | mode, content


def guest_script() -> bytes:
    """Read the script that runs first in the guest."""
    return resources.files("hmexp.lab").joinpath("guest/init.sh").read_bytes()


def module_files(modules: Path, wanted: tuple[str, ...] = MODULES) -> list[Path]:
    """List module files in the order they must be loaded; what is built in, or not there, is left out."""
    dependencies: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        name, _, needed = line.partition(":")
        dependencies[name] = needed.split()
    by_name = {Path(name).name.split(".ko")[0].replace("-", "_"): name for name in dependencies}
    order: list[str] = []
    for name in wanted:
        if name in by_name:
            # modules.dep lists the needed ones last first.
            order += [*reversed(dependencies[by_name[name]]), by_name[name]]
    return [modules / name for name in dict.fromkeys(order)]


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        if shutil.which("zstd") is None:
            raise LabKernelError(
                f"{path.name} is compressed with zstd, which is not installed", "apt-get install zstd"
            )
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
    return data


def base_initramfs(kernel: Kernel, tools: Tools) -> Path:
    """Make the archive for a kernel, or find it in the cache."""
    busybox = tools.programs["busybox"].read_bytes()
    script = guest_script()
    paths = [] if kernel.modules is None else module_files(kernel.modules)
    digest = hashlib.sha256(script + busybox)
    for path in paths:
        state = path.stat()
        digest.update(f"{path} {state.st_size} {state.st_mtime_ns}".encode())
    target = cache_directory() / "initramfs" / f"{kernel.release}-{digest.hexdigest()[:12]}.cpio"

    def build(work: Path) -> None:
        files = dict.fromkeys(_DIRECTORIES, (stat.S_IFDIR | 493, b""))
        files["init"] = regular(script, 0o755)
        files["bin/busybox"] = regular(busybox, 0o755)
        names = []
        for path in paths:
            name = path.name.split(".ko")[0] + ".ko"
            files[f"modules/{name}"] = regular(_content(path))
            names.append(name)
        files["modules/order"] = regular("".join(f"{name}\n" for name in names).encode())
        (work / target.name).write_bytes(cpio(files))

    return built_once(target, build)


def write_initramfs(target: Path, kernel: Kernel, tools: Tools, job: Mapping[str, bytes]) -> None:
    """Write the archive of one run: the kernel's, and after it the files of the job (below ``/hmexp``)."""
    files = {f"hmexp/{name}": regular(content, 0o700) for name, content in job.items()}
    with target.open("wb") as handle:
        # The kernel reads archives one after another, each from a multiple of four bytes.
        handle.write(_padded(base_initramfs(kernel, tools).read_bytes()))
        handle.write(cpio(files))
