"""What the noise of a machine means for a sweep, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hmexp.machine.doctor.cpus import look_at_frequency, look_at_isolation, look_at_smt, name_processes
from hmexp.machine.doctor.finding import Finding, Group, Section, Severity
from hmexp.machine.doctor.noise import CpuNoise, MachineNoise
from hmexp.machine.doctor.subject import Subject
from hmexp.system.sysfs import format_id_list

_NOISE: Final = Section(Group.CPUS)
#: Part of the watched CPUs that may be unfit: beyond it a sweep that takes any CPU cannot be trusted.
_UNFIT_PART: Final = 1 / 8
#: Part of a CPU's time from which a cause is worth a word.
_CAUSE: Final = 0.002
#: Interrupts from which a device, and not the timer alone, is at work [1/s].
_MANY_INTERRUPTS: Final = 2000
#: A gap that no process explains; the timer's interrupt is far shorter [ns].
_LONG_NS: Final = 200_000


def judge_noise(noise: MachineNoise, subject: Subject) -> Iterator[Finding]:
    """What a watch says of numbers measured here now, worst first, and the settings that matter."""
    yield from _judge_cpus(noise)
    yield from _name_causes(noise)
    yield from _judge_bandwidth(noise)
    for look in (look_at_isolation, look_at_frequency, look_at_smt):
        yield from look(subject)


def _judge_cpus(noise: MachineNoise) -> Iterator[Finding]:
    unfit, disturbed, quiet = (noise.of(s) for s in (Severity.BLOCK, Severity.KNOW, Severity.FINE))
    usable = quiet or disturbed
    if quiet:
        yield _NOISE.fine("quiet CPUs", f"CPUs {format_id_list(quiet)} are quiet")
    if disturbed:
        yield _NOISE.know(
            "disturbed CPUs",
            f"CPUs {format_id_list(disturbed)} are disturbed now and then: hmexp marks those samples",
            f"taskset -c {format_id_list(quiet)} hmexp sweep" if quiet else None,
        )
    if unfit:
        tell = _NOISE.block if len(unfit) > len(noise.cpus) * _UNFIT_PART else _NOISE.know
        yield tell(
            "noisy CPUs",
            f"CPUs {format_id_list(unfit)} are not fit to measure on: they give more than 3 % of their time "
            "to others, or 1 sample in 10 is spoiled",
            f"taskset -c {format_id_list(usable)} hmexp sweep" if usable else None,
        )


def _name_causes(noise: MachineNoise) -> Iterator[Finding]:
    """Who takes the time: processes, the hypervisor, interrupts, or nobody that Linux knows."""
    if any(one.foreign > _CAUSE for one in noise.cpus):
        busiest = [one for one in noise.activity.busiest if one[2] > _CAUSE] if noise.activity else []
        named = f": {name_processes(busiest)}" if busiest else ""
        yield _NOISE.know(
            "other processes",
            f"other processes ran on the CPUs that were watched{named}",
            "stop them; or keep CPUs free for good: boot with isolcpus=LIST nohz_full=LIST",
        )
    if any(one.stolen > _CAUSE for one in noise.cpus):
        most = max(noise.cpus, key=lambda one: one.stolen)
        yield _NOISE.know(
            "steal",
            f"the hypervisor took up to {most.stolen:.1%} of a CPU (CPU {most.cpu})",
            "pin the virtual CPUs on the host, or measure on a host of your own",
        )
    interrupted = [one for one in noise.cpus if (one.interrupts_per_second or 0) > _MANY_INTERRUPTS]
    if interrupted:
        worst = max(interrupted, key=lambda one: one.interrupts_per_second or 0)
        sources = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in worst.sources.items())
        yield _NOISE.know(
            "interrupts",
            f"CPUs {format_id_list(one.cpu for one in interrupted)} are interrupted often (CPU {worst.cpu}: "
            f"{sources})",
            "move the device's interrupts to other CPUs (/proc/irq/N/smp_affinity_list); stop irqbalance",
        )
    hidden = [one for one in noise.cpus if _unexplained(one)]
    if hidden:
        worst = max(hidden, key=lambda one: one.longest_ns)
        yield _NOISE.know(
            "hidden gaps",
            f"CPUs {format_id_list(one.cpu for one in hidden)} stopped for up to "
            f"{worst.longest_ns / 1000:,.0f} us, and no process was there: firmware (SMI), the hypervisor "
            "or a long interrupt",
            "look with the hwlat and osnoise tracers (rtla hwnoise, rtla osnoise)",
        )


def _unexplained(one: CpuNoise) -> bool:
    return one.longest_ns > _LONG_NS and one.gaps.preempted == 0 and one.gaps.stolen_ns == 0


def _judge_bandwidth(noise: MachineNoise) -> Iterator[Finding]:
    spread = noise.bandwidth
    if spread is None:
        yield _NOISE.know("bandwidth", "no memory could be read: how much a read varies is unknown")
        return
    seen = (
        f"{spread.samples} reads of node {spread.node} from CPU {spread.cpu}: median "
        f"{spread.median_gbps:.2f} GB/s, worst {spread.worst_gbps:.2f}, best {spread.best_gbps:.2f}, "
        f"coefficient of variation {spread.variation:.1%}"
    )
    if spread.severity is Severity.FINE:
        yield _NOISE.fine("bandwidth", seen)
        return
    tell = _NOISE.block if spread.severity is Severity.BLOCK else _NOISE.know
    yield tell(
        "bandwidth",
        f"{seen}: smaller differences than that cannot be seen in one launch",
        "see the causes above; take more launches (--launches 10)",
    )
