"""Findings about the machine and its kernel."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from typing import Final

from hmexp.machine.doctor.finding import Finding, Group, Section, Severity
from hmexp.machine.doctor.kernel_options import DEBUGGING, NEEDS, has_signs, missing, read_options
from hmexp.machine.doctor.registry import check
from hmexp.machine.doctor.subject import Subject
from hmexp.system.provenance import timing_validity
from hmexp.system.sysfs import read_text

#: CPUID's signatures of hypervisors, and how they are called.
_HYPERVISORS: Final = {
    "KVMKVMKVM": "KVM", "TCGTCGTCGTCG": "QEMU's software emulation", "Microsoft Hv": "Hyper-V",
    "VMwareVMware": "VMware", "XenVMMXenVMM": "Xen", "ACRNACRNACRN": "ACRN", "bhyve bhyve ": "bhyve",
}  # fmt: skip
_KERNEL: Final = Section(Group.KERNEL)


@check(_KERNEL, "files of the kernel", on_error=Severity.BLOCK)
def look_at_file_systems(subject: Subject) -> Iterator[Finding]:
    """Without /proc and /sys hardly anything can be seen, and nothing proven."""
    about = "files of the kernel"
    if not (subject.proc / "self/status").exists():
        yield _KERNEL.block(
            about,
            f"{subject.proc} is not mounted: no placement can be proven, and much of what follows is unknown",
            "mount -t proc proc /proc",
        )
    if not (subject.sys / "devices/system").exists():
        yield _KERNEL.block(
            about,
            f"{subject.sys} is not mounted: the nodes are unknown",
            "mount -t sysfs sysfs /sys",
        )


@check(_KERNEL, "kernel")
def look_at_kernel(subject: Subject) -> Iterator[Finding]:
    """Which kernel on which CPU."""
    cpuinfo = read_text(subject.proc / "cpuinfo") or ""
    model = re.search(r"^(?:model name|cpu|CPU part)[ \t]*:[ \t]*(.+)$", cpuinfo, re.MULTILINE)
    machine = f", {platform.machine()}" if subject.live else ""
    vendor = _hypervisor(subject, cpuinfo)
    built = read_text(subject.proc / "sys/kernel/version")
    seen = f"Linux {subject.release or 'of unknown release'}{machine}"
    if model is not None:
        seen += f", {model[1].strip()}"
    yield _KERNEL.fine("kernel", seen, [built] if built else [])
    if vendor is not None:
        yield _KERNEL.know(
            "virtual machine",
            f"virtual machine ({vendor}): its neighbours may take time and bandwidth unseen",
            "hmexp doctor --watch-noise 10s",
        )


@check(_KERNEL, "timings")
def look_at_timings(subject: Subject) -> Iterator[Finding]:
    """An emulated CPU has no speed."""
    valid, why = timing_validity(subject.proc, sys_root=subject.sys)
    if valid:
        yield _KERNEL.aside("timings", "times measured here are those of a real CPU")
    else:
        yield _KERNEL.block(
            "timings",
            f"times mean nothing here, for functional tests only: {why}",
            "measure on a real CPU, or in a virtual machine with KVM",
        )


@check(_KERNEL, "kernel options")
def look_at_options(subject: Subject) -> Iterator[Finding]:
    """What the kernel was built without, as far as this machine needs it."""
    about = "kernel options"
    found = read_options(subject.root, subject.release)
    if found is None:
        yield _KERNEL.know(
            about,
            f"the kernel's options are unknown: neither /proc/config.gz nor /boot/config-{subject.release} "
            "can be read",
            "sudo modprobe configs, or install the package of this kernel, which has the file in /boot",
        )
        return
    options, path = found
    idle, have = [], []
    for need in NEEDS:
        names = " ".join(missing(need, options))
        if not names:
            have.append(" ".join(need.options))
        elif not has_signs(need, subject.root):
            idle.append(f"not built in, and nothing here shows a need: {names} (without: {need.without})")
        else:
            tell = _KERNEL.block if need.essential else _KERNEL.know
            yield tell(about, f"the kernel was built without {names}: {need.without}", None, [str(path)])
    details = [f"from {path}", f"built in, or as modules: {', '.join(have)}", *idle]
    yield _KERNEL.aside(about, "the options that this kernel was built with were read", details)
    debugging = [name for name in DEBUGGING if options.get(name) == "y"]
    if debugging:
        yield _KERNEL.know(
            "debugging kernel",
            f"this kernel looks for its own mistakes ({', '.join(debugging)}): faults and placing are slow",
            "measure setup costs on a kernel without these options",
        )


def _hypervisor(subject: Subject, cpuinfo: str) -> str | None:
    """Who runs this virtual machine; None on bare metal, or where nothing says."""
    flags = re.search(r"^(?:flags|Features)[ \t]*:(.*)$", cpuinfo, re.MULTILINE)
    flagged = flags is not None and "hypervisor" in flags[1].split()
    vendor = read_text(subject.sys / "hypervisor/type") or None
    if not flagged and vendor is None:
        return None
    if vendor is None and subject.live:
        from hmexp import native

        vendor = _HYPERVISORS.get(native.hypervisor(), native.hypervisor())
    return (vendor or read_text(subject.sys / "class/dmi/id/sys_vendor") or "of unknown make").strip("\0 ")
