"""The ways that the kernel has by itself: policies, first touch, one node, tiering, and numactl."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import ExitStack

from hmexp.errors import NativeError, SettingsError, StartError
from hmexp.native import PAGE_BYTES, PageMapping, Spreading, spread
from hmexp.native.refusal import Call
from hmexp.native.spawn import Inheritance, TaskPolicy
from hmexp.pattern import Pattern
from hmexp.program.launch.checks import check_call, needs_pattern
from hmexp.program.launch.policy import plan_policy
from hmexp.program.launch.request import Plan, Request
from hmexp.store.parts import SettingRecord
from hmexp.system.settings import HERE, interleave_weights, memory_tiering
from hmexp.system.sysfs import read_int

#: How long a program waits for a region that is being populated with weights of its own [s].
_WAIT_SECONDS = 10.0


def plan_first_touch(request: Request, _held: ExitStack) -> Plan:
    """Leave everything to the kernel: pages come from the node that touches them, while it has room."""
    return Plan(
        "default",
        "the kernel's own way: each page from the node of the CPU that touches it first, while it has room",
        "none",
        request.executable.path,
        request.command,
    )


def plan_by_policy(request: Request, held: ExitStack) -> Plan:
    """Set a memory policy that is inherited, and hold its weights until the program has ended."""
    pattern = needs_pattern(request, "policy")
    check_call(Call.SET_MEMPOLICY, "policy")
    obstacle = _no_weights(pattern)
    try:
        plan = plan_policy(pattern, PAGE_BYTES, weighted=obstacle is None)
    except StartError as error:
        if obstacle is None:
            raise
        raise StartError(f"{obstacle.message}; {error.message}", obstacle.remedy or error.remedy) from error
    if request.exact and plan.promise != "exact":
        raise StartError(plan.why, "use --via policy if the ratio is enough")
    settings, warnings = _hold_weights(plan.weights, held)
    return Plan(
        "policy", plan.why, plan.promise, request.executable.path, request.command,
        inherits=plan.inherits, settings=settings, warnings=warnings,
    )  # fmt: skip


def plan_one_node(request: Request, _held: ExitStack) -> Plan:
    """Prefer one node for everything; what does not fit there comes from others, and is counted."""
    pattern = needs_pattern(request, "node")
    check_call(Call.SET_MEMPOLICY, "node")
    if len(pattern.distinct_nodes) != 1:
        raise StartError(
            f"node puts all pages on one node, and pattern {pattern} has {len(pattern.distinct_nodes)}",
            f"name one, such as --pattern {pattern.nodes[0]}, or use another way",
        )
    node = pattern.nodes[0]
    return Plan(
        "node",
        f"all pages on node {node} while it has room, from other nodes afterwards (MPOL_PREFERRED)",
        "exact",
        request.executable.path,
        request.command,
        inherits=Inheritance(TaskPolicy.PREFER, (node,)),
    )


def plan_tiering(request: Request, held: ExitStack) -> Plan:
    """First touch, and then the kernel moves hot pages up and cold ones down."""
    try:
        settings = held.enter_context(memory_tiering())
    except SettingsError as error:
        remedy = f"{error.remedy}; or" if error.remedy else "or"
        raise StartError(
            f"tiering by the kernel: {error.message}",
            f"{remedy} use another way: --via default, --via policy",
        ) from error
    return Plan(
        "tiering",
        "first touch, and the kernel moves hot pages to fast nodes and cold ones to slow nodes "
        "(kernel.numa_balancing 2, demotion); no pattern",
        "none",
        request.executable.path,
        request.command,
        settings={name: setting.to_record() for name, setting in settings.items()},
    )


def plan_numactl(request: Request, _held: ExitStack) -> Plan:
    """What numactl does: equal shares of all nodes of the pattern."""
    pattern = needs_pattern(request, "numactl")
    check_call(Call.SET_MEMPOLICY, "numactl")
    path = shutil.which("numactl")
    if path is None:
        raise StartError(
            "numactl is not installed", "install it (Debian: numactl), or use --via policy, which needs none"
        )
    nodes = ",".join(map(str, sorted(pattern.distinct_nodes)))
    words = (path, f"--interleave={nodes}", "--", request.executable.path, *request.command[1:])
    return Plan(
        "numactl", f"numactl --interleave={nodes}: equal shares, whatever the ratio of the pattern", "none",
        path, words,
    )  # fmt: skip


def _no_weights(pattern: Pattern) -> SettingsError | None:
    """Why weights cannot be used at all on this kernel; None if they can."""
    if len(pattern.distinct_nodes) == 1:
        return None
    try:
        mapping = PageMapping(PAGE_BYTES)
        try:
            spread(mapping, Pattern((pattern.nodes[0],), PAGE_BYTES), Spreading.WEIGHTED)
        finally:
            mapping.close()
    except NativeError as error:
        if error.errno == errno.EINVAL:
            return SettingsError(
                "the kernel does not know MPOL_WEIGHTED_INTERLEAVE",
                "boot Linux 6.9 or later; or use another way: --via follow, --via preload",
            )
        return SettingsError(error.message, error.remedy)
    files, _modes = HERE.weight_files()
    missing = [node for node in pattern.distinct_nodes if node not in files]
    if missing:
        return SettingsError(
            f"{HERE.weights_directory} has no weight of node {missing[0]}",
            "mount /sys; boot Linux 6.9 or later; or use another way: --via follow, --via preload",
        )
    return None


def _hold_weights(
    weights: dict[int, int], held: ExitStack
) -> tuple[dict[str, SettingRecord], tuple[str, ...]]:
    """Set weights until the program has ended; they belong to the whole machine."""
    if not weights:
        return {}, ()
    files, _modes = HERE.weight_files()
    set_already = all(read_int(files[node]) == weight for node, weight in weights.items())
    if set_already and not all(os.access(files[node], os.W_OK) for node in weights):
        text = (
            "the weights are as the pattern needs them, but this user cannot keep others from changing them."
        )
        kept = {f"weighted_interleave.node{node}": str(weight) for node, weight in weights.items()}
        return {name: SettingRecord(before=text_, used=text_) for name, text_ in kept.items()}, (text,)
    try:
        found = held.enter_context(interleave_weights(weights, wait_seconds=_WAIT_SECONDS, shared=True))
    except SettingsError as error:
        remedy = f"{error.remedy}; or" if error.remedy else "or"
        raise StartError(
            f"the weights of weighted interleave, which are those of the whole machine: {error.message}",
            f"{remedy} use another way: --via follow, --via preload",
        ) from error
    return {name: setting.to_record() for name, setting in found.items()}, ()
