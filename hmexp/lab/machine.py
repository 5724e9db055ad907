"""From a topology to the arguments of QEMU. Pure: nothing here touches the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmexp.lab.guest_node import ABSENT, BLOCK_BYTES, CXL, DRAM, NVM, GuestTopology
from hmexp.units import GIB, MIB

LABEL_BYTES = 2 * MIB
KVM = "kvm"
TCG = "tcg"


@dataclass(frozen=True)
class Share:
    """A directory of the host that the guest can mount.

    Parameters
    ----------
    tag : str
        What the guest calls it.
    path : Path
        Where it is on the host.
    writable : bool
        Whether what the guest writes reaches the host.
    """

    tag: str
    path: Path
    writable: bool = False


def backing_bytes(size_bytes: int) -> int:
    """Say how large an NVDIMM must be to offer so much memory.

    Its label area is lost, and the first block: the page descriptors of the device lie there.
    """
    return size_bytes + BLOCK_BYTES + LABEL_BYTES


def quoted(path: Path) -> str:
    """Write a path as a value of a QEMU option, where a comma must be doubled."""
    return str(path).replace(",", ",,")


def machine_arguments(topology: GuestTopology, accelerator: str) -> list[str]:
    """Give QEMU's arguments for the processors, the memory and the nodes.

    Parameters
    ----------
    topology : GuestTopology
    accelerator : str
        ``kvm`` or ``tcg``.
    """
    nvdimms, cxl = topology.of_kind(NVM), topology.of_kind(CXL)
    machine = "q35" + (",nvdimm=on" if nvdimms else "") + (",hmat=on" if topology.has_speeds else "")
    for node in cxl:
        machine += f",cxl=on,cxl-fmw.0.targets.0=cxl{node.id},cxl-fmw.0.size={node.size_bytes // MIB}M"
    # Several threads of software emulation panicked once in 75 boots with QEMU 7.2, and cost twice the time.
    speed = ["kvm", "host"] if accelerator == KVM else ["tcg,thread=single", "max"]
    if cxl:
        # In a machine that calls itself virtual the kernel does not trust itself to flush the caches, which
        # it must before a region of CXL memory is used.
        speed[1] += ",-hypervisor"
    memory_bytes = sum(node.size_bytes for node in topology.of_kind(DRAM))
    memory = f"{memory_bytes // MIB}M"
    if nvdimms:
        # Each NVDIMM is aligned to 1 GiB; the slack covers that.
        spread = sum((backing_bytes(node.size_bytes) // GIB + 2) * GIB for node in nvdimms)
        memory += f",slots={len(nvdimms)},maxmem={(memory_bytes + spread) // MIB}M"
    possible_cpus = topology.cpus + sum(node.cpus for node in topology.of_kind(ABSENT))
    return [
        "-machine", machine, "-accel", speed[0], "-cpu", speed[1], "-m", memory,
        "-smp", f"cpus={topology.cpus},maxcpus={possible_cpus},sockets={possible_cpus},cores=1,threads=1",
        *_nodes(topology), *_cpus(topology), *_distances(topology), *_nvdimms(topology), *_cxl(topology),
        *_speeds(topology),
    ]  # fmt: skip


def _nodes(topology: GuestTopology) -> Iterator[str]:
    for node in topology.firmware_nodes:
        # The firmware measures a target from an initiator: node 0 always has CPUs.
        claimed = node.initiator if node.initiator is not None else node.id if node.cpus else 0
        initiator = f",initiator={claimed}" if topology.has_speeds else ""
        if node.kind == DRAM:
            yield from ("-object", f"memory-backend-ram,id=m{node.id},size={node.size_bytes // MIB}M")
            yield from ("-numa", f"node,nodeid={node.id},memdev=m{node.id}{initiator}")
        else:
            yield from ("-numa", f"node,nodeid={node.id}{initiator}")


def _cpus(topology: GuestTopology) -> Iterator[str]:
    # The CPUs that never start must be the last sockets; they alone make an absent node known.
    running = [node.id for node in topology.nodes if node.kind != ABSENT for _ in range(node.cpus)]
    absent = [node.id for node in topology.of_kind(ABSENT) for _ in range(node.cpus)]
    for socket, node in enumerate(running + absent):
        yield from ("-numa", f"cpu,node-id={node},socket-id={socket}")


def _distances(topology: GuestTopology) -> Iterator[str]:
    for source, row in enumerate(topology.distances):
        for target, value in enumerate(row):
            if source != target:
                yield from ("-numa", f"dist,src={source},dst={target},val={value}")


def _nvdimms(topology: GuestTopology) -> Iterator[str]:
    # QEMU describes the last one first, and the kernel numbers nodes as they are described.
    for node in reversed(topology.of_kind(NVM)):
        size_mib = backing_bytes(node.size_bytes) // MIB
        yield from ("-object", f"memory-backend-ram,id=nv{node.id},size={size_mib}M")
        yield from ("-device", f"nvdimm,id=nvdimm{node.id},memdev=nv{node.id},node={node.id},label-size=2M")


def _cxl(topology: GuestTopology) -> Iterator[str]:
    # A host bridge, its root port, and the memory device behind it; the window above leads to the bridge.
    for node in topology.of_kind(CXL):
        yield from ("-object", f"memory-backend-ram,id=cm{node.id},size={node.size_bytes // MIB}M")
        yield from ("-device", f"pxb-cxl,bus=pcie.0,bus_nr=64,id=cxl{node.id}")
        yield from ("-device", f"cxl-rp,bus=cxl{node.id},id=port{node.id},chassis=0,slot=2,port=0")
        yield from ("-device", f"cxl-type3,bus=port{node.id},volatile-memdev=cm{node.id},id=mem{node.id}")


def _speeds(topology: GuestTopology) -> Iterator[str]:
    initiators = [node.id for node in topology.nodes if node.cpus]
    for source in initiators:
        for node in topology.nodes:
            if node.speed is None or not node.size_bytes:
                continue
            entry = f"hmat-lb,initiator={source},target={node.id},hierarchy=memory,data-type="
            yield from ("-numa", f"{entry}read-latency,latency={node.speed.read_latency_ns}")
            yield from ("-numa", f"{entry}write-latency,latency={node.speed.write_latency_ns}")
            yield from ("-numa", f"{entry}read-bandwidth,bandwidth={node.speed.read_bandwidth_mibps}M")
            yield from ("-numa", f"{entry}write-bandwidth,bandwidth={node.speed.write_bandwidth_mibps}M")


def share_arguments(shares: Sequence[Share]) -> list[str]:
    """Give QEMU's arguments for the directories that the guest mounts."""
    words = []
    for share in shares:
        # multidevs: files of the host's other file systems must not look like the same file.
        access = "" if share.writable else ",readonly=on"
        words += [
            "-fsdev",
            f"local,id={share.tag},path={quoted(share.path)},security_model=none,multidevs=remap{access}",
        ]
        words += ["-device", f"virtio-9p-pci,bus=pcie.0,fsdev={share.tag},mount_tag={share.tag}"]
    return words


def kernel_command_line(topology: GuestTopology, extra: str = "") -> str:
    """Give the kernel's parameters. A panic or an oops ends the guest at once."""
    words = ["console=ttyS0", "rdinit=/init", "panic=-1", "oops=panic", "loglevel=5"]
    if topology.of_kind(ABSENT):
        # The kernel must not make room for CPUs that could come: it would bring their node online.
        words.append(f"nr_cpus={topology.cpus}")
    return " ".join([*words, *extra.split()])


def online_request(topology: GuestTopology) -> str:
    """Say, for the guest's script, which NVDIMM nodes to bring online: ``1:movable 2:kernel``."""
    return _wishes(topology, NVM)


def cxl_request(topology: GuestTopology) -> str:
    """Say, for the guest's script, what to do with a CXL device.

    Returns
    -------
    str
        ``2:movable`` to bring it online as that node; ``raw`` to load its drivers and no more; empty where
        there is none.
    """
    return _wishes(topology, CXL) or ("raw" if topology.of_kind(CXL) else "")


def _wishes(topology: GuestTopology, kind: str) -> str:
    wanted = [node for node in topology.of_kind(kind) if node.online]
    return " ".join(f"{node.id}:{'movable' if node.movable else 'kernel'}" for node in wanted)
