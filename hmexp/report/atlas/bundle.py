"""A bundle: a captured profile with its records, proof and versions, fit to be published."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from hmexp.decoding import decode
from hmexp.errors import EmulationError, ParameterError
from hmexp.memory.profile import Profile
from hmexp.memory.profile_file import check_profile
from hmexp.memory.profile_text import to_toml
from hmexp.report.atlas.allowed import leaves, require_allowed, spell
from hmexp.report.atlas.capture import Captured
from hmexp.store.evidence import PlacementRecord
from hmexp.store.parameters import CurvePoint, LoopPoint
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured

FORMAT: Final = "hmexp-atlas-1"
MOST_BYTES: Final = 8 << 20
#: A name of a host or a person that is shorter stands in too many words.
_LEAST_NAME: Final = 4
_RELEASE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4}){1,2}", re.ASCII)


class BundledNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the machine."""

    id: int
    kind: str
    cpus: int
    total_bytes: int | None = None


class BundledMachine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What matters of the machine, and names nobody."""

    nodes: tuple[BundledNode, ...]
    architecture: str | None = None
    cpu_model: str | None = None
    cpus_online: int | None = None
    kernel: str | None = None
    thp: str | None = None
    numa_balancing: int | None = None
    virtual: bool | None = None
    memory_types: tuple[str, ...] = ()
    memory_mtps: tuple[int, ...] = ()
    load_average: tuple[float, ...] = ()


class BundledPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A point: what was measured, its result with its interval, and where its pages were."""

    kind: str
    pattern: str
    placer: str
    size_bytes: int
    threads: int
    operation: str | None = None
    stores: str | None = None
    read_percent: float | None = None
    page_bytes: int | None = None
    unit: str
    median: float
    low: float | None = None
    high: float | None = None
    n: int
    launches: int
    pages: int | None = None
    misplaced: int | None = None
    absent: int | None = None


class BundledVersions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What measured it."""

    hmexp: str | None = None
    python: str | None = None
    numpy: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the checksum is of; the profile has the keys of a profile's file."""

    profile: dict[str, Any]
    machine: BundledMachine
    versions: BundledVersions
    points: tuple[BundledPoint, ...]
    study: str
    emulated: bool
    month: str | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    format: str
    checksum: str
    content: Content


@dataclass(frozen=True)
class Bundle:
    """A bundle that was checked.

    Parameters
    ----------
    content : Content
        What it says.
    checksum : str
        SHA-256 of it.
    profile : Profile
        Its profile, to be emulated.
    """

    content: Content
    checksum: str
    profile: Profile

    @property
    def name(self) -> str:
        """A name of its own, from its checksum alone."""
        return f"atlas-{self.checksum[:12]}"

    def to_json(self) -> str:
        """The text of its file."""
        envelope = {
            "format": FORMAT, "checksum": self.checksum, "content": msgspec.to_builtins(self.content),
        }  # fmt: skip
        return json.dumps(envelope, indent=1, sort_keys=True) + "\n"


def make_bundle(captured: Captured) -> Bundle:
    """Put a captured profile and its evidence together; nothing else of the run gets in.

    Raises
    ------
    ParameterError
        If a string is at a place, or of a form, that a bundle may not have; or it has the name of this
        host or user.
    """
    data = tomllib.loads(to_toml(captured.profile))
    for key in ("title", "source"):
        data[key] = spell(data[key]) or "unknown"
    run = captured.run
    packages = (run.provenance.packages if run.provenance else None) or {}
    content = Content(
        profile=data,
        machine=_machine(run),
        versions=BundledVersions(
            hmexp=packages.get("hmexp"),
            python=run.provenance.python if run.provenance else None,
            numpy=packages.get("numpy"),
        ),
        points=tuple(_point(point) for point in captured.points),
        study=run.study or "sweep",
        emulated=run.emulation is not None,
        month=run.started[:7] or None,
    )
    bundle = _checked(content, "this run cannot be published")
    _refuse_names(bundle)
    return bundle


