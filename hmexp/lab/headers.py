"""A kernel's headers, unpacked beside the system, ready to build modules against."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from hmexp.lab.apt import AptArea, own_release, scratch, unpack
from hmexp.lab.cache import built_once, cache_directory
from hmexp.lab.catalogue import KernelPackage, catalogue, select
from hmexp.lab.errors import LabKernelError, LabNeedError
from hmexp.lab.kernels import cached_kernels

_PREFIX = "x86_64-linux-gnu-"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def headers_directory(request: str) -> Path:
    """Fetch the headers of a kernel, and a compiler for it where the machine's is too old.

    Parameters
    ----------
    request : str
        As `hmexp.lab.kernels.find_kernel` takes it, but no path.

    Returns
    -------
    Path
        For ``make -C kernel_module KDIR=...``. Its compiler is set there; ``CC=`` overrides.
    """
    package = _package(request)
    root = cache_directory() / "headers" / package.release
    place = f"usr/src/linux-headers-{package.release}"

    def build(work: Path) -> None:
        made = work / package.release
        area = AptArea(package.debian)
        area.ensure_fetched()
        with scratch(work) as directory:
            packages = _packages(area, package)
            unpack(area.download(packages, Path(directory)), made)
        unusable = _unusable(made)
        if unusable:
            with scratch(work) as directory:
                kbuild = [name for name in packages if name.startswith("linux-kbuild-")]
                unpack(area.download_with_dependencies(kbuild, Path(directory), whole=True), made)
            wrap(unusable, made, root)
        inside = made / place
        _relocate(inside, root)
        _set_compiler(inside, package.debian)
        _without_btf(inside)

    return built_once(root, build) / place


def _package(request: str) -> KernelPackage:
    own = own_release()
    with_headers = [package for package in cached_kernels() if package.has_headers]
    try:
        # The same choice as for the kernel to boot: modules fit only the very same one.
        package = select(cached_kernels(), request, own)
        if package in with_headers:
            return package
    except LabKernelError:
        pass
    package = select(catalogue()[0], request, own)
    if not package.has_headers:
        raise LabKernelError(
            f"the archive has the kernel {package.release} but no longer has its headers",
            "choose a kernel that has headers: see `hmexp lab kernels --all`",
        )
    return package


def _packages(area: AptArea, package: KernelPackage) -> list[str]:
    name = f"linux-headers-{package.release}"
    found = [stanza for stanza in area.stanzas(re.escape(name)) if stanza["Version"] == package.version]
    if not found:
        area.update()
        found = [stanza for stanza in area.stanzas(re.escape(name)) if stanza["Version"] == package.version]
    if not found:
        raise LabKernelError(
            f"the archive no longer has {name} {package.version}",
            "run `hmexp lab kernels --refresh` and choose one of these kernels by its full name",
        )
    # The common headers and the host programs (modpost, objtool); not the compiler, not the image.
    needed = re.findall(r"\blinux-(?:headers|kbuild)-[^\s,]+", found[0]["Depends"])
    return [f"{name}={package.version}", *needed]


def _relocate(directory: Path, root: Path) -> None:
    """Make the build directory work where it is, not only below /usr/src."""
    makefile = directory / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    makefile.write_text(text.replace("/usr/src/", f"{root}/usr/src/"), encoding="utf-8")


def _set_compiler(directory: Path, debian: str) -> None:
    """Name a compiler that is there. Debian's file names the very one that made the kernel."""
    path = directory / ".kernelvariables"
    text = path.read_text(encoding="utf-8")
    match = re.search(r"\bgcc-(\d+)$", text, re.MULTILINE)
    if match is None:
        raise LabKernelError(
            f"{path} does not name a compiler", "use the headers of another kernel: hmexp lab kernels"
        )
    compiler = _compiler(int(match[1]), debian)
    text = re.sub(r"^CC = .*$", lambda _: f"CC = {compiler}", text, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")


def _without_btf(directory: Path) -> None:
    """Leave out the debugging data that needs pahole: modules load without it."""
    path = directory / "include/config/auto.conf"
    text = path.read_text(encoding="utf-8")
    # For make only: autoconf.h, which says how the kernel's structures look, must stay.
    text = text.replace("CONFIG_DEBUG_INFO_BTF_MODULES=y\n", "")
    # kbuild warns where the machine's pahole is not the one that the kernel was built with; 0 is none.
    path.write_text(
        re.sub(r"^(CONFIG_PAHOLE_VERSION)=\d+$", rf"\1={_pahole()}", text, flags=re.MULTILINE),
        encoding="utf-8",
    )


def _pahole() -> int:
    if shutil.which("pahole") is None:
        return 0
    said = subprocess.run(["pahole", "--version"], capture_output=True, text=True, check=False).stdout
    return int("0" + "".join(re.findall(r"\d+", said)))


def _compiler(wanted: int, debian: str) -> str:
    for name in (f"{_PREFIX}gcc-{wanted}", f"gcc-{wanted}"):
        if shutil.which(name):
            return name
    if shutil.which("gcc") is None:
        raise LabNeedError("no C compiler is installed to build modules with", "apt-get install gcc make")
    have = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True).stdout
    # A later compiler builds modules for an older kernel; an older one has no support for its options.
    if int(have.split(".")[0]) >= wanted:
        return "gcc"
    return str(_fetched_compiler(wanted, debian))


