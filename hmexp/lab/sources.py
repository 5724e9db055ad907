"""Where Debian's packages come from, derived from the machine's own apt sources.

No mirror is named anywhere in hmexp: a machine that gets its packages from some mirror gets
the kernels of the other suites from the same one, by putting another suite's name into the
same entry.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

RELEASES = ("bullseye", "bookworm", "trixie")
"""Debian releases whose suites are searched, oldest first; the machine's own is added."""

_ALIASES = ("stable", "oldstable", "oldoldstable", "testing")
_POCKETS = ("", "-updates", "-security", "-backports")
_KEPT = ("Signed-By", "Trusted", "Check-Valid-Until", "Allow-Insecure", "Allow-Weak")


@dataclass(frozen=True)
class AptSource:
    """One archive and one suite of it.

    Parameters
    ----------
    uri : str
        Root of the archive.
    suite : str
        Such as ``bookworm-security``.
    options : tuple of (str, str)
        Fields of the deb822 format that say how it is verified (``Signed-By``), values as written.
    """

    uri: str
    suite: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def pocket(self) -> str:
        """``""``, ``-updates``, ``-security`` or ``-backports``."""
        return self.suite[self.suite.index("-") :] if "-" in self.suite else ""

    def stanza(self) -> str:
        """Write the source as apt's deb822 format."""
        fields = [("Types", "deb"), ("URIs", self.uri), ("Suites", self.suite), ("Components", "main")]
        # amd64 whatever else the machine may use: the lab's machine is a PC.
        fields.append(("Architectures", "amd64"))
        return "".join(f"{name}: {value}\n" for name, value in (*fields, *self.options)) + "\n"


def read_sources(directory: Path = Path("/etc/apt")) -> list[AptSource]:
    """Read the binary sources of a machine, in both of apt's formats.

    Parameters
    ----------
    directory : Path
        Where ``sources.list`` and ``sources.list.d`` are.
    """
    parts = sorted((directory / "sources.list.d").glob("*"))
    found: list[AptSource] = []
    for path in [directory / "sources.list", *parts]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            found += parse_deb822(text)
        elif path.suffix == ".list":
            found += parse_list(text)
    return found


def parse_list(text: str) -> list[AptSource]:
    """Read the one-line format: ``deb [signed-by=...] URI SUITE COMPONENT...``."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"\s*deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<rest>[^#]*)(?:#.*)?", line)
        if match is None:
            continue
        words = [*str(match["rest"]).split(), "", ""]
        uri, suite, components = words[0], words[1], words[2:]
        if "main" not in components:
            continue
        pairs = (word.partition("=") for word in shlex.split(match["options"] or ""))
        options = {"-".join(part.capitalize() for part in name.split("-")): value for name, _, value in pairs}
        found.append(AptSource(uri, suite, _kept(options)))
    return found


def parse_deb822(text: str) -> list[AptSource]:
    """Read the stanza format: ``Types:``, ``URIs:``, ``Suites:``, ``Components:``, ``Signed-By:``."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = []
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        # A value continues on the indented lines that follow (a key may be written out there).
        pairs = re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {name.lower(): value.rstrip() for name, value in pairs}
        wanted = "deb" in fields.get("types", "").split() and "main" in fields.get("components", "").split()
        if not wanted or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = _kept({name: fields[name.lower()] for name in _KEPT if name.lower() in fields})
        for uri in fields.get("uris", "").split():
            found += [AptSource(uri, suite, options) for suite in fields.get("suites", "").split()]
    return found


def _kept(options: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, options[name]) for name in _KEPT if name in options)


def derive(sources: Iterable[AptSource], release: str) -> list[AptSource]:
    """Derive the sources of a Debian release from those of another.

    Entries of other archives are passed over when their suite does not look like one of Debian's;
    those that do, but are not Debian's, are recognised after the download by their Origin.

    Parameters
    ----------
    sources : iterable of AptSource
        The machine's own.
    release : str
        Such as ``trixie``.
    """
    known = (*RELEASES, *_ALIASES, release)
    derived: list[AptSource] = []
    for source in sources:
        base = source.suite.split("-")[0].split("/")[0]
        if base not in known or source.pocket not in _POCKETS or source.uri.startswith("cdrom:"):
            continue
        # Updates and backports lie in the main archive, security updates in one of their own.
        pockets = ("-security",) if source.pocket == "-security" else ("", "-updates", "-backports")
        derived += [replace(source, suite=release + pocket) for pocket in pockets]
    return list(dict.fromkeys(derived))
