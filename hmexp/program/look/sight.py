"""What cannot be seen of a process, and what would show it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hmexp.native.refusal import Call, explain
from hmexp.system.sysfs import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hmexp.native.foreign import Sight
    from hmexp.program.look.tally import PageTally


def say_limits(sight: Sight, tallies: Sequence[PageTally], refused: int, *, has_numa: bool) -> list[str]:
    """Say what stayed unseen in the mappings of a process, whose pages were counted.

    Parameters
    ----------
    sight : Sight
        What they were seen by.
    tallies : sequence of PageTally
        The pages of each mapping.
    refused : int
        The errno by which ``move_pages`` refused to say; 0 where it did not.
    has_numa : bool
        Whether ``numa_maps`` was there.
    """
    said = []
    shared = sum(tally.shared for tally in tallies)
    hidden = sum(tally.hidden for tally in tallies)
    if not sight.frames_shown:
        said.append(
            "frames are hidden from this user, so that move_pages was asked for the node of each page; "
            "frames need CAP_SYS_ADMIN"
        )
    if shared and not sight.sees_merged:
        why = (
            "the /proc/kpageflags of this kernel says it of all anonymous pages"
            if os.access("/proc/kpageflags", os.R_OK)
            else "that is in /proc/kpageflags, for which CAP_SYS_ADMIN is needed"
        )
        said.append(f"which of {shared} shared pages KSM has merged{_say_merged(sight.pid)}: {why}")
    if not sight.sees_huge:
        said.append(
            "which pages are huge: this kernel shows that only with frames (CAP_SYS_ADMIN), Linux 6.7 and "
            "later without"
        )
    if refused:
        remedy = explain(Call.MOVE_PAGES, refused)
        said.append(
            f"the node of each of {hidden} pages: move_pages was refused ({os.strerror(refused)}), so that "
            "they are counted by numa_maps alone" + (f"; {remedy}" if remedy else "")
        )
    elif hidden:
        said.append(f"the node of {hidden} pages: they are of a device, or were busy each time")
    if not has_numa:
        said.append("what numa_maps counts: this kernel was built without it (CONFIG_NUMA)")
    return said


def _say_merged(pid: int) -> str:
    """The kernel's own count, of which the same user may know."""
    text = read_text(Path(f"/proc/{pid}/ksm_merging_pages"))
    return f" ({text} of this process, by ksm_merging_pages)" if text else ""
