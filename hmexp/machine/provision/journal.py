"""What provisioning has done, and was doing: one file that outlives a reboot and an interruption.

It is written before each step and after it. The plan itself is always made from the machine as it is, so
the file only has to say what the machine does not: whose a namespace is, which devices hmexp turned into
memory, and what a setting was before.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from hmexp.machine.provision.tools import ProvisionError
from hmexp.system.sysfs import read_text

DIRECTORY: Final = Path("/var/lib/hmexp")
_TEXTS: Final = (
    "auto_before", "doing", "boot_id", "goal", "goal_boot", "remaking", "mapping", "endpoint",
)  # fmt: skip


@dataclass(frozen=True)
class ProvisionLog:
    """What is written down.

    Parameters
    ----------
    uuids : tuple of str
        Namespaces that hmexp made.
    devices : tuple of str
        DAX devices that hmexp turned into memory: what ``--undo`` returns.
    auto_before : str or None
        What ``auto_online_blocks`` was before hmexp set it.
    boot_id : str
        The boot of which `auto_before` speaks.
    doing : str or None
        The step that was under way; None between steps.
    making : int or None
        The region that was getting a namespace.
    known : tuple of str
        The namespaces that the region had before.
    remaking : str or None
        The namespace that was given up, to be created again in another mode.
    mapping, endpoint : str or None
        The region that was getting CXL memory, and the decoder of the device.
    goal : str or None
        The goal that hmexp made for the Optane modules, such as ``PersistentMemoryType=AppDirect``.
    goal_boot : str
        The boot at which it was made: the firmware takes it at the next.
    """

    uuids: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    auto_before: str | None = None
    boot_id: str = ""
    doing: str | None = None
    making: int | None = None
    known: tuple[str, ...] = ()
    remaking: str | None = None
    mapping: str | None = None
    endpoint: str | None = None
    goal: str | None = None
    goal_boot: str = ""

    @classmethod
    def parse(cls, text: str) -> ProvisionLog:
        """Read what was written; what makes no sense counts as nothing, so that no data is taken for ours."""
        try:
            data = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(data, dict):
            return cls()
        found: dict[str, object] = {}
        for name in ("uuids", "devices", "known"):
            value = data.get(name)
            if isinstance(value, list) and all(isinstance(each, str) for each in value):
                found[name] = tuple(value)
        for name in _TEXTS:
            if isinstance(data.get(name), str):
                found[name] = data[name]
        if type(data.get("making")) is int:
            found["making"] = data["making"]
        return cls(**{each.name: found[each.name] for each in fields(cls) if each.name in found})  # type: ignore[arg-type]

    def owns(self, uuid: str | None, region: int) -> bool:
        """Whether hmexp made a namespace; also one that it was making when it was interrupted."""
        if uuid is None:
            return False
        return uuid in self.uuids or (self.making == region and uuid not in self.known)

    def left_behind(self, name: str, uuid: str | None, region: int) -> bool:
        """Whether an interruption may have left a namespace half made; it must be looked at, too."""
        new = uuid is not None and self.making == region and uuid not in self.known
        return self.doing is not None and (new or name == self.remaking)


class ProvisionJournal:
    """The file.

    Parameters
    ----------
    directory : Path
        Where it is; made when it is first needed.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.path = directory / "provision.json"

    def read(self) -> ProvisionLog:
        """What is written down; an empty log if there is none."""
        return ProvisionLog.parse(read_text(self.path) or "")

    def write(self, log: ProvisionLog) -> None:
        """Write it down, on the disk, all or nothing.

        Raises
        ------
        ProvisionError
            If it cannot be written.
        """
        beside = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                os.write(fd, json.dumps(asdict(log)).encode())
                os.fsync(fd)
            finally:
                os.close(fd)
            beside.rename(self.path)
        except OSError as error:
            raise ProvisionError(
                f"{self.path} cannot be written: {error.strerror}", "run as root; nothing was changed"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from provisioning at the same time.

        Raises
        ------
        ProvisionError
            If another process is at it, or the directory cannot be used.
        """
        path = self.path.with_suffix(".lock")
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ProvisionError(f"{path} cannot be opened: {error.strerror}", "run as root") from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ProvisionError(
                    f"another process holds {path}: it is provisioning now", "wait until it has ended"
                ) from error
            # The programs that hmexp runs inherit it: one that a killed hmexp left at work keeps others out.
            os.set_inheritable(fd, True)  # noqa: FBT003 - positional only
            yield
        finally:
            os.close(fd)
