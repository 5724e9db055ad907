"""Machines as trees of `/sys` and `/proc`, written from a short description.

`write_capture("optane", folder)` makes `folder/sys` and `folder/proc` with just the files that
hmexp reads, in the shape that the kernel gives them (symbolic links included). Shapes follow the
kernel's documents and listings of real machines; a tree is written rather than stored, so that the
repository holds no thousand small files and a test can change one number of a machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GIB_KB = 1 << 20

OPTANE_DAX = "devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region{0}/dax{0}.0/dax{0}.0"
CXL_DAX = "devices/platform/ACPI0017:00/root0/decoder0.0/region{0}/dax_region{0}/dax{0}.0"
CXL_PMEM_DAX = "devices/platform/ACPI0017:00/root0/nvdimm-bridge0/ndbus1/region{0}/dax{0}.0/dax{0}.0"
HMEM_DAX = "devices/platform/hmem.{0}/dax{0}.0"


@dataclass(frozen=True)
class CapturedNode:
    """One node. `distance` is the text of its file, None for no such file; so is `meminfo`."""

    id: int
    cpus: str = ""
    total_kb: int = 16 * GIB_KB
    free_kb: int = 12 * GIB_KB
    inactive_file_kb: int = 1 * GIB_KB
    distance: str | None = "10"
    hmat: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class CapturedDax:
    """One DAX device: its number, its real path below /sys, its node, its driver."""

    number: int
    path: str
    target_node: int
    driver: str | None = "kmem"
    size_bytes: int | None = None


@dataclass(frozen=True)
class Machine:
    """One machine. Siblings are the texts of thread_siblings_list."""

    nodes: Sequence[CapturedNode]
    dax: Sequence[CapturedDax] = ()
    online: str | None = None
    possible: str = "0-3"
    total_kb: int | None = None
    available_kb: int | None = None
    siblings: Mapping[int, str] = field(default_factory=dict)
    #: Other files by their path below the folder, such as ``sys/...``; a text that begins with ``-> `` is a
    #: link to that path below the folder.
    files: Mapping[str, str] = field(default_factory=dict)


def _hmat(read_ns: int, write_ns: int, read_mbps: int, write_mbps: int) -> dict[str, int]:
    return {
        "read_latency": read_ns,
        "write_latency": write_ns,
        "read_bandwidth": read_mbps,
        "write_bandwidth": write_mbps,
    }


MACHINES: Mapping[str, Machine] = {
    "one-node": Machine([CapturedNode(0, "0-1")], possible="0", total_kb=16 * GIB_KB + 500),
    # The node's figure grows while memory is initialised; the machine's is right from the start.
    "late-memory": Machine(
        [CapturedNode(0, "0-1", total_kb=3_600_000, free_kb=3_400_000, inactive_file_kb=10_000)],
        possible="0",
        total_kb=24_684_084,
        available_kb=24_415_444,
    ),
    "two-sockets": Machine(
        [CapturedNode(0, "0-3,8-11", distance="10 21"), CapturedNode(1, "4-7,12-15", distance="21 10")],
        siblings={cpu: f"{cpu % 8},{cpu % 8 + 8}" for cpu in range(16)},
    ),
    "optane": Machine(
        [
            CapturedNode(0, "0-3", distance="10 21 17 28"),
            CapturedNode(1, "4-7", distance="21 10 28 17"),
            CapturedNode(2, total_kb=126 * GIB_KB, free_kb=125 * GIB_KB, distance="17 28 10 28"),
            CapturedNode(3, total_kb=126 * GIB_KB, free_kb=125 * GIB_KB, distance="28 17 28 10"),
        ],
        dax=[CapturedDax(0, OPTANE_DAX, 2), CapturedDax(1, OPTANE_DAX, 3)],
    ),
    "cxl": Machine(
        [CapturedNode(0, "0-7", distance="10 14"), CapturedNode(1, distance="14 10")],
        dax=[CapturedDax(0, CXL_DAX, 1)],
    ),
    "cxl-pmem": Machine(
        [CapturedNode(0, "0-7", distance="10 24"), CapturedNode(1, distance="24 10")],
        dax=[CapturedDax(0, CXL_PMEM_DAX, 1)],
    ),
    "sparse": Machine(
        [CapturedNode(0, "0-3", distance="10 40"), CapturedNode(2, distance="40 10")],
        online="0,2",
        possible="0-7",
        dax=[CapturedDax(0, OPTANE_DAX, 2)],
    ),
    "memory-less": Machine(
        [
            CapturedNode(0, "0-3", total_kb=0, free_kb=0, inactive_file_kb=0, distance="10 20"),
            CapturedNode(1, "4-7", distance="20 10"),
        ],
        total_kb=16 * GIB_KB,
    ),
    "cpu-less": Machine([CapturedNode(0, "0-3", distance="10 20"), CapturedNode(1, distance="20 10")]),
    # Memory that the firmware set aside (hmem): HBM by its speed, but nothing says so.
    "hmem": Machine(
        [
            CapturedNode(0, "0-3", distance="10 20", hmat={"access0": _hmat(90, 95, 120_000, 100_000)}),
            CapturedNode(1, distance="20 10", hmat={"access0": _hmat(130, 130, 400_000, 390_000)}),
        ],
        dax=[CapturedDax(0, HMEM_DAX, 1)],
    ),
    "hmat": Machine(
        [
            CapturedNode(0, "0-3", distance="10 17", hmat={"access0": _hmat(76, 78, 131_072, 100_500)}),
            # Firmware that fills access1 alone, and says 0 for a figure it does not know.
            CapturedNode(1, distance="17 10", hmat={"access0": {}, "access1": _hmat(200, 0, 30_000, 7_500)}),
        ],
        dax=[CapturedDax(0, OPTANE_DAX, 1)],
    ),
}

# Shapes with memory of many kinds. Each says in `kinds` what its nodes are, and in `ratio` what a ratio takes
# when all CPUs may be used.
NODE = "sys/devices/system/node/"
SIDE_CACHE = NODE + "node{0}/memory_side_cache/index1/size"
TIER = "sys/devices/virtual/memory_tiering/memory_tier{0}/nodelist"
BLOCKS = "sys/devices/system/memory/block_size_bytes"
ABSENT = {"total_kb": 0, "free_kb": 0, "inactive_file_kb": 0}


def _initiators(node: int, *cpu_nodes: int, access: str = "access1") -> dict[str, str]:
    return {
        f"{NODE}node{node}/{access}/initiators/node{other}": f"-> {NODE}node{other}" for other in cpu_nodes
    }


def _blocks(node: int, first: int, count: int) -> dict[str, str]:
    return {f"{NODE}node{node}/memory{number}/state": "online" for number in range(first, first + count)}


def _cpuinfo(**fields: str) -> dict[str, str]:
    names = {name: name if name == "vendor_id" else name.replace("_", " ") for name in fields}
    return {"proc/cpuinfo": "\n".join(f"{names[name]}\t: {value}" for name, value in fields.items())}


@dataclass(frozen=True)
class Known:
    """A machine, what its nodes are, and the nodes of a ratio."""

    machine: Machine
    kinds: Mapping[int, str]
    ratio: tuple[int, ...]


def _flat_max(*, hmat: bool) -> Machine:
    dram, hbm = _hmat(105, 105, 76_000, 70_000), _hmat(125, 125, 230_000, 200_000)
    return Machine(
        [
            CapturedNode(0, "0-3", distance="10 21 13 23", hmat={"access1": dram} if hmat else {}),
            CapturedNode(1, "4-7", distance="21 10 23 13", hmat={"access1": dram} if hmat else {}),
            CapturedNode(2, distance="13 23 10 23", hmat={"access1": hbm} if hmat else {}),
            CapturedNode(3, distance="23 13 23 10", hmat={"access1": hbm} if hmat else {}),
        ],
        files=_cpuinfo(
            vendor_id="GenuineIntel", cpu_family="6", model="143", model_name="Intel(R) Xeon(R) CPU Max 9460"
        ),
    )


PHI: Mapping[str, str] = _cpuinfo(
    vendor_id="GenuineIntel", cpu_family="6", model="87", model_name="Intel(R) Xeon Phi(TM) CPU 7210"
)
KNOWN: Mapping[str, Known] = {
    "xeon-max-flat": Known(_flat_max(hmat=True), {0: "dram", 1: "dram", 2: "hbm", 3: "hbm"}, (0,)),
    "xeon-max-without-hmat": Known(_flat_max(hmat=False), {0: "dram", 1: "dram", 2: "hbm", 3: "hbm"}, (0,)),
    "xeon-phi-flat": Known(
        Machine([CapturedNode(0, "0-3", distance="10 31"), CapturedNode(1, distance="31 10")], files=PHI),
        {0: "dram", 1: "hbm"},
        (0,),
    ),
    "xeon-phi-cache": Known(Machine([CapturedNode(0, "0-3")], files=PHI), {0: "dram"}, (0,)),
    # Half of the MCDRAM is a cache, which the firmware tells of in its HMAT; half is a node.
    "xeon-phi-hybrid": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 31"), CapturedNode(1, distance="31 10")],
            files={**PHI, SIDE_CACHE.format(0): str(8 << 30)},
        ),
        {0: "dram", 1: "hbm"},
        (0,),
    ),
    "a64fx": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 20"), CapturedNode(1, "4-7", distance="20 10")],
            files={"sys/devices/system/cpu/cpu0/regs/identification/midr_el1": "0x00000000461f0010"},
        ),
        {0: "hbm", 1: "hbm"},
        (0,),
    ),
    "mi300a": Known(
        Machine([CapturedNode(0, "0-3")], files=_cpuinfo(model_name="AMD Instinct MI300A Accelerator")),
        {0: "hbm"},
        (0,),
    ),
    "memory-mode": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 21"), CapturedNode(1, "4-7", distance="21 10")],
            files={SIDE_CACHE.format(node): str(96 << 30) for node in (0, 1)},
        ),
        {0: "dram", 1: "dram"},
        (0,),
    ),
    # Two GPUs whose driver names their nodes, one that is offline, and one that says rubbish.
    "power9": Known(
        Machine(
            [
                CapturedNode(0, "0-3", distance="10 40 80 80"),
                CapturedNode(8, "8-11", distance="40 10 80 80"),
                CapturedNode(254, distance="80 80 10 80"),
                CapturedNode(255, distance="80 80 80 10"),
            ],
            files={
                "proc/driver/nvidia/gpus/0004:04:00.0/numa_status": "Node:      255\nStatus:    online",
                "proc/driver/nvidia/gpus/0004:05:00.0/numa_status": "Node:      254\nStatus:    online",
                "proc/driver/nvidia/gpus/0004:06:00.0/numa_status": "Node:      -1\nStatus:    offline",
                "proc/driver/nvidia/gpus/0035:03:00.0/numa_status": "\0\1 no such thing",
            },
        ),
        {0: "dram", 8: "dram", 254: "gpu", 255: "gpu"},
        (0,),
    ),
    # A superchip in a container that hides the driver's files: the GPU stands on the node.
    "superchip": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 80"), CapturedNode(1, distance="80 10")],
            files={
                "sys/bus/pci/devices/0009:01:00.0/class": "0x030200",
                "sys/bus/pci/devices/0009:01:00.0/numa_node": "1",
                "sys/bus/pci/devices/0000:00:02.0/class": "0x030000",
                "sys/bus/pci/devices/0000:00:02.0/numa_node": "0",
            },
        ),
        {0: "dram", 1: "gpu"},
        (0,),
    ),
    # access0 is a device without CPUs, far nearer to the NVM than any CPU.
    "generic-initiator": Known(
        Machine(
            [
                CapturedNode(0, "0-3", distance="10 17 11", hmat={"access1": _hmat(80, 80, 100_000, 90_000)}),
                CapturedNode(
                    1,
                    distance="17 10 12",
                    hmat={
                        "access0": _hmat(7, 7, 500_000, 500_000),
                        "access1": _hmat(240, 260, 28_000, 9_000),
                    },
                ),
                CapturedNode(2, distance="11 12 10", **ABSENT),
            ],
            dax=[CapturedDax(0, OPTANE_DAX, 1)],
            files=_initiators(1, 2, access="access0") | _initiators(1, 0) | _initiators(0, 0),
        ),
        {0: "dram", 1: "nvm", 2: "unknown"},
        (0, 1),
    ),
    # CPUs and memory on different nodes; two sockets, NVM near each.
    "memory-beside-cpus": Known(
        Machine(
            [
                CapturedNode(0, "0-3", distance="10 20 11 21 17 28", **ABSENT),
                CapturedNode(1, "4-7", distance="20 10 21 11 28 17", **ABSENT),
                CapturedNode(2, distance="11 21 10 21 17 28"),
                CapturedNode(3, distance="21 11 21 10 28 17"),
                CapturedNode(4, distance="17 28 17 28 10 28"),
                CapturedNode(5, distance="28 17 28 17 28 10"),
            ],
            dax=[CapturedDax(0, OPTANE_DAX, 4), CapturedDax(1, OPTANE_DAX, 5)],
        ),
        {0: "unknown", 1: "unknown", 2: "dram", 3: "dram", 4: "nvm", 5: "nvm"},
        (2, 4),
    ),
    # The same in a virtual machine where the firmware alone knows what is slow.
    "slow-by-hmat-alone": Known(
        Machine(
            [
                CapturedNode(0, "0-3", distance="10 20 20", **ABSENT),
                CapturedNode(1, distance="20 10 20", hmat={"access1": _hmat(300, 300, 20_000, 8_000)}),
                CapturedNode(2, distance="20 20 10", hmat={"access1": _hmat(90, 90, 100_000, 90_000)}),
            ]
        ),
        {0: "unknown", 1: "unknown", 2: "dram"},
        (2, 1),
    ),
    # And where nothing knows: all of it is DRAM.
    "nothing-is-slow": Known(
        Machine(
            [
                CapturedNode(0, "0-3", distance="10 20 20", **ABSENT),
                CapturedNode(1, distance="20 10 20"),
                CapturedNode(2, distance="20 20 10"),
            ]
        ),
        {0: "unknown", 1: "dram", 2: "dram"},
        (1,),
    ),
    "slow-tier": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 20"), CapturedNode(1, distance="20 10")],
            files={TIER.format(4): "0", TIER.format(22): "1"},
        ),
        {0: "dram", 1: "unknown"},
        (0, 1),
    ),
    "fast-tier": Known(
        Machine(
            [
                CapturedNode(0, "0-3", distance="10 20 20"),
                CapturedNode(1, distance="20 10 20"),
                CapturedNode(2, distance="20 20 10"),
            ],
            files={TIER.format(4): "0", TIER.format(2): "1", TIER.format(5): "2", TIER.format(9): "x"},
        ),
        {0: "dram", 1: "hbm", 2: "unknown"},
        (0, 2),
    ),
    # CXL memory that the firmware made ordinary memory: no dax device, but its addresses tell.
    "cxl-by-firmware": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 14"), CapturedNode(1, distance="14 10")],
            files={
                BLOCKS: "80000000",
                **_blocks(0, 0, 8),
                **_blocks(1, 8, 8),
                "proc/iomem": "00100000-3ffffffff : System RAM\n400000000-7ffffffff : CXL Window 0\n"
                "  400000000-7ffffffff : System RAM",
            },
        ),
        {0: "dram", 1: "cxl"},
        (0, 1),
    ),
    # The same by a region that the CXL driver shows, here of persistent memory.
    "cxl-region": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 14"), CapturedNode(1, distance="14 10")],
            files={
                BLOCKS: "80000000",
                **_blocks(0, 0, 8),
                **_blocks(1, 8, 8),
                "sys/bus/cxl/devices/region0/resource": "0x400000000",
                "sys/bus/cxl/devices/region0/size": "0x400000000",
                "sys/bus/cxl/devices/region0/mode": "pmem",
                "sys/bus/cxl/devices/decoder0.0/start": "0x400000000",
                "sys/bus/cxl/devices/decoder0.0/size": "0x800000000",
            },
        ),
        {0: "dram", 1: "nvm"},
        (0, 1),
    ),
    # Memory that the firmware set aside, of which it says nothing else.
    "soft-reserved": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 20"), CapturedNode(1, distance="20 10")],
            files={
                BLOCKS: "80000000",
                **_blocks(0, 0, 8),
                **_blocks(1, 8, 8),
                "proc/iomem": "400000000-7ffffffff : Soft Reserved",
            },
        ),
        {0: "dram", 1: "unknown"},
        (0, 1),
    ),
    # All of a node with CPUs is lent, and faster than the DRAM beside it; NVM comes before the unknown.
    "hbm-nvm-unknown": Known(
        Machine(
            [
                CapturedNode(
                    0, "0-1", distance="10 20 20 20 20", hmat={"access1": _hmat(90, 90, 1000, 1000)}
                ),
                CapturedNode(
                    1, "2-3", distance="20 10 20 20 20", hmat={"access1": _hmat(90, 90, 9000, 9000)}
                ),
                CapturedNode(2, distance="20 20 10 20 20"),
                CapturedNode(3, distance="20 20 20 10 20", hmat={"access1": _hmat(90, 90, 9000, 9000)}),
                CapturedNode(7, distance="20 20 20 20 10"),
            ],
            dax=[
                CapturedDax(1, HMEM_DAX, 1, size_bytes=16 << 30),
                CapturedDax(2, HMEM_DAX, 3, size_bytes=16 << 30),
                CapturedDax(3, OPTANE_DAX, 7, size_bytes=16 << 30),
            ],
        ),
        {0: "dram", 1: "hbm", 2: "unknown", 3: "hbm", 7: "nvm"},
        (0, 7),
    ),
    # A fake NVDIMM of the kernel's command line (memmap=), whose driver is found from the driver's side.
    "fake-nvdimm": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 20"), CapturedNode(1, distance="20 10")],
            dax=[
                CapturedDax(0, "devices/platform/e820_pmem/ndbus0/region0/dax{0}.0/dax{0}.0", 1, driver=None)
            ],
            files={
                "sys/bus/dax/drivers/kmem/dax0.0": "-> sys/bus/dax/devices/dax0.0",
            },
        ),
        {0: "dram", 1: "nvm"},
        (0, 1),
    ),
    "lent-in-part": Known(
        Machine(
            [CapturedNode(0, "0-3", distance="10 20"), CapturedNode(1, distance="20 10")],
            dax=[CapturedDax(0, CXL_DAX, 1, size_bytes=4 << 30)],
        ),
        {0: "dram", 1: "unknown"},
        (0, 1),
    ),
}


def write_capture(machine: str | Machine, folder: Path) -> tuple[Path, Path]:
    """Write the tree of a machine, and return the roots of its `/sys` and `/proc`."""
    if isinstance(machine, str):
        machine = KNOWN[machine].machine if machine in KNOWN else MACHINES[machine]
    sys_root, proc_root = folder / "sys", folder / "proc"
    node_folder = sys_root / "devices" / "system" / "node"
    ids = ",".join(str(node.id) for node in machine.nodes)
    _write(node_folder / "online", machine.online or ids)
    _write(node_folder / "possible", machine.possible)
    for node in machine.nodes:
        _write_node(node_folder / f"node{node.id}", node)
    for dax in machine.dax:
        _write_dax(sys_root, dax)
    for cpu, siblings in machine.siblings.items():
        _write(sys_root / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings)
    total_kb = machine.total_kb or sum(node.total_kb for node in machine.nodes)
    free_kb = sum(node.free_kb for node in machine.nodes)
    _write(
        proc_root / "meminfo",
        f"MemTotal:       {total_kb} kB\n"
        f"MemFree:        {free_kb} kB\n"
        f"MemAvailable:   {machine.available_kb or free_kb} kB\n"
        "SwapTotal:             0 kB\nHugePages_Total:       0",
    )
    for path, text in machine.files.items():
        if text.startswith("-> "):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(folder / text.removeprefix("-> "))
        else:
            _write(folder / path, text)
    return sys_root, proc_root


def _write_node(folder: Path, node: CapturedNode) -> None:
    _write(folder / "cpulist", node.cpus)
    if node.distance is not None:
        _write(folder / "distance", node.distance)
    amounts = {"MemTotal": node.total_kb, "MemFree": node.free_kb, "Inactive(file)": node.inactive_file_kb}
    lines = [f"Node {node.id} {name}: {amount:15} kB" for name, amount in amounts.items()]
    _write(folder / "meminfo", "\n".join([*lines, f"Node {node.id} HugePages_Total:     0"]))
    for access, figures in node.hmat.items():
        (folder / access / "initiators").mkdir(parents=True)
        for name, value in figures.items():
            _write(folder / access / "initiators" / name, str(value))


def _write_dax(sys_root: Path, dax: CapturedDax) -> None:
    name = f"dax{dax.number}.0"
    real = sys_root / dax.path.format(dax.number)
    _write(real / "target_node", str(dax.target_node))
    if dax.size_bytes is not None:
        _write(real / "size", str(dax.size_bytes))
    link = sys_root / "bus" / "dax" / "devices" / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(real)
    if dax.driver is not None:
        driver = sys_root / "bus" / "dax" / "drivers" / dax.driver
        driver.mkdir(parents=True, exist_ok=True)
        (real / "driver").symlink_to(driver)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
