"""A slow node in the lab: a plugin of the emulator that delays accesses to a node's physical memory."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from hmexp.errors import UnitError
from hmexp.lab.cache import built_once, cache_directory
from hmexp.lab.errors import LabError, LabNeedError
from hmexp.lab.guest_node import DRAM, NVM, GuestTopology
from hmexp.lab.machine import TCG, backing_bytes, quoted
from hmexp.units import GIB, parse_size

#: Longest delay of an access [ns]: beyond it a guest does not boot in any time.
MOST_NS: Final = 1_000_000
LINE_BYTES: Final = 64
#: Lines of the cache model, unless another size is asked for.
CACHE_BYTES: Final = 2 << 20
MOST_CACHE_BYTES: Final = 1 << 30
_REQUEST: Final = re.compile(r"(\d{1,3}):(.+)", re.ASCII)
_FOUR_GIB: Final = 4 * GIB
#: Memory below 4 GiB of QEMU's q35: less if there is more in all, so that 2 GiB stay for devices.
_LOW_BYTES: Final = 0xB0000000
_LOW_BYTES_OF_MANY: Final = 0x80000000
_SOURCE: Final = "slow_node.c"
#: What tells programs in the guest, for their labels, that a node is slowed.
SLOW_NODE: Final = "HMEXP_LAB_SLOW_NODE"
_EXAMPLE: Final = "write for example 2:read=600,write=1200"


@dataclass(frozen=True)
class SlowNode:
    """A node whose accesses are delayed.

    Parameters
    ----------
    node : int
        Its number in the topology.
    read_ns, write_ns : int
        Delay of an access that misses the cache model [ns].
    cache_bytes : int
        Size of the cache model, which all CPUs share; 0 for none [bytes].
    """

    node: int
    read_ns: int
    write_ns: int
    cache_bytes: int = CACHE_BYTES

    def __str__(self) -> str:
        return f"{self.node}:read={self.read_ns},write={self.write_ns},cache={self.cache_bytes}"

    @classmethod
    def parse(cls, text: str) -> SlowNode:
        """Read ``NODE:read=NS,write=NS[,cache=SIZE]``.

        Raises
        ------
        LabError
            Naming what cannot be read.
        """
        match = _REQUEST.fullmatch(text.strip())
        if match is None:
            raise LabError(f"slow node {text!r} is not of the form NODE:read=NS,write=NS", _EXAMPLE)
        found: dict[str, int] = {}
        for part in match[2].split(","):
            name, _, value = part.strip().partition("=")
            if name not in ("read", "write", "cache") or name in found:
                raise LabError(f"slow node {text!r}: {part!r} is not read=, write= or cache=, once", _EXAMPLE)
            found[name] = _cache(text, value) if name == "cache" else _delay(text, name, value)
        if not {"read", "write"} <= found.keys():
            raise LabError(f"slow node {text!r} has no read= or no write=", _EXAMPLE)
        return cls(int(match[1]), found["read"], found["write"], found.get("cache", CACHE_BYTES))


def _delay(text: str, name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 7 and int(value) <= MOST_NS):
        raise LabError(f"slow node {text!r}: {name}={value} is not a delay from 0 to {MOST_NS} ns", _EXAMPLE)
    return int(value)


def _cache(text: str, value: str) -> int:
    try:
        size_bytes = 0 if value == "0" else parse_size(value)
    except UnitError as error:
        raise LabError(f"slow node {text!r}: {error.message}", error.remedy) from error
    if size_bytes % LINE_BYTES or size_bytes > MOST_CACHE_BYTES:
        raise LabError(f"slow node {text!r}: cache={value} is not a number of lines up to 1 GiB", _EXAMPLE)
    return size_bytes


def physical_ranges(topology: GuestTopology, number: int) -> tuple[tuple[int, int], ...]:
    """Where the memory of a node is in the guest's physical addresses, as QEMU's q35 lays it out.

    Parameters
    ----------
    topology : GuestTopology
        The machine.
    number : int
        Number of the node.

    Returns
    -------
    tuple of (int, int)
        One range, or two for a node on both sides of the hole below 4 GiB [bytes].

    Raises
    ------
    LabError
        If the node has no memory, or is of a kind whose addresses only the guest chooses.
    """
    node = next((each for each in topology.nodes if each.id == number), None)
    if node is None or node.kind not in (DRAM, NVM):
        slow = [str(each.id) for each in topology.nodes if each.kind in (DRAM, NVM)]
        what = "does not exist" if node is None else f"is of the kind {node.kind}"
        raise LabError(
            f"topology {topology.name}: node {number} {what}, so it cannot be slowed",
            f"choose one of: {', '.join(slow)}",
        )
    dram = topology.of_kind(DRAM)
    whole = sum(each.size_bytes for each in dram)
    low = _LOW_BYTES if whole < _LOW_BYTES else _LOW_BYTES_OF_MANY
    if node.kind == NVM:
        start = end = _FOUR_GIB + max(0, whole - low)
        for each in reversed(topology.of_kind(NVM)):
            start = -(-end // GIB) * GIB
            end = start + backing_bytes(each.size_bytes)
            if each.id == number:
                break
        return ((start, end),)
    start = sum(each.size_bytes for each in dram[: dram.index(node)])
    end = start + node.size_bytes
    parts = ((start, min(end, low)), (_FOUR_GIB + max(start, low) - low, _FOUR_GIB + end - low))
    return tuple(part for part in parts if part[0] < part[1])


def emulated(accelerator: str) -> str:
    """The accelerator of a machine with a slow node: software emulation, which alone has plugins.

    Raises
    ------
    LabError
        If another one was asked for.
    """
    if accelerator not in ("auto", TCG):
        raise LabError(
            f"a slow node needs software emulation, and the accelerator is {accelerator}",
            "leave out --accelerator, or the slow node",
        )
    return TCG


def plugin_arguments(slow: SlowNode, topology: GuestTopology) -> list[str]:
    """QEMU's arguments for a slow node; the plugin is built when it is first needed."""
    words = [quoted(built_plugin())]
    for low, high in physical_ranges(topology, slow.node):
        words += [f"lo={low:#x}", f"hi={high:#x}"]
    words += [f"read={slow.read_ns}", f"write={slow.write_ns}", f"lines={slow.cache_bytes // LINE_BYTES}"]
    return ["-plugin", ",".join(words)]


def built_plugin() -> Path:
    """The plugin, compiled by this machine's C compiler and kept in the cache.

    Raises
    ------
    LabNeedError
        If there is no C compiler.
    LabError
        If it does not compile.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise LabNeedError("a slow node needs a C compiler, and there is no cc", "apt-get install gcc")
    source = resources.files("hmexp.lab").joinpath(_SOURCE).read_bytes()
    key = hashlib.sha256(source + compiler.encode()).hexdigest()[:12]

    def build(work: Path) -> None:
        directory = work / key
        directory.mkdir()
        (directory / _SOURCE).write_bytes(source)
        done = subprocess.run(
            [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
             "-fvisibility=hidden", "-o", directory / "slow_node.so", directory / _SOURCE],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            raise LabError(f"the slow node's plugin does not compile: {done.stderr.strip()}")

    return built_once(cache_directory() / "plugins" / key, build) / "slow_node.so"
