"""Packages fetched with apt and unpacked beside the system, which stays as it is.

Every call gets a private configuration: its own sources, lists and archives. What the machine
says about proxies and certificates still holds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hmexp.lab.cache import cache_directory, ensure_directory, locked
from hmexp.lab.errors import LabError, LabNeedError
from hmexp.lab.sources import derive, read_sources

_ORIGINS = ("Debian", "Debian Backports")
MERGED_DIRECTORIES = ("bin", "lib", "lib64", "sbin")


class AptArea:
    """The suites of one Debian release, as this machine can reach them.

    Parameters
    ----------
    release : str
        Such as ``trixie``.
    """

    def __init__(self, release: str) -> None:
        self.release = release
        self.directory = cache_directory() / "apt" / release

    def _options(self) -> list[str]:
        values = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": str(self.directory / "sources"),
            # A pin of the machine's owner is about the machine, not about the lab.
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State": str(self.directory / "state"),
            "Dir::State::lists": str(self.directory / "lists"),
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": str(self.directory / "cache"),
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            # Without it, apt as root becomes a user that may not enter a private cache directory.
            "APT::Sandbox::User": "",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
        }
        return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]

    def _call(self, *words: str, status: Path | None = None, directory: Path | None = None) -> str:
        if shutil.which("apt-get") is None:
            raise LabNeedError(
                "this machine has no apt-get, which the lab needs to fetch kernels and tools",
                "install QEMU, a static busybox, kmod, ndctl and daxctl, and name a kernel by its path",
            )
        other_status = [] if status is None else ["-o", f"Dir::State::status={status}"]
        command = [words[0], "-qq", *self._options(), *other_status, *words[1:]]
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, cwd=directory,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-6:]
            raise LabError(
                f"{' '.join(words[:3])} failed for the suites of {self.release}: {' / '.join(said)}",
                "check with `apt-get update` that this machine reaches its package archive",
            )
        return done.stdout

    def update(self, apt_directory: Path = Path("/etc/apt")) -> None:
        """Fetch the package lists. Suites that the machine's archive does not hold are passed over."""
        sources = derive(read_sources(apt_directory), self.release)
        if not sources:
            raise LabNeedError(
                f"no apt source in {apt_directory} is a Debian archive, so {self.release} cannot be fetched",
                "add Debian's archive to the apt sources, or name a kernel by its path",
            )
        with locked(self.directory):
            parts = ensure_directory(self.directory / "sources")
            for name in ("lists/partial", "cache/archives/partial", "state"):
                ensure_directory(self.directory / name)
            for old in parts.iterdir():
                old.unlink()
            missing = []
            for number, source in enumerate(sources):
                # One at a time: a suite that is not there makes apt fail, and the others must not suffer.
                part = parts / f"{number}.sources"
                part.write_text(source.stanza(), encoding="utf-8")
                only = ["-o", f"Dir::Etc::sourceparts={self.directory}/one", "-o", "APT::Get::List-Cleanup=0"]
                single = ensure_directory(self.directory / "one") / "one.sources"
                shutil.copy(part, single)
                try:
                    self._call("apt-get", *only, "-o", "APT::Update::Error-Mode=any", "update")
                except LabError as error:
                    if isinstance(error, LabNeedError):
                        raise
                    missing.append(f"{source.suite}: {error.message}")
                    part.unlink()
            if not any(parts.iterdir()):
                raise LabError(
                    f"this machine's package archive has no suite of {self.release}: {missing[-1]}",
                    "check with `apt-get update` that this machine reaches its package archive",
                )

    @property
    def is_fetched(self) -> bool:
        """Whether the package lists are here."""
        return any((self.directory / "sources").glob("*.sources"))

    def ensure_fetched(self) -> None:
        """Fetch the package lists unless they are here."""
        if not self.is_fetched:
            self.update()

    def stanzas(self, names: str) -> Iterator[Mapping[str, str]]:
        """Yield what the lists say of the packages whose name matches a regular expression.

        Each is a mapping of field to value, with ``Codename`` added: the suite it was found in.
        """
        wanted = re.compile(rf"^Package: (?:{names})$", re.MULTILINE)
        targets = self._call(
            "apt-get",
            "indextargets",
            "--format",
            "$(FILENAME)\t$(CODENAME)\t$(ORIGIN)",
            "Created-By: Packages",
        )
        for line in targets.splitlines():
            filename, codename, origin = line.split("\t")
            if origin not in _ORIGINS or not Path(filename).exists():
                continue
            text = subprocess.run(
                ["/usr/lib/apt/apt-helper", "cat-file", filename], capture_output=True, check=True
            ).stdout.decode("utf-8", "replace")
            for stanza in text.split("\n\n"):
                if wanted.search(stanza):
                    fields = re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE)
                    yield {**dict(fields), "Codename": codename}

    def _fetch(self, *words: str, status: Path | None = None, directory: Path | None = None) -> None:
        try:
            self._call(*words, status=status, directory=directory)
        except LabNeedError:
            raise
        except LabError:
            # Lists grow old: what they name may have been replaced since by a later version.
            self.update()
            self._call(*words, status=status, directory=directory)

    def download(self, packages: Sequence[str], directory: Path) -> list[Path]:
        """Fetch just these packages (``name`` or ``name=version``) into a directory."""
        self._fetch("apt-get", "download", *packages, directory=directory)
        return sorted(directory.glob("*.deb"))

    def download_with_dependencies(
        self, packages: Sequence[str], directory: Path, *, whole: bool = False, suite: str | None = None
    ) -> list[Path]:
        """Fetch packages and what they need into a directory.

        Parameters
        ----------
        packages : sequence of str
            ``name`` or ``name=version``.
        directory : Path
            Where the files go.
        whole : bool
            Take everything, down to the C library; otherwise what the machine has is left out.
        suite : str, optional
            The suite preferred for what they need, such as ``bookworm-backports``.
        """
        # apt takes a relative path as below its own directories.
        directory = directory.absolute()
        status = directory / "status"
        status.touch()
        (directory / "partial").mkdir(exist_ok=True)
        self._fetch(
            "apt-get", "-o", f"Dir::Cache::archives={directory}", "-o", "Debug::NoLocking=1",
            "--download-only", "--yes", "--no-install-recommends",
            *([] if suite is None else ["-t", suite]), "install", *packages,
            status=status if whole else None,
        )  # fmt: skip
        return sorted(directory.glob("*.deb"))


