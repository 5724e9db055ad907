"""A node beside DRAM: whether firmware and kernel call it faster, slower or alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hmexp.system.clues import Clues
from hmexp.system.memory_tiers import MemoryTier
from hmexp.system.node import Node
from hmexp.system.sysfs import format_id_list

#: Two figures of the firmware within this factor say the same.
ALIKE: Final = 1.2


@dataclass(frozen=True)
class BesideDram:
    """A node compared with DRAM.

    Parameters
    ----------
    node : Node
        The node.
    dram : sequence of Node
        The machine's DRAM.
    clues : Clues
        What the machine's files say.
    """

    node: Node
    dram: Sequence[Node]
    clues: Clues

    def faster(self) -> str | None:
        """Why it is taken for faster than DRAM: the firmware's bandwidths, or the kernel's tier."""
        best = self._dram_gbps
        if self.node.read_gbps is not None and 0 < ALIKE * best < self.node.read_gbps:
            return self._say_bandwidths()
        tier, dram_tier = self._tiers
        if tier is not None and dram_tier is not None and tier.number < dram_tier.number:
            return f"{tier}: the kernel takes it for faster than DRAM, which is in tier {dram_tier.number}."
        return None

    def slower(self) -> str | None:
        """Why it is taken for slower than DRAM: the kernel's tier, or the firmware's bandwidths."""
        tier, dram_tier = self._tiers
        if tier is not None and dram_tier is not None and tier.number > dram_tier.number:
            return f"{tier}: the kernel takes it for slower than DRAM, which is in tier {dram_tier.number}."
        if self.node.read_gbps is not None and self.node.read_gbps * ALIKE < self._dram_gbps:
            return self._say_bandwidths()
        return None

    def on_package(self) -> str | None:
        """Why it is the high-bandwidth memory on the processor's package, where nothing calls it slow."""
        processor = self.clues.processor
        if (
            processor is None
            or self.node.cpus
            or self.node.read_gbps is not None
            or self.slower() is not None
        ):
            return None
        return f"{processor.source}: the {processor.name} shows its HBM as a node without CPUs."

    def is_alike(self) -> bool:
        """Whether the firmware gives it a bandwidth and a latency like those of the DRAM beside it."""
        return any(
            _alike(self.node.read_gbps, one.read_gbps)
            and _alike(self.node.read_latency_ns, one.read_latency_ns)
            for one in self._beside
        )

    @property
    def _beside(self) -> list[Node]:
        """The DRAM that is nearest to the same CPUs, or all of it where the firmware does not say."""
        mine = set(self.node.initiators)
        return [one for one in self.dram if mine & set(one.initiators or (one.id,))] or list(self.dram)

    @property
    def _dram_gbps(self) -> float:
        return max((one.read_gbps or 0.0 for one in self._beside), default=0.0)

    @property
    def _tiers(self) -> tuple[MemoryTier | None, MemoryTier | None]:
        """The node's tier, and that of DRAM."""
        tiers = self.clues.tiers
        found = [tiers[one.id] for one in self._beside if one.id in tiers]
        return tiers.get(self.node.id), min(found, key=lambda tier: tier.number, default=None)

    def _say_bandwidths(self) -> str:
        names = format_id_list(one.id for one in self._beside)
        return (
            f"By the firmware (HMAT) it reads {self.node.read_gbps:g} GB/s, and the DRAM of node {names} "
            f"{self._dram_gbps:g} GB/s."
        )


def _alike(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and max(one, other) <= ALIKE * min(one, other)
