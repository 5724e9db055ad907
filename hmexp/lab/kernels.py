"""Kernels that the lab can start: fetched from Debian, the machine's own, or given by path."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hmexp.lab.apt import AptArea, own_release, scratch, unpack
from hmexp.lab.cache import built_once, cache_directory
from hmexp.lab.catalogue import DISTRIBUTION, KernelPackage, catalogue, select
from hmexp.lab.errors import LabError, LabKernelError
from hmexp.lab.image import bootable, release_of
from hmexp.lab.tools import Tools

RUNNING = "running"


@dataclass(frozen=True)
class Kernel:
    """A kernel ready to start.

    Parameters
    ----------
    release : str
        What ``uname -r`` will say.
    image : Path
        What QEMU loads.
    modules : Path or None
        Directory that becomes ``/lib/modules/<release>``, with a ``modules.dep``.
    origin : str
        Where it came from, for a person.
    """

    release: str
    image: Path
    modules: Path | None
    origin: str


def cached_kernels() -> list[KernelPackage]:
    """List the kernels that were fetched and unpacked before."""
    found = []
    for path in sorted((cache_directory() / "kernels").glob("*/about.json")):
        # What another version of hmexp wrote is passed over; the archive is asked again.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.append(KernelPackage.from_json(json.loads(path.read_text(encoding="utf-8"))))
    return found


def find_kernel(request: str, tools: Tools, modules: str | Path | None = None) -> Kernel:
    """Find or fetch the kernel that was asked for.

    A kernel that is in the cache and fits is taken before anything is asked of the network.

    Parameters
    ----------
    request : str
        ``distribution``, ``running``, a version such as ``6.12``, a whole release name, or a path:
        of an image, of a kernel's build tree, or of a directory with ``boot/`` and ``lib/modules/``.
    tools : Tools
        For ``depmod``.
    modules : path, optional
        The modules of a kernel given by path (by default they are looked for around it).
    """
    if "/" in request or Path(request).is_file():
        return _by_path(Path(request).absolute(), tools, Path(modules).absolute() if modules else None)
    if modules is not None:
        raise LabKernelError("--modules applies only to a kernel that is given by path", "remove --modules")
    if request == RUNNING:
        return _running(tools)
    own = own_release()
    try:
        package = select(cached_kernels(), request, own)
    except LabKernelError:
        packages, failures = catalogue()
        if not packages and request == DISTRIBUTION and Path(f"/boot/vmlinuz-{platform.release()}").exists():
            return _running(tools)
        if not packages:
            reasons = "; ".join(f"{release}: {reason}" for release, reason in failures.items())
            raise LabError(
                f"no kernel is cached, and no package list could be read ({reasons})",
                "give the path of a kernel image, or `--kernel running` for this machine's own kernel",
            ) from None
        package = select(packages, request, own)
    return _fetched(package, tools)


def _fetched(package: KernelPackage, tools: Tools) -> Kernel:
    def build(work: Path) -> None:
        root = work / package.release
        with scratch(work) as directory:
            area = AptArea(package.debian)
            area.ensure_fetched()
            unpack(
                area.download([f"{part}={package.version}" for part in package.parts], Path(directory)), root
            )
        bootable(root / _shipped_image(root, package.release), root)
        _index_modules(root, package.release, tools)
        (root / "about.json").write_text(json.dumps(asdict(package)), encoding="utf-8")

    root = built_once(cache_directory() / "kernels" / package.release, build)
    image = root / "vmlinux"
    if not image.exists():
        image = root / _shipped_image(root, package.release)
    origin = f"Debian {package.suite}, {package.version}"
    return Kernel(package.release, image, root / "usr/lib/modules" / package.release, origin)


def _shipped_image(root: Path, release: str) -> str:
    for name in (f"boot/vmlinuz-{release}", f"usr/lib/modules/{release}/vmlinuz"):
        if (root / name).exists():
            return name
    raise LabKernelError(f"{root} has no kernel image", f"delete {root} and try again")


def _index_modules(root: Path, release: str, tools: Tools) -> None:
    done = tools.run("depmod", "-a", "-b", root, release)
    if done.returncode != 0:
        raise LabError(f"depmod failed for {release}: {done.stderr.strip()}", "update kmod")


def _running(tools: Tools) -> Kernel:
    release = platform.release()
    for path in (Path(f"/boot/vmlinuz-{release}"), Path(f"/lib/modules/{release}/vmlinuz")):
        if path.exists():
            return _by_path(path, tools, Path(f"/lib/modules/{release}"))
    raise LabKernelError(
        f"the image of the running kernel {release} is neither in /boot nor in /lib/modules",
        "choose another kernel, such as --kernel distribution",
    )


def _by_path(path: Path, tools: Tools, modules: Path | None) -> Kernel:
    image = _image_in(path) if path.is_dir() else path
    release = release_of(image)
    if modules is not None and (modules / release).is_dir():
        modules = modules / release
    if modules is None:
        around = [image.parent, *image.parents[1:5]] if image.is_absolute() else []
        candidates = [base / sub / release for base in around for sub in ("usr/lib/modules", "lib/modules")]
        candidates.append(image.parent if (image.parent / "modules.order").exists() else candidates[-1])
        modules = next((directory for directory in candidates if directory.is_dir()), None)
    elif not modules.is_dir():
        raise LabKernelError(
            f"{modules} is not a directory of kernel modules", "give the directory that modules_install made"
        )
    if modules is not None:
        modules = _with_index(modules, release, tools)
    state = image.stat()
    key = hashlib.sha256(f"{image} {state.st_mtime_ns} {state.st_size}".encode()).hexdigest()[:12]

    def build(work: Path) -> None:
        directory = work / key
        directory.mkdir()
        chosen = bootable(image, directory)
        (directory / "image").symlink_to("vmlinux" if chosen != image else image)

    directory = built_once(cache_directory() / "images" / key, build)
    return Kernel(release, directory / "image", modules, str(image))


def _image_in(directory: Path) -> Path:
    names = ("arch/x86/boot/bzImage", "vmlinux", "boot/vmlinuz-*", "boot/vmlinux-*", "vmlinuz-*", "vmlinuz")
    for name in names:
        found = sorted(path for path in directory.glob(name) if path.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(path.name for path in found)
            raise LabKernelError(f"{directory} has several kernels: {listed}", "give the path of one of them")
    raise LabKernelError(
        f"{directory} has no kernel image: none of {', '.join(names)} is there", "give the path of the image"
    )


def _with_index(modules: Path, release: str, tools: Tools) -> Path:
    """Give modules with a ``modules.dep``; where it is missing, in a copy of links, not in place."""
    if (modules / "modules.dep").exists():
        return modules
    key = hashlib.sha256(f"{modules} {modules.stat().st_mtime_ns}".encode()).hexdigest()[:12]

    def build(work: Path) -> None:
        root = work / key
        copy = root / "lib/modules" / release
        for directory, _, names in os.walk(modules):
            if re.search(r"/(?:build|source)(?:/|$)", directory):
                continue
            inside = copy / Path(directory).relative_to(modules)
            inside.mkdir(parents=True, exist_ok=True)
            for name in names:
                if ".ko" in name or name.startswith("modules."):
                    (inside / name).symlink_to(Path(directory) / name)
        _index_modules(root, release, tools)

    return built_once(cache_directory() / "modules" / key, build) / "lib/modules" / release


def describe_kernels(
    *, refresh: bool = False, everything: bool = False
) -> tuple[list[Mapping[str, str]], dict[str, str]]:
    """List kernels for a person: those in the cache, and those that can be fetched.

    Parameters
    ----------
    refresh : bool
        Ask the archive again now.
    everything : bool
        Each kernel, and not only the newest of each series and Debian release.
    """
    packages, failures = catalogue(refresh=refresh)
    have = {package.release for package in cached_kernels()}
    listed = {package.release: package for package in (*packages, *cached_kernels())}
    newest: dict[object, KernelPackage] = {}
    for package in listed.values():
        series = (package.upstream[:2], package.debian)
        if series not in newest or select([newest[series], package], _series(package), None) is package:
            newest[series] = package
    own = own_release()
    rows: list[Mapping[str, str]] = []
    for package in sorted(listed.values(), key=lambda package: package.upstream):
        shown = everything or package.release in have or package in newest.values()
        if shown:
            rows.append(
                {
                    "kernel": package.release, "version": package.version, "suite": package.suite,
                    "headers": "yes" if package.has_headers else "no",
                    "here": "cached" if package.release in have else "can be fetched",
                    "note": DISTRIBUTION if package.is_distribution and package.debian == own else "",
                }
            )  # fmt: skip
    return rows, failures


def _series(package: KernelPackage) -> str:
    return ".".join(map(str, package.upstream[:2]))
