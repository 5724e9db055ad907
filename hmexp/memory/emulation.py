"""Emulated nodes: a slow memory modelled in software on ordinary DRAM, always labelled.

The pages are real and are placed and proven on a real node, the *backing*. Only the loops of our
own C core are slowed (``native/model.c``); any other program would see plain DRAM.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from hmexp.errors import EmulationError, ParameterError
from hmexp.native import NodeModel, NodeRates
from hmexp.pattern import MAX_NODE, Pattern

Quantity = Literal["read", "write", "latency"]

#: Of what the host can do, the part that both nodes together may use: real nodes have channels of
#: their own, so both at full speed must fit, with room for a neighbour on the same core or memory.
BANDWIDTH_HEADROOM: Final = 0.6
#: The fast node's latency, as a multiple of what the host's own memory takes.
LATENCY_HEADROOM: Final = 1.5
#: Traffic that one thread may have under way [bytes]. It must span a few granules of 4 KiB for the
#: nodes to work side by side; coarse granules are beyond it, as they are beyond a real prefetcher.
WINDOW_BYTES: Final = 64 * 1024

_PROFILES: Final = Path(__file__).parent / "profiles"
_FIGURES: Final = ("read_gbps", "write_gbps", "latency_ns")
_REQUEST: Final = re.compile(r"\s*(\d{1,4})\s*=\s*(\S+)\s*", re.ASCII)


@dataclass(frozen=True)
class NodeSpeed:
    """Peak bandwidth [GB/s] and idle latency [ns] of a node."""

    read_gbps: float
    write_gbps: float
    latency_ns: float

    def scaled(self, scale: Mapping[Quantity, float]) -> NodeSpeed:
        """The speed with each figure multiplied by its factor."""
        return NodeSpeed(
            self.read_gbps * scale["read"],
            self.write_gbps * scale["write"],
            self.latency_ns * scale["latency"],
        )


@dataclass(frozen=True)
class Profile:
    """Published speeds of DRAM and of a slow memory (of some kind) on one and the same machine."""

    name: str
    title: str
    kind: str
    source: str
    dram: NodeSpeed
    slow: NodeSpeed

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The profiles that come with hmexp."""
        return tuple(sorted(path.stem for path in _PROFILES.glob("*.toml")))

    @classmethod
    def load(cls, name: str) -> Profile:
        """Read a profile by its name, or by the path of a ``.toml`` file.

        Raises
        ------
        EmulationError
            If there is no such profile, or it lacks a figure or has an absurd one.
        """
        path = Path(name) if name.endswith(".toml") else _PROFILES / f"{name}.toml"
        if not path.is_file():
            raise EmulationError(
                f"emulation profile {name!r} is unknown",
                f"use one of: {', '.join(cls.names())}, or the path of a .toml file",
            )
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise EmulationError(f"emulation profile {path} cannot be read: {error}") from error
        for key in ("title", "kind", "source"):
            if not isinstance(data.get(key), str) or not data[key].strip():
                raise EmulationError(
                    f"emulation profile {path} lacks the text {key!r}",
                    "title names the memory, kind is nvm, cxl or unknown, source says whose figures they are",
                )
        dram, slow = (_node_speed(path, data, part) for part in ("dram", "slow"))
        title, kind, source = (data[key].strip() for key in ("title", "kind", "source"))
        return cls(path.stem, title, kind, source, dram, slow)


def _node_speed(path: Path, data: Mapping[str, Any], part: str) -> NodeSpeed:
    table = data.get(part)
    if not isinstance(table, dict):
        raise EmulationError(f"emulation profile {path} lacks the table [{part}]")
    values = []
    for figure in _FIGURES:
        value = table.get(figure)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EmulationError(f"emulation profile {path} lacks the number {part}.{figure}")
        if not 1e-3 <= value <= 1e6:
            raise EmulationError(f"emulation profile {path}: {part}.{figure} = {value} is absurd")
        values.append(float(value))
    return NodeSpeed(*values)


