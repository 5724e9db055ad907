"""The command ``hmexp latency``: latency of one pattern, idle or loaded, on the terminal."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from hmexp.cli.measure import add_region, cpus_of, pattern_of, say_emulated, say_trust, teller, this_machine
from hmexp.errors import ParameterError
from hmexp.measure.curve import LoadedCurve
from hmexp.measure.latency import NodeSplit, measure_latency, measure_node_latencies, measure_store_latency
from hmexp.measure.loaded import measure_loaded_latency
from hmexp.measure.measurement import Measurement
from hmexp.measure.point import provide_emulation, quantities_of
from hmexp.memory.page_sizes import find_page_bytes, require_page_size
from hmexp.memory.profile import Quantity
from hmexp.memory.region import Region, allocate
from hmexp.native import STORE_KINDS
from hmexp.pattern import Pattern
from hmexp.report.page.terminal import draw_curve
from hmexp.units import parse_size

WINDOW = "16MiB"


def add_latency(commands: Any) -> None:
    """Add the command to the parser's."""
    latency = commands.add_parser(
        "latency", help="latency of one pattern, idle or loaded", allow_abbrev=False,
        description="Measure the latency of a pattern: idle in several ways, or while other threads load it.",
    )  # fmt: skip
    add_region(latency)
    latency.add_argument("--loaded", action="store_true", help="the curve of latency against load")
    latency.add_argument("--op", default="read", help="what loads, as for measure (default: read)")
    latency.add_argument("--threads", type=int, default=None, help="that load (default: all CPUs but one)")
    latency.add_argument("--load-pattern", default=None, help="load another pattern than the one chased on")
    latency.add_argument("--window", default=WINDOW, help=f"windows that a TLB covers (default: {WINDOW})")
    latency.add_argument("--spacing", default=None, help="from line to line (default: 64)")
    latency.add_argument("--chains", type=int, default=1, help="chases side by side (default: 1)")
    latency.add_argument("--stores", choices=STORE_KINDS, default=None, help="latency of stores instead")
    latency.set_defaults(run=_latency)


def _latency(options: argparse.Namespace) -> int:
    pattern = pattern_of(options.pattern, options)
    load = None if options.load_pattern is None else pattern_of(options.load_pattern, options)
    if load is not None and not options.loaded:
        raise ParameterError("--load-pattern says where the load is, and there is none", "add --loaded")
    page_bytes = find_page_bytes(options.pages)
    for each in (pattern, load or pattern):
        require_page_size(each, page_bytes)
    machine = this_machine()
    asked: tuple[Quantity, ...] = quantities_of(options.op) if options.loaded else ()
    if options.stores is not None:
        asked = ("store_nt",) if options.stores == "nt" else ("store_flush",)
    threads = 1
    patterns = [pattern] if load is None else [pattern, load]
    emulation = provide_emulation(patterns, options.emulate, threads, machine, asked, teller(options))

    def region_of(what: Pattern) -> Region:
        huge = require_page_size(what, page_bytes)
        return allocate(options.size, what, options.placer, emulation=emulation, topology=machine, huge=huge)

    with region_of(pattern) as region:
        if not options.loaded:
            return _idle(region, options)
        other = region_of(load) if load is not None else None
        try:
            curve = measure_loaded_latency(
                region, options.op, options.threads, load=other, cpus=cpus_of(options.cpus),
                window_bytes=None if options.window == WINDOW else parse_size(options.window),
                spacing_bytes=_spacing(options), vector_bits=options.vector_bits,
                samples=min(options.samples, 5), sample_seconds=min(options.sample_seconds, 0.02),
                show=teller(options),
            )  # fmt: skip
        finally:
            if other is not None:
                other.close()
    if options.json:
        print(msgspec.json.encode(curve.to_record()).decode())
    else:
        say_emulated(emulation)
        _say_curve(curve)
    return 0


def _idle(region: Region, options: argparse.Namespace) -> int:
    cpus = cpus_of(options.cpus)
    common: dict[str, Any] = {
        "cpu": None if cpus is None else cpus[0],
        "samples": options.samples,
        "sample_seconds": options.sample_seconds,
        "precision": options.precision,
        "most_samples": options.most_samples,
    }
    if options.stores is not None:
        found = {f"stores ({options.stores})": measure_store_latency(region, options.stores, **common)}
        split = None
    else:
        found, split = _loads(region, options, common)
    if options.json:
        record = {name: one.to_record() for name, one in found.items()}
        print(msgspec.json.encode({"idle": record, "split": split and split.to_record()}).decode())
        return 0
    say_emulated(region.emulation)
    for name, one in found.items():
        print(f"{name}: {one}")
        spread = getattr(one.details, "distribution", None)
        if spread is not None:
            parts = ", ".join(f"{key} {value:.0f}" for key, value in spread.ns_per_load.items())
            print(f"  over blocks of {spread.block_hops} loads, ns: {parts}")
    if split is not None:
        for node, one in split.nodes.items():
            print(f"node {node}, {split.shares[node]:.1%} of the pages: {one}")
        print(
            f"mixture of the nodes: {split.mixture_ns:.4g} ns; the whole is "
            f"{split.mixture_error:+.1%} from it"
        )
    for one in found.values():
        say_trust(one)
    return 0


def _loads(
    region: Region, options: argparse.Namespace, common: dict[str, Any]
) -> tuple[dict[str, Measurement], NodeSplit | None]:
    """The same chase in several orders, and on each node alone."""
    ring = {**common, "spacing_bytes": _spacing(options), "chains": options.chains}
    window = parse_size(options.window)
    found = {"random over all": measure_latency(region, **ring, distribution=True)}
    if window < region.size_bytes:
        name = f"random in windows of {options.window}"
        found[name] = measure_latency(region, **ring, window_bytes=window)
    found["ordered (what prefetchers make of it)"] = measure_latency(region, **ring, ordered=True)
    several = len(region.pages_per_node()) > 1
    return found, measure_node_latencies(region, **ring) if several else None


def _say_curve(curve: LoadedCurve) -> None:
    label = f" EMULATED {curve.profile}" if curve.profile else ""
    print(
        f"Chase on {curve.probe_pattern}, {curve.operation} on {curve.load_pattern} by {curve.threads} "
        f"thread{'s'[: curve.threads > 1]}{label}"
    )
    print(f"{'delay ns':>9} {'load GB/s':>10} {'latency ns':>11}  95 % interval")
    for p in curve.points:
        delay = "idle" if p.delay_ns is None else str(p.delay_ns)
        s = p.latency
        print(f"{delay:>9} {p.load_gbps:>10.2f} {s.median:>11.1f}  {s.ci_low:.1f}..{s.ci_high:.1f}")
    marked = None
    if curve.knee.saturated:
        marked = next(i for i, p in enumerate(curve.points) if p.load_gbps == curve.knee.load_gbps)
    print(
        draw_curve(
            [p.load_gbps for p in curve.points],
            [p.latency.median for p in curve.points],
            f"load, GB/s{label}",
            "latency, ns",
            marked,
        )
    )
    print(f"{str(curve.knee)[:1].upper()}{str(curve.knee)[1:]}{' (K)' if curve.knee.saturated else ''}.")
    disturbed = sum(p.noise.disturbed for p in curve.points)
    if disturbed:
        total = sum(len(p.samples) for p in curve.points)
        print(f"warning: {disturbed} of {total} samples were disturbed; all are kept")


def _spacing(options: argparse.Namespace) -> int | None:
    return None if options.spacing is None else parse_size(options.spacing)
