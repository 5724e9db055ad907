"""The ways that hmexp brings: the preload library, and following."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

from hmexp.errors import StartError
from hmexp.native.refusal import Call
from hmexp.native.spawn import Inheritance, TaskPolicy
from hmexp.program.launch.checks import check_call, needs_pattern
from hmexp.program.launch.policy import HUGE_BYTES
from hmexp.program.launch.preload import prepare
from hmexp.program.launch.request import Plan, Request
from hmexp.program.move.follow_options import FollowOptions
from hmexp.program.move.follower import follow
from hmexp.program.pages.pace import PaceOptions
from hmexp.store.following_records import Following


def plan_preload(request: Request, held: ExitStack) -> Plan:
    """Give large mappings to /dev/hybridmem, which places each page as it is first touched."""
    pattern = needs_pattern(request, "preload")
    found = held.enter_context(
        prepare(pattern, pattern.granule_bytes, request.options.threshold_bytes, request.command)
    )
    heap = "its own allocator" if found.allocator is None else f"{found.allocator.name} in front of malloc"
    return Plan(
        "preload",
        f"large private mappings from /dev/hybridmem, exact by virtual page number; {heap}",
        "exact",
        request.executable.path,
        request.command,
        environment=found.environment,
        verify=found.verify,
        conclude=found.notes,
    )


def plan_follow(request: Request, _held: ExitStack) -> Plan:
    """Let pages appear where the program touches them, and move them to their place soon after."""
    pattern = needs_pattern(request, "follow")
    check_call(Call.MOVE_PAGES, "follow")
    check_call(Call.SET_MEMPOLICY, "follow")
    privileges = request.executable.privileges
    if privileges is not None and os.geteuid():
        raise StartError(
            f"{request.executable.path} {privileges}: this user may not move its pages",
            "run as root, or use another way: --via policy",
        )
    options = FollowOptions(
        pace=PaceOptions(pages_per_second=request.options.pages_per_second), children=True, from_birth=True
    )

    def attend(pid: int, stop: threading.Event) -> Following:
        return follow(pid, pattern, options, stop)

    # A policy of its own, even this one, keeps NUMA balancing from moving the pages back.
    inherits = Inheritance(TaskPolicy.LOCAL, without_huge=pattern.granule_bytes < HUGE_BYTES)
    return Plan(
        "follow",
        "first touch, and soon after each page is moved to its place by virtual page number",
        "exact",
        request.executable.path,
        request.command,
        inherits=inherits,
        attend=attend,
    )