@dataclass(frozen=True)
class EmulationRequest:
    """A node to emulate, as a person asks for it: ``2=optane-dcpmm``."""

    node: int
    profile: Profile

    def __str__(self) -> str:
        return f"{self.node}={self.profile.name}"

    @classmethod
    def parse(cls, text: str) -> EmulationRequest:
        """Read ``NODE=PROFILE``.

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
        return cls(node, Profile.load(match[2]))

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
    """

    profile: Profile
    host: NodeSpeed
    speeds: Mapping[int, NodeSpeed]
    backing: Mapping[int, int]

    @classmethod
    def scale_to_host(
        cls, request: EmulationRequest, host: NodeSpeed, dram_nodes: Iterable[int], backing_node: int
    ) -> Emulation:
        """Scale both nodes of a profile by the same factors, so that both at once fit in the host."""
        profile = request.profile
        scale = cls._scale(profile, host)
        speeds = dict.fromkeys(dram_nodes, profile.dram.scaled(scale))
        return cls(
            profile, host, {**speeds, request.node: profile.slow.scaled(scale)}, {request.node: backing_node}
        )

    @staticmethod
    def _scale(profile: Profile, host: NodeSpeed) -> dict[Quantity, float]:
        return {
            "read": BANDWIDTH_HEADROOM * host.read_gbps / (profile.dram.read_gbps + profile.slow.read_gbps),
            "write": BANDWIDTH_HEADROOM
            * host.write_gbps
            / (profile.dram.write_gbps + profile.slow.write_gbps),
            "latency": LATENCY_HEADROOM * host.latency_ns / profile.dram.latency_ns,
        }

    @property
    def scale(self) -> dict[Quantity, float]:
        """Factors from the published figures to the modelled ones."""
        return self._scale(self.profile, self.host)

    def real_pattern(self, pattern: Pattern) -> Pattern:
        """The pattern with each emulated node replaced by its backing."""
        return pattern.replace_nodes(self.backing)

    def node_model(self, pattern: Pattern) -> NodeModel:
        """What the C core needs to emulate the nodes of `pattern`.

        Raises
        ------
        EmulationError
            If a node of the pattern is not modelled.
        """
        return NodeModel(
            pattern, {node: _rates(self._speed(node)) for node in pattern.distinct_nodes}, WINDOW_BYTES
        )

    def predict(self, pages_per_node: Mapping[int, int], quantity: Quantity) -> float:
        """What the modelled nodes must show for a region.

        Bandwidth is that of the node that is busy longest, with all working side by side; latency
        is the mean over the pages. (`hmexp.report.models` has the same for two nodes, with sources.)

        Returns
        -------
        float
            Bandwidth [GB/s] or latency [ns].
        """
        total = sum(pages_per_node.values())
        used = {node: count for node, count in pages_per_node.items() if count}
        if quantity == "latency":
            return sum(count * self._speed(node).latency_ns for node, count in used.items()) / total
        slowest = max(count / getattr(self._speed(node), f"{quantity}_gbps") for node, count in used.items())
        return float(total / slowest)

    def _speed(self, node: int) -> NodeSpeed:
        try:
            return self.speeds[node]
        except KeyError:
            raise EmulationError(
                f"node {node} is not modelled", f"modelled are {', '.join(map(str, self.speeds))}"
            ) from None

    def to_record(self) -> dict[str, Any]:
        """The emulation as JSON-able values; `from_record` reads it back."""
        return {
            "profile": asdict(self.profile),
            "host": asdict(self.host),
            "scale": dict(self.scale),
            "nodes": {str(node): asdict(speed) for node, speed in self.speeds.items()},
            "backing": {str(node): real for node, real in self.backing.items()},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Emulation:
        """Read back what `to_record` wrote."""
        profile = record["profile"]
        return cls(
            Profile(
                profile["name"], profile["title"], profile["kind"], profile["source"],
                NodeSpeed(**profile["dram"]), NodeSpeed(**profile["slow"]),
            ),
            NodeSpeed(**record["host"]),
            {int(node): NodeSpeed(**speed) for node, speed in record["nodes"].items()},
            {int(node): int(real) for node, real in record["backing"].items()},
        )  # fmt: skip


def unhindered(pattern: Pattern) -> NodeModel:
    """A model whose nodes cost nothing: what the host itself can do inside the emulating loops."""
    return NodeModel(pattern, dict.fromkeys(pattern.distinct_nodes, NodeRates(0.0, 0.0, 0.0)), WINDOW_BYTES)


def _rates(speed: NodeSpeed) -> NodeRates:
    # 1 GB/s is 1 byte per ns.
    return NodeRates(1 / speed.read_gbps, 1 / speed.write_gbps, speed.latency_ns)
