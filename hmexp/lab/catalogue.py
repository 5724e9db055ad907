"""Which kernels Debian's suites hold, and the choice of one of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hmexp.lab.apt import AptArea, own_release
from hmexp.lab.cache import cache_directory, ensure_directory
from hmexp.lab.errors import LabError, LabKernelError
from hmexp.lab.sources import RELEASES

FRESH_SECONDS = 7 * 86400
DISTRIBUTION = "distribution"
_IMAGE = r"linux-image-[0-9][0-9.]*(?:-[0-9]+|-0\.[a-z0-9.]+|\+[a-z0-9.]+)?-amd64"


@dataclass(frozen=True)
class KernelPackage:
    """A kernel image that can be downloaded.

    Parameters
    ----------
    release : str
        What ``uname -r`` will say, such as ``6.12.117+deb13-amd64``.
    version : str
        Version of the package.
    debian : str
        Debian release whose suites hold it, such as ``trixie``.
    suite : str
        The suite itself.
    has_headers : bool
        Whether the headers to build a module against are there too.
    is_distribution : bool
        Whether it is the one that an ordinary installation of this Debian release runs.
    parts : tuple of str
        The packages to download: since 7.2, the image and the modules are apart.
    """

    release: str
    version: str
    debian: str
    suite: str
    has_headers: bool
    is_distribution: bool
    parts: tuple[str, ...]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> KernelPackage:
        """Read what `asdict` wrote to a JSON file."""
        return cls(**{**entry, "parts": tuple(entry["parts"])})

    @property
    def upstream(self) -> tuple[int, ...]:
        """The kernel's own version, such as ``(6, 12, 117)``."""
        return upstream_version(self.version)


def upstream_version(text: str) -> tuple[int, ...]:
    """Read the numbers that a version starts with: ``6.12.117-1~deb12u1`` is ``(6, 12, 117)``."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def packages_of(stanzas: Iterable[Mapping[str, str]], debian: str) -> list[KernelPackage]:
    """Gather the kernels from what the package lists of one Debian release say."""
    images: dict[str, Mapping[str, str]] = {}
    headers: set[tuple[str, str]] = set()
    usual: tuple[tuple[int, ...], str] = ((), "")
    for stanza in stanzas:
        name, version = stanza["Package"], stanza["Version"]
        if name == "linux-image-amd64":
            depends = re.search(r"linux-image-([0-9]\S*)", stanza.get("Depends", ""))
            # What an installation runs comes from the release and its security updates, never from backports.
            if depends and not stanza["Codename"].endswith("-backports"):
                usual = max(usual, (upstream_version(version), depends[1]))
        elif name.startswith("linux-headers-"):
            headers.add((name.removeprefix("linux-headers-"), version))
        elif "Depends" in stanza and re.fullmatch(_IMAGE, name):
            known = images.get(name)
            if known is None or upstream_version(version) > upstream_version(known["Version"]):
                images[name] = stanza
    found = []
    for name, stanza in images.items():
        release, version = name.removeprefix("linux-image-"), stanza["Version"]
        # linux-image-6.12-amd64 is a meta package: its release number is no uname.
        if not re.match(r"\d+\.\d+\.\d+", release):
            continue
        found.append(
            KernelPackage(
                release, version, debian, stanza["Codename"],
                has_headers=(release, version) in headers,
                is_distribution=release == usual[1],
                parts=(name, *re.findall(r"\blinux-(?:binary|modules)-[0-9][^\s,]*", stanza["Depends"])),
            )
        )  # fmt: skip
    return found


def catalogue(*, refresh: bool = False) -> tuple[list[KernelPackage], dict[str, str]]:
    """List the kernels that this machine's archive holds, for every Debian release known.

    The list is kept for a week.

    Parameters
    ----------
    refresh : bool
        Ask the archive again now.

    Returns
    -------
    packages : list of KernelPackage
    failures : dict
        Debian release to the reason why its suites could not be read.
    """
    path = cache_directory() / "catalogue.json"
    kept: list[KernelPackage] = []
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        kept = [KernelPackage.from_json(package) for package in entry["packages"]]
        if not refresh and time.time() - entry["written"] < FRESH_SECONDS:
            return kept, entry["failures"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # absent, or written by another version of hmexp
    packages: list[KernelPackage] = []
    failures: dict[str, str] = {}
    own = own_release()
    for release in dict.fromkeys((*RELEASES, *([own] if own else []))):
        area = AptArea(release)
        try:
            area.update()
            stanzas = area.stanzas(f"linux-image-amd64|{_IMAGE}|{_IMAGE.replace('image', 'headers')}")
            packages += packages_of(stanzas, release)
        except LabError as error:
            failures[release] = str(error)
            # What was there the last time is better than nothing.
            packages += [package for package in kept if package.debian == release]
    if packages:
        ensure_directory(path.parent)
        _write(path, packages, failures)
    return packages, failures


def _write(path: Path, packages: Sequence[KernelPackage], failures: Mapping[str, str]) -> None:
    entry = {
        "written": time.time(),
        "failures": failures,
        "packages": [asdict(package) for package in packages],
    }
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(entry, indent=1), encoding="utf-8")
    fresh.replace(path)


def select(packages: Iterable[KernelPackage], request: str, own: str | None) -> KernelPackage:
    """Choose a kernel.

    Parameters
    ----------
    packages : iterable of KernelPackage
        What there is.
    request : str
        ``distribution``, the start of a version (``6.12``, ``6.12.95``), or the whole name that
        ``uname -r`` gives.
    own : str or None
        This machine's Debian release, preferred where the same version is in several: its
        headers work with the compiler that the machine has.

    Returns
    -------
    KernelPackage
        The newest that fits; among equals one with headers, then one of the machine's release.
    """
    everything = list(packages)
    fitting = [package for package in everything if package.release == request]
    if not fitting and request == DISTRIBUTION:
        fitting = [package for package in everything if package.is_distribution and package.debian == own]
    elif not fitting:
        wanted = upstream_version(request)
        if wanted and ".".join(map(str, wanted)) == request:
            fitting = [package for package in everything if package.upstream[: len(wanted)] == wanted]
    if not fitting:
        have = sorted({package.upstream[:2] for package in everything})
        raise LabKernelError(
            f"no kernel fits {request!r}",
            "ask for one of " + ", ".join(".".join(map(str, series)) for series in have)
            + ", for a whole name that `hmexp lab kernels --all` prints, or give the path of a kernel image",
        )  # fmt: skip

    def preference(package: KernelPackage) -> tuple[object, ...]:
        revision = re.search(r"-(\d+)", package.version)
        return (
            package.upstream,
            package.has_headers,
            package.debian == own,
            int(revision[1]) if revision else 0,
        )

    return max(fitting, key=preference)
