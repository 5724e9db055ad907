"""What `notebooks/explore.ipynb` calls: a first hour with hmexp.

A face: it shows, and leaves the work to the layers below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Final

import ipywidgets
from IPython.display import DisplayHandle, display

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.experiment.point_records import join_launches
from hmexp.experiment.worker import run as run_task
from hmexp.markup import Fragment, badge, bar, bold, card, element, join, muted, node_colours, number, table
from hmexp.measure.host import emulate
from hmexp.measure.measurement import Measurement
from hmexp.measure.operation import OPERATIONS
from hmexp.measure.point import measure_point, quantities_of
from hmexp.measure.quantity import find_quantity, is_latency
from hmexp.measure.sampling import Sampling
from hmexp.measure.statistics import say_interval
from hmexp.memory.emulation import Emulation
from hmexp.native import PAGE_BYTES
from hmexp.notebook.sweep import refuse_unknown
from hmexp.notebook.widgets import Play
from hmexp.pattern import Pattern
from hmexp.report.figures import gallery as figures
from hmexp.report.page.inline import Picture
from hmexp.report.page.inline_html import Html
from hmexp.report.run.results import Results
from hmexp.store.records import RunRecord
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import SweepPlan, make_plan
from hmexp.sweep.point import SweepPoint
from hmexp.system.cpus import allowed_cpus
from hmexp.system.libnuma import LibNuma
from hmexp.system.portrait import draw_nodes, show_nodes
from hmexp.system.topology import read_topology
from hmexp.units import MIB, format_size, parse_size

_DPI: Final = 110
#: Largest region that the host is measured with, to scale an emulated node to it [bytes].
_HOST_BYTES: Final = 128 * MIB
_MOST_WEIGHT: Final = 8


@dataclass(frozen=True)
class ExploreParameters:
    """Parameters of the notebook; those that a sweep has too mean the same there."""

    pattern: str = "1:2"
    compare: tuple[str, ...] = ("1:0", "3:1", "1:1", "0:1")
    size: str = "64MiB"
    granule: str = "page"
    placer: str = "first_touch"
    operation: str = "read"
    threads: int = 1
    samples: int = 10
    sample_seconds: float = 0.05
    dram: str = "auto"
    slow: str = "auto"
    emulate: str = "auto"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all parameters."""
        return tuple(one.name for one in fields(cls))

    def as_sweep(self) -> SweepParameters:
        """The sweep of one operation over the pattern and those to compare it with."""
        given = asdict(self)
        compared = given.pop("compare")
        compared = compared if isinstance(compared, list | tuple) else [compared]
        if not isinstance(self.threads, int) or self.threads < 1:
            raise ParameterError(f"threads {self.threads!r} is not a whole number above 0")
        if is_latency(find_quantity(str(self.operation))):
            raise ParameterError(
                f"operation {self.operation!r} is not a bandwidth", f"use one of: {', '.join(OPERATIONS)}"
            )
        given["patterns"] = [given.pop("pattern"), *compared]
        given["operations"], given["granules"] = [given.pop("operation")], [given.pop("granule")]
        given["placers"] = [given.pop("placer")]
        # A first look: one launch, in this process, with as many samples as were asked for.
        given |= {"launches": 1, "precision": 0.0}
        return SweepParameters.from_mapping(given)


