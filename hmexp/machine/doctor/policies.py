"""Findings about the kernel's settings of memory: those that move pages, take them, or keep them back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.sysfs import parse_meminfo, read_choice, read_int, read_text
from hmexp.units import format_size

_MEMORY: Final = Section(Group.MEMORY)
#: What Linux allows a process by default; a placer that needs a mapping for each run of pages needs as many.
_MAPPINGS: Final = 65530


@check(_MEMORY, "moving pages")
def look_at_what_moves_pages(subject: Subject) -> Iterator[Finding]:
    """NUMA balancing, demotion, reclaim within a zone: each moves pages that were placed."""
    balancing = read_int(subject.proc / "sys/kernel/numa_balancing")
    may_write = os.access(subject.proc / "sys/kernel/numa_balancing", os.W_OK)
    if balancing and not may_write:
        yield _MEMORY.know(
            "NUMA balancing",
            f"kernel.numa_balancing is {balancing}, and only root may switch it off: the kernel may move "
            "pages while they are measured",
            "sudo sysctl kernel.numa_balancing=0",
        )
    elif balancing:
        seen = f"kernel.numa_balancing is {balancing}; hmexp switches it off while it measures"
        yield _MEMORY.aside("NUMA balancing", seen)
    else:
        state = "not in this kernel" if balancing is None else "off"
        yield _MEMORY.aside("NUMA balancing", f"NUMA balancing is {state}")
    if read_text(subject.sys / "kernel/mm/numa/demotion_enabled") in ("true", "1"):
        yield _MEMORY.know(
            "demotion",
            "the kernel demotes cold pages to slower nodes when memory is short: a proof may then fail",
            "echo false | sudo tee /sys/kernel/mm/numa/demotion_enabled",
        )
    reclaim = read_int(subject.proc / "sys/vm/zone_reclaim_mode")
    if reclaim:
        yield _MEMORY.know(
            "reclaim",
            f"vm.zone_reclaim_mode is {reclaim}: a node that is full reclaims its pages before it says so, "
            "which stalls placing",
            "sudo sysctl vm.zone_reclaim_mode=0",
        )


@check(_MEMORY, "sharing and swap")
def look_at_what_takes_pages(subject: Subject) -> Iterator[Finding]:
    """KSM, swap, reserved huge pages."""
    if read_int(subject.sys / "kernel/mm/ksm/run") == 1:
        yield _MEMORY.know(
            "KSM",
            "KSM merges pages of equal content, and its daemon reads memory all the time",
            "echo 0 | sudo tee /sys/kernel/mm/ksm/run",
        )
    amounts = parse_meminfo(read_text(subject.proc / "meminfo") or "")
    total, free = amounts.get("SwapTotal", 0), amounts.get("SwapFree", 0)
    if total > free:
        yield _MEMORY.know(
            "swap",
            f"{format_size(total - free)} are swapped out: memory is, or was, short, and a region may be "
            "swapped out too",
            "sudo swapoff -a",
        )
    elif total:
        yield _MEMORY.aside("swap", f"{format_size(total)} of swap, none of it used")
    reserved = 0
    for folder in (subject.sys / "kernel/mm/hugepages").glob("hugepages-*kB"):
        size_kb = folder.name.removeprefix("hugepages-").removesuffix("kB")
        if size_kb.isdecimal():
            reserved += (read_int(folder / "nr_hugepages") or 0) * int(size_kb) * 1024
    if reserved:
        yield _MEMORY.know(
            "reserved huge pages",
            f"{format_size(reserved)} are reserved for hugetlbfs, which hmexp does not use",
            "sudo sysctl vm.nr_hugepages=0",
        )


@check(_MEMORY, "page sizes")
def look_at_huge_pages(subject: Subject) -> Iterator[Finding]:
    """Whether pages of 2 MiB can be measured."""
    about = "huge pages"
    folder = subject.sys / "kernel/mm/transparent_hugepage"
    chosen = read_choice(folder / "enabled")
    if not folder.is_dir() or chosen is None:
        yield _MEMORY.know(
            about, "the kernel has no transparent huge pages: points with pages of 2MiB are skipped"
        )
    elif chosen == "never":
        yield _MEMORY.know(
            about,
            "transparent huge pages are switched off: points with pages of 2MiB are skipped",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        )
    else:
        yield _MEMORY.aside(about, f"transparent huge pages are there ({chosen})")


@check(_MEMORY, "allocation")
def look_at_allocation(subject: Subject) -> Iterator[Finding]:
    """What allocates less than there is."""
    vm = subject.proc / "sys/vm"
    if read_int(vm / "overcommit_memory") == 2:
        yield _MEMORY.know(
            "overcommit",
            "vm.overcommit_memory is 2: a region may be refused although a node has room for it",
            "sudo sysctl vm.overcommit_memory=0",
        )
    mappings = read_int(vm / "max_map_count")
    if mappings is not None and mappings < _MAPPINGS:
        yield _MEMORY.know(
            "mappings",
            f"vm.max_map_count is {mappings}: the placer mbind, which needs a mapping for each run of pages, "
            "is refused for larger regions",
            f"sudo sysctl vm.max_map_count={_MAPPINGS}",
        )
    policy = read_text(subject.sys / "devices/system/memory/auto_online_blocks")
    devices = (subject.sys / "bus/dax/devices").glob("*")
    waiting = [path.name for path in devices if (path / "driver").resolve().name != "kmem"]
    if policy == "offline" and waiting:
        yield _MEMORY.know(
            "memory blocks",
            f"auto_online_blocks is offline: the memory of {', '.join(sorted(waiting))}, once added, stays "
            "unusable until its blocks are onlined",
            "echo online_movable | sudo tee /sys/devices/system/memory/auto_online_blocks",
        )
    elif policy is not None:
        yield _MEMORY.aside("memory blocks", f"auto_online_blocks is {policy}")