def unpack(archives: Iterable[Path], root: Path) -> None:
    """Unpack packages into a directory, with everything below ``usr`` and links at the top."""
    root.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        done = subprocess.run(["dpkg-deb", "-x", archive, root], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(
                f"{archive.name} could not be unpacked: {done.stderr.strip()}",
                "check that the disk is not full",
            )
    for name in MERGED_DIRECTORIES:
        top, below = root / name, root / "usr" / name
        below.mkdir(parents=True, exist_ok=True)
        if top.is_dir() and not top.is_symlink():
            # Packages from before the merge of /usr have directories of their own at the top.
            _merge(top, below)
        if not top.is_symlink():
            top.symlink_to(f"usr/{name}")
    _keep_links_inside(root)


def _keep_links_inside(root: Path) -> None:
    """Make absolute links relative where their target is in the tree (depmod is a link to /bin/kmod)."""
    for directory, directories, names in os.walk(root):
        for path in (Path(directory) / name for name in (*directories, *names)):
            target = path.readlink() if path.is_symlink() else Path()
            if target.is_absolute() and (root / target.relative_to("/")).exists():
                inside = (root / target.relative_to("/")).resolve()
                path.unlink()
                path.symlink_to(os.path.relpath(inside, path.parent.resolve()))


def _merge(source: Path, target: Path) -> None:
    for entry in source.iterdir():
        into = target / entry.name
        if entry.is_dir() and not entry.is_symlink() and into.is_dir():
            _merge(entry, into)
        else:
            entry.replace(into)
    source.rmdir()


def scratch(parent: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a directory for downloads beside the place where they are unpacked."""
    return tempfile.TemporaryDirectory(prefix=".fetching-", dir=ensure_directory(parent))


def own_release() -> str | None:
    """Name the machine's Debian release, such as ``bookworm``; None if it is not Debian."""
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    return fields.get("VERSION_CODENAME") if fields.get("ID") == "debian" else None
