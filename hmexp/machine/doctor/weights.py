"""The finding about weights of weighted interleave that `hmexp weights --apply` set for good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.lasting_record import LastingChange, read_weights
from hmexp.system.setting_files import Machine
from hmexp.system.sysfs import read_text

_MEMORY: Final = Section(Group.MEMORY)
_ABOUT: Final = "lasting weights"


@check(_MEMORY, _ABOUT)
def look_at_lasting_weights(subject: Subject) -> Iterator[Finding]:
    """Weights that stay until the next boot, and that every program under weighted interleave gets."""
    found = read_weights(Machine(subject.sys, subject.proc, subject.root / "run/hmexp"))
    if found is None:
        return
    weights = [each for each in found.changes if re.fullmatch(r"node\d+", Path(each.path).name, re.ASCII)]
    said = ", ".join(f"{each.used} for node {_node(each)}" for each in weights)
    others = [
        f"{each.path} is {now} now, not {each.used}"
        for each in found.changes
        if (now := read_text(subject.root / each.path.lstrip("/"))) is not None and now != each.used
    ]
    yield _MEMORY.know(
        _ABOUT,
        f"`hmexp weights --apply` has set the weights of weighted interleave: {said or 'none of a node'}"
        + (f"; since then somebody changed them: {', '.join(others)}" if others else ""),
        "hmexp weights --undo",
    )


def _node(change: LastingChange) -> str:
    return Path(change.path).name.removeprefix("node")