def read_bundle(path: Path) -> Bundle:
    """Read a bundle from anywhere: nothing in it is trusted.

    Raises
    ------
    ParameterError
        If it is not a bundle, was changed, or says something that a bundle may not.
    EmulationError
        If its profile cannot be used.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ParameterError(f"{path} cannot be read: {error.strerror}") from error
    return parse_bundle(raw, str(path))


def parse_bundle(raw: bytes, where: str) -> Bundle:
    """Check the bytes of a bundle; `read_bundle` says what is raised."""
    if len(raw) > MOST_BYTES:
        raise ParameterError(f"{where} is longer than {MOST_BYTES} bytes", "a bundle is much smaller")
    try:
        envelope = decode(raw, Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ParameterError(f"{where} is not a bundle: {error}", "see docs/atlas.md") from error
    if envelope.format != FORMAT:
        raise ParameterError(f"{where} is a bundle of another format", f"this hmexp reads {FORMAT}")
    bundle = _checked(envelope.content, where)
    if bundle.checksum != envelope.checksum:
        raise ParameterError(
            f"{where} was changed: its checksum does not belong to what it says", "ask for the file again"
        )
    return bundle


def checksum_of(content: Content) -> str:
    """SHA-256 of what a bundle says, its keys sorted, whatever the file looks like."""
    text = json.dumps(msgspec.to_builtins(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(content: Content, where: str) -> Bundle:
    plain = {"content": msgspec.to_builtins(content)}
    require_allowed(plain, where)
    try:
        found = check_profile(content.profile, where)
        checksum = checksum_of(content)
    except RecursionError as error:
        raise EmulationError(f"{where}: its profile is nested too deep") from error
    return Bundle(content, checksum, Profile.of(f"atlas-{checksum[:12]}", found))


def _machine(run: RunRecord) -> BundledMachine:
    known = run.provenance
    nodes = tuple(
        BundledNode(id=node.id, kind=node.kind, cpus=len(node.cpus), total_bytes=node.total_bytes)
        for node in run.nodes
    )
    if known is None:
        return BundledMachine(nodes=nodes)
    devices = known.memory_devices.devices if known.memory_devices else ()
    types = {kind for device in devices if isinstance(kind := device.get("type"), str)}
    speeds = {speed for device in devices if isinstance(speed := device.get("configured_mtps"), int)}
    release = _RELEASE.match(known.kernel or "")
    virtual = (known.virtualization or {}).get("hypervisor_flag")
    return BundledMachine(
        nodes=nodes,
        architecture=known.architecture,
        cpu_model=spell(known.cpu_model),
        cpus_online=known.cpus_online,
        kernel=None if release is None else release[0],
        thp=known.thp_enabled,
        numa_balancing=known.numa_balancing,
        virtual=virtual if isinstance(virtual, bool) else None,
        memory_types=tuple(sorted(t for t in types if re.fullmatch("[A-Z0-9-]{1,20}", t))),
        memory_mtps=tuple(sorted(speeds)),
        load_average=known.load_average or (),
    )


def _point(point: PointRecord) -> BundledPoint:
    given, result = point.parameters, point.result
    assert isinstance(given, LoopPoint | CurvePoint) and isinstance(result, Measured)
    loop, curve = (given, None) if isinstance(given, LoopPoint) else (None, given)
    looks = [] if point.proof is None else [point.proof.before, point.proof.after]
    placed = [look for look in looks if isinstance(look, PlacementRecord)]
    return BundledPoint(
        kind=point.kind,
        pattern=given.pattern,
        placer=given.placer,
        size_bytes=given.size_bytes,
        threads=given.threads,
        operation=loop.operation if loop else None,
        page_bytes=loop.page_bytes if loop else None,
        stores=curve.stores if curve else None,
        read_percent=curve.read_percent if curve else None,
        unit=result.unit,
        median=result.median,
        low=result.ci_low,
        high=result.ci_high,
        n=result.n,
        launches=max(1, len(result.launches)),
        pages=placed[-1].pages if placed else None,
        misplaced=max((look.misplaced for look in placed), default=None),
        absent=max((look.absent for look in placed), default=None),
    )


def _refuse_names(bundle: Bundle) -> None:
    """A second look, for what this machine and its user are called."""
    names = {
        socket.gethostname(),
        *socket.gethostname().split("."),
        os.environ.get("USER", ""),
        Path.home().name,
    }
    for name in (name.lower() for name in names if len(name) >= _LEAST_NAME):
        for place, text in leaves({"content": msgspec.to_builtins(bundle.content)}):
            if re.search(rf"\b{re.escape(name)}\b", text.lower()):
                raise ParameterError(
                    f"the text at {place} has the name of this host or user in it",
                    "such a run cannot be published; send a report of it",
                )
