"""Emulated nodes: a slow memory modelled in software on ordinary DRAM, always labelled.

The pages are real and are placed and proven on a real node, the *backing*. Only the loops of our
own C core are slowed (``native/model.c``); any other program would see plain DRAM.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hmexp.errors import EmulationError, ParameterError
from hmexp.memory.duplex import Carriers, Link, Medium
from hmexp.memory.profile import Profile
from hmexp.memory.scale import find_scale, require_carried
from hmexp.memory.speed import FIGURES, NodeSpeed, Quantity
from hmexp.native import CURVE_SHAPE, OPERATIONS, Lanes, NodeModel, NodeRates
from hmexp.pattern import MAX_NODE, Pattern
from hmexp.store.machine import EmulationRecord

__all__ = ["Emulation", "EmulationRequest", "NodeSpeed", "Profile", "Quantity", "unhindered"]

#: Traffic that one thread may have under way [bytes]. It must span a few granules of 4 KiB for the
#: nodes to work side by side; coarse granules are beyond it, as they are beyond a real prefetcher.
WINDOW_BYTES: Final = 64 * 1024
#: What a thread asks a node for at a time, and may have under way, where somebody else's latency is
#: measured meanwhile: the queue that it makes must be of the size that cores make [bytes].
FINE_CHUNK_BYTES: Final = 1024
FINE_WINDOW_BYTES: Final = 16 * 1024

_REQUEST: Final = re.compile(r"\s*(\d{1,4})\s*=\s*([^\s@](?:[^@]*[^\s@])?)(@absolute)?\s*", re.ASCII)


@dataclass(frozen=True)
class EmulationRequest:
    """A node to emulate, as a person asks for it: ``2=optane-dcpmm``.

    Parameters
    ----------
    node : int
        Its id.
    profile : Profile
        Its speed, and that of the DRAM beside it.
    absolute : bool
        The published speeds as they are, not scaled to the host: ``2=optane-dcpmm@absolute``.
    """

    node: int
    profile: Profile
    absolute: bool = False

    def __str__(self) -> str:
        return f"{self.node}={self.profile.name}{'@absolute' if self.absolute else ''}"

    @classmethod
    def parse(cls, text: str) -> EmulationRequest:
        """Read ``NODE=PROFILE`` or ``NODE=PROFILE@absolute``.

        Raises
        ------
        ParameterError
            If the text has another form, or the node is out of range.
        EmulationError
            If the profile cannot be used.
        """
        match = _REQUEST.fullmatch(text)
        if match is None:
            raise ParameterError(
                f"emulate {text!r} is neither auto, none nor NODE=PROFILE",
                f"write for example 2={cls.default_profile()}",
            )
        node = int(match[1])
        if node > MAX_NODE:
            raise ParameterError(f"emulate {text!r}: node {node} is outside 0..{MAX_NODE}")
        return cls(node, Profile.load(match[2]), match[3] is not None)

    @staticmethod
    def default_profile() -> str:
        """The profile that is used when none is named."""
        return "optane-dcpmm"


@dataclass(frozen=True)
class Emulation:
    """A profile scaled to a host: the truth that measurements on it can be held against.

    Parameters
    ----------
    profile : Profile
        The published speeds.
    host : NodeSpeed
        What the host's own memory gave in the same loops, unhindered.
    speeds : mapping of int to NodeSpeed
        Speed of each modelled node: the slow one, and the DRAM nodes beside it.
    backing : mapping of int to int
        Real node that holds the pages of each emulated one.
    absolute : bool
        The speeds are the published ones.
    """

    profile: Profile
    host: NodeSpeed
    speeds: Mapping[int, NodeSpeed]
    backing: Mapping[int, int]
    absolute: bool = False

    @classmethod
    def scale_to_host(
        cls, request: EmulationRequest, host: NodeSpeed, dram_nodes: Iterable[int], backing_node: int
    ) -> Emulation:
        """Scale both nodes of a profile by the same factors, so that both at once fit in the host.

        Raises
        ------
        EmulationError
            If the speeds are not to be scaled, and the host cannot carry them.
        """
        profile = request.profile
        if request.absolute:
            require_carried(profile, host)
        scale = find_scale(profile, host, request.absolute)
        speeds = dict.fromkeys(dram_nodes, profile.dram.scaled(scale))
        speeds[request.node] = profile.slow.scaled(scale)
        return cls(profile, host, speeds, {request.node: backing_node}, request.absolute)

    @property
    def scale(self) -> dict[Quantity, float]:
        """Factors from the published figures to the modelled ones."""
        return find_scale(self.profile, self.host, self.absolute)

    def real_pattern(self, pattern: Pattern) -> Pattern:
        """The pattern with each emulated node replaced by its backing."""
        return pattern.replace_nodes(self.backing)

    def node_model(
        self, pattern: Pattern, writers: int = 1, *, beside: Pattern | None = None, fine: bool = False
    ) -> NodeModel:
        """What the C core needs to emulate the nodes of a region.

        Parameters
        ----------
        pattern : Pattern
            Of the region.
        writers : int
            How many threads write.
        beside : Pattern, optional
            Of another region that is worked on at the same time.
        fine : bool
            Keep the nodes' queues as short as cores keep them, for measuring latency meanwhile.

        Raises
        ------
        EmulationError
            If a node of the pattern is not modelled.
        """
        nodes = dict.fromkeys((*pattern.distinct_nodes, *(beside.distinct_nodes if beside else ())))
        rates = {node: _rates(self._speed(node), writers) for node in nodes}
        if fine:
            return NodeModel(pattern, rates, FINE_WINDOW_BYTES, FINE_CHUNK_BYTES)
        return NodeModel(pattern, rates, WINDOW_BYTES)

    def predict(self, pages_per_node: Mapping[int, int], operation: str, threads: int = 1) -> float:
        """What the modelled nodes must show for a region.

        Bandwidth is that of the node that is busy longest, with all working side by side, and of a node
        with a link or a medium that of the one which is busy longest in it; latency is the mean over the
        pages. (`hmexp.report.model.mixtures` has the same for two nodes, with sources.)

        Parameters
        ----------
        pages_per_node : mapping of int to int
            Of the region [pages].
        operation : str
            A bandwidth operation, ``latency``, ``store_nt`` or ``store_flush``.
        threads : int
            How many work on it.

        Returns
        -------
        float
            Bandwidth [GB/s] or latency [ns].

        Raises
        ------
        EmulationError
            If a node is not modelled, or not in what the operation takes.
        """
        total = sum(pages_per_node.values())
        used = {node: count for node, count in pages_per_node.items() if count}
        if operation not in OPERATIONS:
            return sum(n * self._latency_ns(node, operation) for node, n in used.items()) / total
        busy = (n * self._speed(node).occupation_ns(operation, threads) for node, n in used.items())
        return total / max(busy)

    def _latency_ns(self, node: int, quantity: str) -> float:
        name = FIGURES[quantity]  # type: ignore[index]
        value: float | None = getattr(self._speed(node), name)
        if value is None:
            raise EmulationError(
                f"{quantity} needs the figure {name}, which this emulation does not have",
                f"add it to the profile {self.profile.name}, for dram and for slow, and measure the host",
            )
        return value

    def _speed(self, node: int) -> NodeSpeed:
        try:
            return self.speeds[node]
        except KeyError:
            raise EmulationError(
                f"node {node} is not modelled", f"modelled are {', '.join(map(str, self.speeds))}"
            ) from None

    def to_record(self) -> EmulationRecord:
        """The emulation as it is stored; `from_record` reads it back."""
        return EmulationRecord(
            profile=self.profile.to_record(),
            host=self.host.to_record(),
            scale={str(quantity): factor for quantity, factor in self.scale.items()},
            nodes={node: speed.to_record() for node, speed in self.speeds.items()},
            backing=dict(self.backing),
            absolute=self.absolute,
        )

    @classmethod
    def from_record(cls, record: EmulationRecord) -> Emulation:
        """Read back what `to_record` wrote.

        Raises
        ------
        EmulationError
            If a figure is missing that every model needs.
        """
        return cls(
            Profile.from_record(record.profile),
            NodeSpeed.from_record(record.host),
            {node: NodeSpeed.from_record(speed) for node, speed in record.nodes.items()},
            record.backing,
            record.absolute,
        )


def unhindered(pattern: Pattern) -> NodeModel:
    """A model whose nodes cost nothing: what the host itself can do inside the emulating loops."""
    return NodeModel(pattern, dict.fromkeys(pattern.distinct_nodes, NodeRates(0.0, 0.0, 0.0)), WINDOW_BYTES)


def _rates(speed: NodeSpeed, writers: int) -> NodeRates:
    part = speed.writing_part(writers)
    curves = None if speed.family is None else speed.family.grid(*CURVE_SHAPE)
    if speed.carriers is not None:
        return _lanes(speed, speed.carriers, part, curves)
    # 1 GB/s is 1 byte per ns. What is not known is never asked for: `predict` refuses it first.
    return NodeRates(
        read_ns_per_byte=1 / speed.read_gbps,
        write_ns_per_byte=1 / (speed.write_gbps * part),
        latency_ns=speed.latency_ns,
        write_nt_ns_per_byte=1 / ((speed.write_nt_gbps or math.inf) * part),
        store_nt_ns=speed.store_nt_ns or 0.0,
        store_flush_ns=speed.store_flush_ns or 0.0,
        curves_ns=curves,
    )


def _lanes(
    speed: NodeSpeed, carriers: Carriers, part: float, curves: NDArray[np.float64] | None
) -> NodeRates:
    """Servers for the medium and for both directions of the link; what is not there costs nothing."""
    free = Medium(math.inf, math.inf)
    medium, link = carriers.medium or free, carriers.link or Link(math.inf, math.inf)
    # The writers' curve is the medium's; without one it is the link's.
    written = part if carriers.medium is None else 1.0
    return NodeRates(
        read_ns_per_byte=1 / medium.read_gbps,
        write_ns_per_byte=1 / medium.read_gbps + 1 / (medium.write_gbps * part),
        latency_ns=speed.latency_ns,
        write_nt_ns_per_byte=1 / (medium.write_gbps * part),
        store_nt_ns=speed.store_nt_ns or 0.0,
        store_flush_ns=speed.store_flush_ns or 0.0,
        lanes=Lanes(
            toward_ns_per_byte=1 / (link.toward_gbps * written),
            back_ns_per_byte=1 / link.back_gbps,
            request_ns_per_byte=link.request / link.toward_gbps,
            completion_ns_per_byte=link.completion / link.back_gbps,
            turn_ns_per_byte=1 / medium.turnaround_gbps,
        ),
        curves_ns=curves,
    )
