"""The ways that hmexp brings: the preload library."""

from __future__ import annotations

from contextlib import ExitStack

from hmexp.program.checks import needs_pattern
from hmexp.program.preload import prepare
from hmexp.program.request import Plan, Request


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
