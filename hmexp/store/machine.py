"""The machine as it is stored in `run.json`: its nodes, what was emulated on it, and its state."""

from __future__ import annotations

from hmexp.store.schema import Fact, Remark, Stored


class NodeRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A real node.

    Parameters
    ----------
    id : int
        Its number.
    kind : str
        `dram`, `nvm`, `cxl` or `unknown`.
    cpus : tuple of int
        Its CPUs.
    total_bytes, free_bytes : int or None
        Its memory, and what was free at the start [bytes].
    distances : dict of int to int
        To each node, as the firmware says.
    read_gbps, write_gbps : float or None
        By the firmware's HMAT [GB/s].
    read_latency_ns, write_latency_ns : float or None
        By the firmware's HMAT [ns].
    """

    id: int
    kind: str = "unknown"
    cpus: tuple[int, ...] = ()
    total_bytes: int | None = None
    free_bytes: int | None = None
    distances: dict[int, int] = {}
    read_gbps: float | None = None
    write_gbps: float | None = None
    read_latency_ns: float | None = None
    write_latency_ns: float | None = None


class SpeedRecord(Stored, frozen=True, kw_only=True, gc=False):
    """Speed of a node; None where a figure is not known.

    Parameters
    ----------
    read_gbps, write_gbps, write_nt_gbps : float or None
        Payload of loads, regular stores and non-temporal stores [GB/s].
    latency_ns, store_nt_ns, store_flush_ns : float or None
        Of a dependent load, a non-temporal store and a fence, and a store, a flush and a fence [ns].
    writers : tuple of (int, float)
        Threads that write, and the part of the write bandwidth that is left.
    """

    read_gbps: float | None = None
    write_gbps: float | None = None
    latency_ns: float | None = None
    write_nt_gbps: float | None = None
    store_nt_ns: float | None = None
    store_flush_ns: float | None = None
    writers: tuple[tuple[int, float], ...] = ()


class ProfileRecord(Stored, frozen=True, kw_only=True, gc=False):
    """A profile: published speeds of DRAM and of a slow memory on one machine.

    Parameters
    ----------
    name, title : str
        Of the profile, and the same for people.
    kind : str
        Of its slow node.
    source : str
        Where its figures are from.
    dram, slow : SpeedRecord or None
        The published figures.
    """

    name: str
    title: str = ""
    kind: str = "unknown"
    source: str = ""
    dram: SpeedRecord | None = None
    slow: SpeedRecord | None = None


class EmulationRecord(Stored, frozen=True, kw_only=True, gc=False):
    """Emulated nodes: a profile scaled to the host.

    Parameters
    ----------
    profile : ProfileRecord
        The published figures.
    host : SpeedRecord
        What this host did in the same loops, unhindered.
    scale : dict of str to float
        Factor from the published figures to the modelled ones, by quantity.
    nodes : dict of int to SpeedRecord
        The modelled speed of each node: the truth that is to be measured.
    backing : dict of int to int
        Real node that holds the pages of an emulated one.
    absolute : bool
        Published speeds as they are, not scaled.
    """

    profile: ProfileRecord
    host: SpeedRecord = SpeedRecord()
    scale: dict[str, float] = {}
    nodes: dict[int, SpeedRecord] = {}
    backing: dict[int, int] = {}
    absolute: bool = False


class Calibration(Stored, frozen=True, kw_only=True, gc=False):
    """One measurement of the host, in a fresh process, to scale an emulation.

    Parameters
    ----------
    quantity, unit : str
        What was measured, and the unit of the values below.
    threads : int
        That measured.
    access, cpu_node : str or None
        As in a point.
    median, ci_low, ci_high : float
        As in a point [unit].
    n : int
        Samples.
    load_average : tuple of float
        Before it.
    """

    quantity: str
    unit: str
    threads: int
    access: str | None = None
    cpu_node: str | None = None
    median: float
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    load_average: tuple[float, ...] = ()


class MemoryDevices(Stored, frozen=True, kw_only=True, gc=False):
    """Memory devices by the firmware's tables (SMBIOS), which only root may read; no serial numbers.

    Parameters
    ----------
    devices : tuple of dict
        `slot`, `bank`, `size_bytes`, `type`, `technology`, `width_bits`, `speed_mtps`,
        `configured_mtps` [MT/s], `ranks`, `manufacturer`, `part`.
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
        That it was at.
    dirty : bool or None
        Whether it was changed since.
    """

    commit: str | None = None
    dirty: bool | None = None


class Provenance(Stored, frozen=True, kw_only=True, gc=False):
    """The state of the machine, as far as it matters for the numbers; None is unknown.

    Parameters
    ----------
    kernel, kernel_version : str or None
        Release of the kernel, and its build.
    kernel_parameters : tuple of str or None
        Those that touch memory, CPUs or timing.
    architecture, cpu_model : str or None
        Of the machine, and as the CPU names itself.
    microcode : tuple of str or None
        Versions of the CPUs' microcode.
    cpus_online : int or None
        CPUs of the machine.
    caches : tuple of dict or None
        `level`, `type`, `size`, `ways`, `line_bytes`, `shared_cpus` of the first CPU's caches.
    virtualization : dict or None
        Hypervisor, vendor and product, clock source, and those to choose from.
    cpu_governors : tuple of str or None
        Of the clock frequency.
    turbo : bool or None
        Whether the clock may rise above its nominal frequency.
    cpu_frequency, cpu_idle : dict or None
        Limits of the clock and its driver; driver and governor of idle CPUs.
    mitigations : dict or None
        What the kernel does about each weakness of the CPU.
    smt_control, smt_active
        `on`, `off`, `forceoff`, `notsupported`; whether cores run several threads.
    page_bytes : int or None
        Base page [bytes].
    thp_enabled, thp_defrag, thp_shmem : str or None
        Transparent huge pages.
    numa_balancing : int or None
        Automatic NUMA balancing.
    demotion_enabled : bool or None
        Whether reclaim moves pages to slower nodes.
    weighted_interleave : dict or None
        The kernel's weights, by the name of the file.
    zone_reclaim_mode, max_map_count, overcommit_memory : int or None
        Settings of `vm`.
    memory_total_bytes, swap_total_bytes : int or None
        Of the machine [bytes].
    memory_devices : MemoryDevices or None
        By the firmware's tables.
    firmware : dict or None
        Maker, version and date of the firmware, and the board's.
    hybridmem : dict or None
        The kernel module's `version` and `srcversion`; None: it was not loaded.
    cgroup : dict or None
        Limits that the run was under.
    load_average : tuple of float or None
        Before the run.
    glibc, python : str or None
        Versions.
    packages : dict of str to str
        Version of hmexp and of what it stands on.
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
    load_average: tuple[float, ...] | None = None
    glibc: str | None = None
    python: str | None = None
    packages: dict[str, str | None] | None = None
    checkout: Checkout | None = None
