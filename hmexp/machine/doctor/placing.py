"""Findings about the placers: each one is tried on a small region, and the proof is what counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hmexp.errors import HmexpError
from hmexp.machine.doctor.finding import Finding, Group, Section, Severity
from hmexp.machine.doctor.registry import check, describe_os_error
from hmexp.machine.doctor.subject import Subject
from hmexp.system.topology import Topology

#: What sweeps use unless another is named.
DEFAULT_PLACER: Final = "first_touch"
_PLACERS: Final = Section(Group.PLACERS)


@check(_PLACERS, "C core", live=True, on_error=Severity.BLOCK)
def look_at_core(_: Subject) -> Iterator[Finding]:
    """Whether the compiled core is there, and is that of these sources."""
    from hmexp import native

    yield _PLACERS.aside("C core", f"the C core fits its sources; pages of {native.PAGE_BYTES} bytes")


@check(_PLACERS, "placers", live=True, on_error=Severity.BLOCK)
def look_at_placers(subject: Subject) -> Iterator[Finding]:
    """Every placer places 4 MiB on one node, and the pages are looked for."""
    from hmexp.memory.placers import PLACERS

    if not (subject.proc / "self/maps").exists():
        without = f"without {subject.proc} no placer can be tried, and no placement proven"
        yield _PLACERS.block("placers", without, "mount -t proc proc /proc")
        return
    node = _usable_node(subject)
    good: list[Finding] = []
    refused: list[Finding] = []
    for name in PLACERS:
        finding = try_placer(name, node, subject.topology)
        (good if finding.severity is Severity.FINE else refused).append(finding)
    if good:
        names = ", ".join(finding.about.removeprefix("placer ") for finding in good)
        yield _PLACERS.fine("placers", f"these place pages, and the proof finds them in place: {names}")
    yield from (replace(finding, minor=True) for finding in good)
    yield from refused
    if not good:
        yield _PLACERS.block("placers", "no placer works here: nothing can be measured")


def try_placer(name: str, node: int, topology: Topology) -> Finding:
    """Place a few pages in one way on one node, and prove it."""
    from hmexp.memory.placers import PLACERS
    from hmexp.memory.placers.hybridmem import DEVICE
    from hmexp.memory.region import allocate

    about = f"placer {name}"
    # Another placer can do; without the one that is used by default a sweep fails.
    tell = _PLACERS.block if name == DEFAULT_PLACER else _PLACERS.know
    try:
        obstacle = PLACERS[name].unavailable()
        if obstacle is not None:
            found = tell(about, f"{name} does not work here: {obstacle.reason}", obstacle.remedy)
            # Why the module is not there is a finding of its own.
            return replace(found, minor=name == "hybridmem" and not DEVICE.exists())
        with allocate("4MiB", str(node), name, topology=topology) as region:
            placement = region.placement()
    except HmexpError as error:
        return tell(about, f"{name} failed: {error.message}", error.remedy)
    except OSError as error:
        return tell(about, f"{name} failed: {describe_os_error(error)}")
    if placement.ok:
        return _PLACERS.fine(about, f"{name}: {placement.summary}")
    return _PLACERS.block(about, f"{name} misplaced pages: {placement.summary}")


def _usable_node(subject: Subject) -> int:
    """The node to try on: the one nearest to the threads."""
    from hmexp.system.near import near_node

    return near_node(subject.topology).id