class Exploration:
    """A machine, the slow node on it, real or emulated, and what was measured in the notebook.

    Raises
    ------
    HmexpError
        From the constructor, if a parameter of the notebook is unknown or cannot be used.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        names = ExploreParameters.names()
        refuse_unknown(names)
        self.parameters = ExploreParameters(**{name: namespace[name] for name in names if name in namespace})
        self.topology = read_topology(libnuma=LibNuma.load())
        self.plan: SweepPlan = make_plan(self.parameters.as_sweep(), self.topology)
        self._threads = ThreadTrials()

    def __repr__(self) -> str:
        return self.plan.headline

    def _repr_html_(self) -> str:
        emulated = self.plan.emulate is not None
        label = badge("EMULATED", "caution") if emulated else badge("real nodes", "good")
        return card(element("div", label, " ", self.plan.headline.removeprefix("EMULATED: ")))

    @property
    def nodes(self) -> tuple[int, ...]:
        """The DRAM node, and the slow one: what a ratio such as ``1:2`` is of."""
        return self.plan.ratio_nodes

    @property
    def points(self) -> tuple[SweepPoint, ...]:
        """What was asked for; without all DRAM that a sweep would add to compare with."""
        return tuple(point for point in self.plan.points if point.id not in self.plan.added)

    @property
    def granule_bytes(self) -> int:
        """The granule that was asked for [bytes]."""
        return self.points[0].granule_bytes

    @cached_property
    def emulation(self) -> Emulation | None:
        """The emulated node, scaled to this host by measuring it once; None where the nodes are real."""
        if self.plan.emulate is None:
            return None
        said = _Saying()
        size = min(self.points[0].size_bytes, _HOST_BYTES)
        # Non-temporal stores too, where this CPU has them: the controls offer all that it can do.
        quantities = [one for op in self._operations() for one in quantities_of(op)]
        scaled = emulate(
            self.plan.emulate, size=size, quantities=quantities, topology=self.topology, show=said.say
        )
        said.say("This host is measured.")
        return scaled

    def machine(self) -> Html:
        """The nodes of this machine, and the emulated one with the speeds of its model."""
        emulation = None if self.emulation is None else self.emulation.to_record()
        nodes = show_nodes(self.topology.as_records(), emulation)
        lines = [f"node {one.record.id}: {one.record.kind}" for one in nodes]
        return Html(draw_nodes(nodes), "\n".join(lines))

    # ------------------------------------------------------------------ pictures that follow controls

    def play_with_patterns(self) -> None:
        """Show a pattern for weights and a granule that a person chooses."""
        first = Pattern.parse(self.points[0].pattern).ratio()
        controls = {
            f"node {node}": ipywidgets.IntSlider(
                min(first.get(node, 0), _MOST_WEIGHT), 0, _MOST_WEIGHT, description=f"node {node}:"
            )
            for node in self.nodes
        }
        granules = {format_size(size): size for size in (PAGE_BYTES, 16 * PAGE_BYTES, 2 * MIB)}
        granules[format_size(self.granule_bytes)] = self.granule_bytes
        chosen = ipywidgets.Dropdown(options=granules, value=self.granule_bytes, description="granule:")
        Play(self._draw_weights, {**controls, "granule": chosen}).show()

    def _draw_weights(self, granule: int, **weights: int) -> Html:
        ratio = {int(name.removeprefix("node ")): weight for name, weight in weights.items()}
        pattern = Pattern.from_ratio(ratio, granule)
        size_bytes = parse_size(self.parameters.size)
        counts = pattern.pages_per_node(size_bytes // PAGE_BYTES, PAGE_BYTES)
        wording = ", ".join(
            f"{format_size(count * PAGE_BYTES)} on node {node}" for node, count in counts.items() if count
        )
        wording = f"A region of {self.parameters.size} has {wording}."
        # The pattern draws itself, escaped; it is put in as it is.
        drawn = Fragment(pattern._repr_html_())
        return Html(
            card(drawn, wording, muted(f'hmexp.Pattern.parse("{_short(pattern)}")')), f"{pattern}: {wording}"
        )

    def play_with_threads(self) -> None:
        """Measure with a number of threads, an operation and a pattern that a person chooses."""
        most = max(len(set(allowed_cpus()) & set(self.topology.node(self.plan.backing_node).cpus)), 1)
        patterns = {_short(point.parsed_pattern): point.parsed_pattern for point in self.points}
        controls = {
            "threads": ipywidgets.IntSlider(
                min(self.parameters.threads, most), 1, most, description="threads:"
            ),
            "op": ipywidgets.Dropdown(
                options=self._operations(), value=self.points[0].operation, description="operation:"
            ),
            "pattern": ipywidgets.Dropdown(options=patterns, description="pattern:"),
        }
        Play(self._try_threads, controls, button="Measure").show()

    @staticmethod
    def _operations() -> list[str]:
        plain = native.vector_bits() <= native.VECTOR_BITS[0]
        return [name for name, one in native.OPERATIONS.items() if not (plain and one.nontemporal)]

    def _try_threads(self, threads: int, op: str, pattern: Pattern) -> Html:
        found = measure_point(
            pattern, op, threads, size=self.parameters.size, placer=self.parameters.placer, baseline=False,
            emulate=self.emulation or "none", topology=self.topology,
            sampling=Sampling(self.parameters.samples, self.parameters.sample_seconds),
        ).measurement  # fmt: skip
        return self._threads.add(_short(pattern), threads, found)

    # ------------------------------------------------------------------ the plot

    def compare(self) -> Results:
        """Measure the pattern and those to compare it with, one after the other, in this process."""
        records, said = [], _Saying()
        for point in self.points:
            said.say(f"Measuring {point} ...")
            records.append(join_launches([run_task(self.plan.task(point, self.emulation, 0))]))
        said.say(f"{len(records)} patterns are measured.")
        run = RunRecord(
            name="this notebook",
            plan=self.plan.hash,
            points=len(records),
            dram_nodes=self.plan.dram_nodes,
            slow_nodes=self.plan.slow_nodes,
            nodes=self.topology.as_records(),
            emulation=None if self.emulation is None else self.emulation.to_record(),
            timing_valid=all(record.timing_valid for record in records),
        )
        return Results.from_records(records, run)

    @staticmethod
    def plot(results: Results) -> Picture:
        """Bandwidth against the share of DRAM, as a report has it."""
        drawn = figures.bandwidth_against_ratio(results)
        return Picture("bandwidth_against_ratio", figures.png_bytes(drawn, _DPI))


@dataclass
class ThreadTrials:
    """What a person has tried with the thread widget, newest first."""

    rows: list[tuple[str, int, Measurement]] = field(default_factory=list)

    def add(self, pattern: str, threads: int, found: Measurement) -> Html:
        """Take one more in, and draw all of them."""
        self.rows.insert(0, (pattern, threads, found))
        top = max(one.median for _, _, one in self.rows)
        colour, _ = node_colours(0)
        rows: list[list[object]] = [
            [
                name,
                one.operation,
                count,
                bold(f"{number(one.median)} {one.unit}"),
                say_interval(one.summary, number),
                bar(one.median / top, colour=colour, width_em=12),
                badge(f"EMULATED {one.profile}", "caution") if one.profile else "",
            ]
            for name, count, one in self.rows
        ]
        heads = ["pattern", "operation", "threads", "median", "95 % interval", "", ""]
        drawn = Fragment(found._repr_html_())
        plural = "" if threads == 1 else "s"
        text = f"{pattern}, {threads} thread{plural}: {found}"
        return Html(card(drawn, join([table(heads, rows, left=(0, 1, 5, 6))])), text)


class _Saying:
    """One line that says what is being done, replaced in place."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def say(self, what: str) -> None:
        shown = Html(muted(what), what)
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


def _short(pattern: Pattern) -> str:
    text = str(pattern)
    return text if len(text) <= 40 else f"{text[:40]}…"
