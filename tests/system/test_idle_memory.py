"""Memory that is there but not usable, found in trees of machines that have some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmexp.system.dax import NodeKind
from hmexp.system.idle_memory import read_idle_memory

GIB = 1 << 30
NVM = "devices/LNXSYSTM:00/ACPI0012:00/ndbus0/region0/dax0.0"
CXL = "devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def add_dax(sys: Path, where: str, driver: str | None, node: int, size_bytes: int = 16 * GIB) -> Path:
    device = sys / where
    write(device / "size", str(size_bytes))
    write(device / "target_node", str(node))
    if driver is not None:
        link(device / "driver", sys / "bus/dax/drivers" / driver)
    link(sys / "bus/dax/devices" / device.name, device)
    return device


def add_blocks(sys: Path, node: int, first: int, states: list[str]) -> None:
    write(sys / "devices/system/memory/block_size_bytes", "8000000")
    for number, state in enumerate(states, first):
        write(sys / f"devices/system/node/node{node}/memory{number}/state", state)


def devdax(sys: Path) -> None:
    add_dax(sys, NVM, "device_dax", 1)


def without_driver(sys: Path) -> None:
    add_dax(sys, NVM, None, 1)


def all_offline(sys: Path) -> None:
    add_dax(sys, CXL, "kmem", 1)
    write(sys / "devices/system/node/node1/meminfo", "Node 1 MemTotal:               0 kB")


def partly_offline(sys: Path) -> None:
    add_dax(sys, CXL, "kmem", 1)
    add_blocks(sys, 1, 32, ["online", "offline", "offline", "online"])


def blocks_alone(sys: Path) -> None:
    add_blocks(sys, 0, 8, ["online", "offline", "offline"])


def disk(sys: Path) -> None:
    write(sys / "bus/nd/devices/namespace0.0/mode", "memory")
    write(sys / "bus/nd/devices/namespace0.0/size", str(4 * GIB))


def free_region(sys: Path) -> None:
    write(sys / "bus/nd/devices/region3/available_size", str(4 * GIB))


def cxl_without_region(sys: Path) -> None:
    write(sys / "bus/cxl/devices/mem0/ram/size", hex(8 * GIB))
    write(sys / "bus/cxl/devices/decoder0.1/cap_volatile_ram", "1")


def cxl_without_driver(sys: Path) -> None:
    write(sys / "bus/pci/devices/0000:0d:00.0/class", "0x050210")


RECONFIGURE = "daxctl reconfigure-device --mode=system-ram dax0.0"
SHAPES: list[tuple[Callable[[Path], None], NodeKind, str, tuple[str, ...]]] = [
    (devdax, NodeKind.NVM, "dax0.0 (nvm, 16GiB) is in devdax mode, not system memory", (RECONFIGURE,)),
    (
        without_driver,
        NodeKind.NVM,
        "dax0.0 (nvm, 16GiB) has no driver",
        ("modprobe device_dax", "modprobe kmem", RECONFIGURE),
    ),
    (
        all_offline,
        NodeKind.CXL,
        "dax0.0 (cxl, 16GiB) is memory of node 1, none of it online",
        ("daxctl online-memory dax0.0",),
    ),
    (
        partly_offline,
        NodeKind.CXL,
        "dax0.0 (cxl, 256MiB) is memory of node 1, 2 of 4 blocks of it online",
        ("daxctl online-memory dax0.0",),
    ),
    (
        blocks_alone,
        NodeKind.UNKNOWN,
        "memory blocks (unknown, 256MiB) of node 0 are offline: memory9 to memory10, 2 in all",
        ("chmem --enable --blocks 9-10",),
    ),
    (disk, NodeKind.NVM, "namespace0.0 (nvm, 4GiB) is a disk in fsdax mode and may hold data", ()),
    (
        free_region,
        NodeKind.NVM,
        "region3 (nvm, 4GiB) has room that no namespace takes",
        (
            "ndctl create-namespace --mode=devdax --region=region3",
            "daxctl reconfigure-device --mode=system-ram --region=3 all",
        ),
    ),
    (
        cxl_without_region,
        NodeKind.CXL,
        "mem0 (cxl, 8GiB) is in no region",
        ("cxl create-region -m -t ram -d decoder0.1 -w 1 mem0", "daxctl online-memory all"),
    ),
    (
        cxl_without_driver,
        NodeKind.CXL,
        "0000:0d:00.0 (cxl) is a CXL memory device without a driver",
        ("modprobe cxl_pci", "modprobe cxl_mem", "modprobe cxl_acpi"),
    ),
]


@pytest.mark.parametrize(
    ("shape", "kind", "finding", "commands"), SHAPES, ids=lambda v: getattr(v, "__name__", None)
)
def test_it_is_found_with_its_command(
    shape: Callable[[Path], None], kind: NodeKind, finding: str, commands: tuple[str, ...], tmp_path: Path
) -> None:
    shape(tmp_path)
    [memory] = read_idle_memory(tmp_path)
    assert memory.kind is kind
    assert memory.finding.startswith(finding)
    assert memory.commands == commands
    assert all(command in memory.note for command in commands)
    known = any(command.startswith(("ndctl ", "daxctl ", "cxl ")) for command in commands)
    assert ("hmexp provision" in memory.note) is known
    assert "hmexp provision" not in memory.finding


def test_what_is_in_use_is_not_idle(tmp_path: Path) -> None:
    add_dax(tmp_path, NVM, "kmem", 1)
    add_blocks(tmp_path, 1, 32, ["online"] * 4)
    # A seed, from which daxctl makes devices.
    add_dax(tmp_path, NVM.replace("0.0", "0.1"), "device_dax", 1, 0)
    assert read_idle_memory(tmp_path) == ()
    assert read_idle_memory(tmp_path / "nowhere") == ()


@given(
    shape=st.sampled_from([shape for shape, *_ in SHAPES]),
    text=st.binary(max_size=24),
    way=st.sampled_from(["garbage", "missing", "folder", "loop"]),
    data=st.data(),
)
def test_damage_never_crashes(
    shape: Callable[[Path], None],
    text: bytes,
    way: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sys = tmp_path_factory.mktemp("sys")
    shape(sys)
    damaged = data.draw(
        st.sampled_from(sorted(path for path in sys.rglob("*") if path.is_file() or path.is_symlink()))
    )
    damaged.unlink()
    if way == "garbage":
        damaged.write_bytes(text)
    elif way == "folder":
        damaged.mkdir()
    elif way == "loop":
        damaged.symlink_to(damaged.name)
    for memory in read_idle_memory(sys):
        assert memory.note