def _fetched_compiler(wanted: int, debian: str) -> Path:
    """Unpack a compiler of another Debian release, with the C library that it needs."""
    target = cache_directory() / "compilers" / f"{debian}-gcc-{wanted}"

    def build(work: Path) -> None:
        made = work / target.name
        area = AptArea(debian)
        area.ensure_fetched()
        with scratch(work) as directory:
            unpack(area.download_with_dependencies([f"gcc-{wanted}"], Path(directory), whole=True), made)
        inner = f"usr/libexec/gcc/x86_64-linux-gnu/{wanted}"
        if not (made / inner).is_dir():
            inner = f"usr/lib/gcc/x86_64-linux-gnu/{wanted}"
        programs = [f"usr/bin/{_PREFIX}gcc-{wanted}", f"usr/bin/{_PREFIX}as", f"{inner}/cc1"]
        wrap((made / name for name in programs), made, target)
        # gcc looks for the assembler here before it looks in PATH.
        (made / inner / "as").symlink_to(target / f"usr/bin/{_PREFIX}as")

    return built_once(target, build) / f"usr/bin/{_PREFIX}gcc-{wanted}"


def wrap(programs: Iterable[Path], root: Path, target: Path) -> None:
    """Put scripts in front of programs that start them with the C library of their own tree.

    Parameters
    ----------
    programs : iterable of Path
        Below `root`.
    root : Path
        Where the tree is now.
    target : Path
        Where it will be.
    """
    libraries = shlex.quote(str(target / _LIBRARIES))
    loader = shlex.quote(str(target / _LIBRARIES / "ld-linux-x86-64.so.2"))
    for program in programs:
        real = program.with_name(program.name + ".real")
        program.rename(real)
        final = shlex.quote(str(target / real.relative_to(root)))
        start = f'exec {loader} --library-path {libraries} --argv0 "$0" {final} "$@"'
        program.write_text(f"#!/bin/sh\n{start}\n", encoding="utf-8")
        program.chmod(0o755)


def _unusable(root: Path) -> list[Path]:
    """List the host programs (modpost, objtool) for which the machine's libraries are too old or missing."""
    found = []
    for program in sorted((root / "usr/lib").glob("linux-kbuild-*/**/*")):
        if not program.is_file() or program.is_symlink() or not os.access(program, os.X_OK):
            continue
        with program.open("rb") as handle:
            if handle.read(4) != b"\x7fELF":
                continue
        # As ldd does: the loader resolves the libraries, and the program does not start.
        environment = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1", "LC_ALL": "C"}
        done = subprocess.run([program], capture_output=True, text=True, check=False, env=environment)
        if "not found" in done.stdout + done.stderr:
            found.append(program)
    return found
