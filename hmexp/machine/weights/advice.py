"""What to set, what it costs by the model, and the commands for those who script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hmexp.machine.weights.automatic import automatic_weights
from hmexp.machine.weights.choice import TOLERANCE, Demand, Weights, choose_weights, plain_weights
from hmexp.machine.weights.runs import MeasuredRatio, MeasuredReaches, operation_of
from hmexp.machine.weights.speeds import bandwidths
from hmexp.system.setting_files import HERE, Machine
from hmexp.system.sysfs import format_id_list, read_text


@dataclass(frozen=True)
class WeightAdvice:
    """Weights for the CPUs of one node, or a compromise for those of several.

    Parameters
    ----------
    source : str
        Where the bandwidths come from.
    reads : float
        Share of the payload that is read.
    demand : Demand
        The bandwidths.
    weights : mapping of int to int
        The weights that were chosen.
    rivals : mapping of str to mapping of int to int
        Other weights by what they are: plain interleave, the kernel's own, and those that are set.
    modes : tuple of str
        The files of the automatic mode on this machine, by whatever name.
    directory : str
        Where the kernel has its weights.
    ratios : mapping of int to MeasuredRatio
        The best ratio of nodes that was measured, by initiator.
    notes : tuple of str
        What a person should know before trusting the bandwidths.
    """

    source: str
    reads: float
    demand: Demand
    weights: Weights
    rivals: Mapping[str, Weights]
    modes: tuple[str, ...] = ()
    directory: str = field(default=str(HERE.weights_directory))
    ratios: Mapping[int, MeasuredRatio] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def initiators(self) -> tuple[int, ...]:
        """The nodes whose CPUs the weights are for."""
        return tuple(sorted(self.demand.gbps))

    @property
    def worst_loss(self) -> float:
        """Part of its best bandwidth that the initiator with the largest loss does not reach."""
        return self.demand.worst_loss(self.weights)

    def fastest_node(self, initiator: int) -> int:
        """The node with the largest bandwidth by itself."""
        row = self.demand.gbps[initiator]
        return max(sorted(row), key=lambda node: row[node])

    def commands(self) -> tuple[str, ...]:
        """Lines of a shell, run as root, that set the weights."""
        return tuple(f"echo {weight} > {self.directory}/node{node}" for node, weight in self.weights.items())

    def return_commands(self) -> tuple[str, ...]:
        """Lines of a shell that bring back the automatic mode, where this kernel has one."""
        return tuple(f"echo true > {path}" for path in self.modes)

    def numactl(self) -> str:
        """The call of numactl that uses the weights."""
        bind = f" --cpunodebind={self.initiators[0]}" if len(self.initiators) == 1 else ""
        return f"numactl --weighted-interleave={format_id_list(self.weights)}{bind} PROGRAM"

    def to_record(self) -> dict[str, Any]:
        """The advice as JSON-able values."""
        return {
            "source": self.source,
            "reads": self.reads,
            "initiators": self.initiators,
            "weights": dict(self.weights),
            "worst_loss": self.worst_loss,
            "by_initiator": [
                {
                    "initiator": each,
                    "gbps": dict(self.demand.gbps[each]),
                    "predicted_gbps": self.demand.predict_gbps(self.weights, each),
                    "best_gbps": self.demand.best_gbps(each),
                    "loss": self.demand.loss(self.weights, each),
                    "best_measured": self._best_measured(each),
                }
                for each in self.initiators
            ],
            "rivals": [
                {"name": name, "weights": dict(weights), "worst_loss": self.demand.worst_loss(weights)}
                for name, weights in self.rivals.items()
            ],
            "commands": self.commands(),
            "numactl": self.numactl(),
            "notes": self.notes,
        }

    def __str__(self) -> str:
        many = "s" if len(self.initiators) > 1 else ""
        who = f"the CPUs of node{many} {', '.join(map(str, self.initiators))}"
        lines = [f"Weights for {who}, {self.reads:.0%} reads, from {self.source}:"]
        lines.append(f"  {show_weights(self.weights)}")
        lines += [self._say_initiator(each) for each in self.initiators]
        if len(self.initiators) > 1:
            lines.append(f"  the compromise costs the worst-off {self.worst_loss:.1%} of its best")
        lines += [
            f"  {name}: {show_weights(weights)}, which costs {self.demand.worst_loss(weights):.1%}"
            for name, weights in self.rivals.items()
        ]
        lines += [f"note: {note}" for note in self.notes]
        lines += ["To set them by hand, as root (`hmexp weights --apply` also verifies, and can undo):"]
        lines += [f"  {line}" for line in self.commands()]
        note = "# the automatic weights again, if the firmware reports bandwidths"
        lines += [f"  {line}   {note}" for line in self.return_commands()]
        return "\n".join([*lines, "To use them:", f"  {self.numactl()}"])

    def _best_measured(self, initiator: int) -> dict[str, Any] | None:
        found = self.ratios.get(initiator)
        return None if found is None else {"weights": dict(found.weights), "gbps": found.gbps}

    def _say_initiator(self, initiator: int) -> str:
        row = self.demand.gbps[initiator]
        alone = ", ".join(f"node {node} {row[node]:.4g}" for node in sorted(row))
        got, best = self.demand.predict_gbps(self.weights, initiator), self.demand.best_gbps(initiator)
        fastest = self.fastest_node(initiator)
        gain = got / row[fastest] - 1
        against = f"{gain:+.0%} on node {fastest} alone"
        if gain < 0:
            against += ": do not interleave for these CPUs"
        found, measured = self.ratios.get(initiator), ""
        if found is not None:
            measured = f"; best measured: {found.gbps:.4g} GB/s at {show_weights(found.weights)}"
        return (
            f"  CPUs of node {initiator}: {got:.4g} GB/s by the model, {1 - got / best:.1%} below the best "
            f"share ({best:.4g}), {against}; each node alone, GB/s: {alone}{measured}"
        )


def show_weights(weights: Weights) -> str:
    """Weights in words, such as ``node 0 = 3, node 2 = 1``."""
    return ", ".join(f"node {node} = {weight}" for node, weight in sorted(weights.items()))


def advise(
    measured: MeasuredReaches,
    nodes: tuple[int, ...],
    reads: float = 1.0,
    *,
    tolerance: float = TOLERANCE,
    draw_gbps: float | None = None,
    machine: Machine = HERE,
) -> WeightAdvice:
    """Choose weights for bandwidths that were measured or published.

    Parameters
    ----------
    measured : MeasuredReaches
        The bandwidths; its initiators are those that the weights are for.
    nodes : tuple of int
        Nodes to interleave over.
    reads : float
        Share of the payload that is read.
    tolerance : float
        Part of the bandwidth that smaller weights may cost.
    draw_gbps : float, optional
        What the CPUs of one node can draw from all nodes at once, if that is known [GB/s].
    machine : Machine
        Whose weights of now are compared.

    Raises
    ------
    ParameterError
        If a value cannot be used, or a node was not measured.
    """
    reaches, operation = measured.reaches, operation_of(reads)
    draws = {} if draw_gbps is None else dict.fromkeys(reaches, draw_gbps)
    demand = Demand(bandwidths(reaches, reads, nodes), draws)
    kernels = automatic_weights({each: {n: row[n] for n in nodes} for each, row in reaches.items()})
    rivals: dict[str, Weights] = {
        "plain interleave": plain_weights(demand),
        "what Linux would make of these bandwidths (mm/mempolicy.c)": kernels,
        **_set_now(demand.nodes, machine),
    }
    return WeightAdvice(
        source=measured.source,
        reads=reads,
        demand=demand,
        weights=choose_weights(demand, tolerance, (kernels,)),
        rivals=rivals,
        modes=tuple(map(str, machine.weight_files()[1])),
        directory=str(machine.weights_directory),
        ratios={
            each: ratio
            for (each, name), ratio in measured.ratios.items()
            if name == operation and each in reaches
        },
        notes=measured.notes,
    )


def _set_now(nodes: tuple[int, ...], machine: Machine) -> dict[str, Weights]:
    """The weights that the kernel has for all of the nodes, if it has them."""
    files, modes = machine.weight_files()
    texts = {node: read_text(files[node]) or "" for node in nodes if node in files}
    weights = {node: int(text) for node, text in texts.items() if text.isdecimal() and int(text) > 0}
    if len(weights) != len(nodes):
        return {}
    automatic = any(read_text(path) == "true" for path in modes)
    return {"what is set now" + (", automatic" if automatic else ""): weights}
