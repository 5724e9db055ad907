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


def write_capture(machine: str | Machine, folder: Path) -> tuple[Path, Path]:
    """Write the tree of a machine, and return the roots of its `/sys` and `/proc`."""
    if isinstance(machine, str):
        machine = MACHINES[machine]
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
