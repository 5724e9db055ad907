"""The state of the machine as it is stored in `run.json`: what may matter for the numbers."""

from __future__ import annotations

from hmexp.store.limits import LimitsRecord
from hmexp.store.schema import Fact, Remark, Stored


class MemoryDevices(Stored, frozen=True, kw_only=True, gc=False):
    """Memory devices by the firmware's tables (SMBIOS), which only root may read; no serial numbers.

    Parameters
    ----------
    devices : tuple of dict of str to fact
        For each: `slot`, `bank`, `size_bytes`, `type`, `technology`, `width_bits`, `speed_mtps` and
        `configured_mtps` in MT/s, `ranks`, `manufacturer`, `part`.
    empty_slots : int
        Slots without a device.
    """

    devices: tuple[dict[str, Fact], ...] = ()
    empty_slots: int = 0


class Checkout(Stored, frozen=True, kw_only=True, gc=False):
    """The code, if it ran from a git checkout.

    Parameters
    ----------
    commit : str or None
        Commit that was checked out.
    dirty : bool or None
        Whether files differed from that commit.
    """

    commit: str | None = None
    dirty: bool | None = None


class Provenance(Stored, frozen=True, kw_only=True, gc=False):
    """The state of the machine, as far as it matters for the numbers; None is unknown.

    Parameters
    ----------
    kernel : str or None
        Release of the kernel.
    kernel_version : str or None
        Build of the kernel.
    kernel_parameters : tuple of str or None
        Those of the kernel's command line that touch memory, CPUs or timing.
    architecture : str or None
        Architecture of the machine.
    cpu_model : str or None
        Model of the CPU, as it names itself.
    microcode : tuple of str or None
        Versions of the CPUs' microcode.
    cpus_online : int or None
        Number of CPUs of the machine.
    caches : tuple of dict of str to fact or None
        `level`, `type`, `size`, `ways`, `line_bytes` and `shared_cpus` of each cache of the first
        CPU.
    virtualization : dict of str to remark or None
        Hypervisor, its vendor and product; the clock source, and those to choose from.
    cpu_governors : tuple of str or None
        Governors of the clock frequency.
    turbo : bool or None
        Whether the clock may rise above its nominal frequency.
    cpu_frequency : dict of str to remark or None
        Limits of the clock as set and as built, and the drivers that set it.
    cpu_idle : dict of str to fact or None
        Driver and governor of idle CPUs.
    mitigations : dict of str to fact or None
        What the kernel does about each weakness of the CPU.
    smt_control : str or None
        `on`, `off`, `forceoff` or `notsupported`.
    smt_active : bool or None
        Whether cores run several threads.
    page_bytes : int or None
        Size of the base page [bytes].
    thp_enabled : str or None
        Where the kernel uses transparent huge pages: `always`, `madvise` or `never`.
    thp_defrag : str or None
        How hard the kernel tries to make them: `always`, `defer`, `madvise` and so on.
    thp_shmem : str or None
        The same as `thp_enabled`, for shared memory.
    numa_balancing : int or None
        Setting `kernel.numa_balancing`.
    demotion_enabled : bool or None
        Whether reclaim moves pages to slower nodes.
    weighted_interleave : dict of str to str or None or None
        The kernel's weights of weighted interleave, by the name of the file.
    zone_reclaim_mode : int or None
        Setting `vm.zone_reclaim_mode`.
    max_map_count : int or None
        Setting `vm.max_map_count`.
    overcommit_memory : int or None
        Setting `vm.overcommit_memory`.
    memory_total_bytes : int or None
        Memory of the machine [bytes].
    swap_total_bytes : int or None
        Swap of the machine [bytes].
    memory_devices : MemoryDevices or None
        Memory devices by the firmware's tables.
    firmware : dict of str to fact or None
        Maker, version and date of the firmware, and the board's.
    hybridmem : dict of str to fact or None
        The kernel module's `version` and `srcversion`; None if it was not loaded.
    cgroup : dict of str to fact or None
        Limits of the run's own cgroup, as its files of either version have them: `cpu_max`, `memory_max`,
        `cpuset_mems`.
    limits : LimitsRecord or None
        Every limit that the run was under, with the file that says so; None if none was found.
    load_average : tuple of float or None
        Load over 1, 5 and 15 minutes before the run.
    glibc : str or None
        Version of the C library.
    python : str or None
        Version of Python.
    packages : dict of str to str or None or None
        Version of hmexp and of the packages that it stands on.
    checkout : Checkout or None
        The code, if it ran from a git checkout.
    """

    kernel: str | None = None
    kernel_version: str | None = None
    kernel_parameters: tuple[str, ...] | None = None
    architecture: str | None = None
    cpu_model: str | None = None
    microcode: tuple[str, ...] | None = None
    cpus_online: int | None = None
    caches: tuple[dict[str, Fact], ...] | None = None
    virtualization: dict[str, Remark] | None = None
    cpu_governors: tuple[str, ...] | None = None
    turbo: bool | None = None
    cpu_frequency: dict[str, Remark] | None = None
    cpu_idle: dict[str, Fact] | None = None
    mitigations: dict[str, Fact] | None = None
    smt_control: str | None = None
    smt_active: bool | None = None
    page_bytes: int | None = None
    thp_enabled: str | None = None
    thp_defrag: str | None = None
    thp_shmem: str | None = None
    numa_balancing: int | None = None
    demotion_enabled: bool | None = None
    weighted_interleave: dict[str, str | None] | None = None
    zone_reclaim_mode: int | None = None
    max_map_count: int | None = None
    overcommit_memory: int | None = None
    memory_total_bytes: int | None = None
    swap_total_bytes: int | None = None
    memory_devices: MemoryDevices | None = None
    firmware: dict[str, Fact] | None = None
    hybridmem: dict[str, Fact] | None = None
    cgroup: dict[str, Fact] | None = None
    limits: LimitsRecord | None = None
    load_average: tuple[float, ...] | None = None
    glibc: str | None = None
    python: str | None = None
    packages: dict[str, str | None] | None = None
    checkout: Checkout | None = None
