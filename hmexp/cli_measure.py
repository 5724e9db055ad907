"""The commands ``hmexp measure`` and ``hmexp latency``: one point, now, on the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import OPERATIONS, SHARES
from hmexp.measure.curve import LoadedCurve
from hmexp.measure.latency import NodeSplit, measure_latency, measure_node_latencies, measure_store_latency
from hmexp.measure.loaded import measure_loaded_latency
from hmexp.measure.measurement import Measurement
from hmexp.measure.point import SIZE, measure_point, provide_emulation, quantities_of
from hmexp.measure.threads import PLACEMENTS
from hmexp.memory.emulation import Emulation
from hmexp.memory.profile import Quantity
from hmexp.memory.region import Region, allocate
from hmexp.native import ORDERS, PAGE_BYTES, STORE_KINDS
from hmexp.pattern import Pattern
from hmexp.report.terminal import draw_curve
from hmexp.system.cpus import allowed_cpus
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import Topology, read_topology
from hmexp.units import parse_size

WINDOW = "16MiB"


def add_commands(commands: Any) -> None:
    """Add both commands to the parser's."""
    measure = commands.add_parser(
        "measure", help="bandwidth of one pattern, beside all DRAM", allow_abbrev=False,
        description="Measure the bandwidth of a pattern, and of DRAM alone beside it.",
    )  # fmt: skip
    _add_region(measure)
    measure.add_argument(
        "--op", default="read", help=f"of {', '.join(OPERATIONS)}; or 3:1, 2:1nt (default: read)"
    )
    measure.add_argument(
        "--threads", type=int, default=1, help="threads, each on a CPU of its own (default: 1)"
    )
    measure.add_argument("--placement", default="near", help=f"{', '.join(PLACEMENTS)} (default: near)")
    measure.add_argument(
        "--order", default="sequential", help=f"of {', '.join(ORDERS)} (default: sequential)"
    )
    measure.add_argument("--stride", default="4KiB", help="from line to line, if strided (default: 4KiB)")
    measure.add_argument("--share", default="slices", help=f"of {', '.join(SHARES)} (default: slices)")
    measure.add_argument("--window", default=None, help="also the bandwidth of each window of that size")
    measure.add_argument("--no-baseline", action="store_true", help="leave out all DRAM")
    measure.set_defaults(run=_measure)

    latency = commands.add_parser(
        "latency", help="latency of one pattern, idle or loaded", allow_abbrev=False,
        description="Measure the latency of a pattern: idle in several ways, or while other threads load it.",
    )  # fmt: skip
    _add_region(latency)
    latency.add_argument("--loaded", action="store_true", help="the curve of latency against load")
    latency.add_argument("--op", default="read", help="what loads, as for measure (default: read)")
    latency.add_argument("--threads", type=int, default=None, help="that load (default: all CPUs but one)")
    latency.add_argument("--load-pattern", default=None, help="load another pattern than the one chased on")
    latency.add_argument("--window", default=WINDOW, help=f"windows that a TLB covers (default: {WINDOW})")
    latency.add_argument("--spacing", default=None, help="from line to line (default: 64)")
    latency.add_argument("--chains", type=int, default=1, help="chases side by side (default: 1)")
    latency.add_argument("--stores", choices=STORE_KINDS, default=None, help="latency of stores instead")
    latency.set_defaults(run=_latency)


def _add_region(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pattern", required=True, help="which node each granule is on, such as 0,2,2")
    parser.add_argument("--size", default=SIZE, help=f"of the region (default: {SIZE})")
    parser.add_argument("--granule", default="page", help="bytes in a row on one node (default: page)")
    parser.add_argument("--placer", default="first_touch", help="how pages get there (default: first_touch)")
    parser.add_argument(
        "--emulate", default="auto", help="auto: a node that is not there; none; or NODE=PROFILE[@absolute]"
    )
    parser.add_argument("--cpus", default=None, help="CPUs of the threads, such as 0,2")
    parser.add_argument(
        "--vector-bits", type=int, default=None, help="width of vectors (default: the widest)"
    )
    parser.add_argument("--samples", type=int, default=10, help="how many samples (default: 10)")
    parser.add_argument("--sample-seconds", type=float, default=0.05, help="how long one is (default: 0.05)")
    parser.add_argument("--json", action="store_true", help="print the record instead of words")


def _measure(options: argparse.Namespace) -> int:
    found = measure_point(
        _pattern(options.pattern, options),
        options.op,
        options.threads,
        size=options.size,
        placer=options.placer,
        emulate=options.emulate,
        baseline=not options.no_baseline,
        topology=_topology(),
        show=_show(options),
        cpus=_cpus(options.cpus),
        placement=options.placement,
        order=options.order,
        stride_bytes=parse_size(options.stride),
        vector_bits=options.vector_bits,
        share=options.share,
        window_bytes=0 if options.window is None else parse_size(options.window),
        samples=options.samples,
        sample_seconds=options.sample_seconds,
    )
    if options.json:
        print(json.dumps(found.to_record(), allow_nan=False))
        return 0
    _say_emulated(found.emulation)
    this = found.measurement
    print(f"{options.pattern}: {this}")
    print(f"  {this.payload_bytes} bytes of payload a sample, about {this.bus_bytes} on the bus")
    if found.baseline is not None:
        print(f"all DRAM: {found.baseline}")
        print(f"  {options.pattern} is {found.of_dram:.3f} of all DRAM, with pages of the same size")
    if found.model is not None:
        print(f"model: {found.model:.4g} GB/s ({this.median / found.model - 1:+.1%})")
    for number, row in enumerate(this.details.get("window_gbps", [])):
        told = " ".join(f"{value:.3g}" for value in row)
        print(f"windows of thread {number}, GB/s: {told}")
    _say_trust(this)
    return 0


def _latency(options: argparse.Namespace) -> int:
    pattern = _pattern(options.pattern, options)
    load = None if options.load_pattern is None else _pattern(options.load_pattern, options)
    if load is not None and not options.loaded:
        raise ParameterError("--load-pattern says where the load is, and there is none", "add --loaded")
    machine = _topology()
    asked: tuple[Quantity, ...] = quantities_of(options.op) if options.loaded else ()
    if options.stores is not None:
        asked = ("store_nt",) if options.stores == "nt" else ("store_flush",)
    threads = 1
    patterns = [pattern] if load is None else [pattern, load]
    emulation = provide_emulation(patterns, options.emulate, threads, machine, asked, _show(options))

    def region_of(what: Pattern) -> Region:
        return allocate(options.size, what, options.placer, emulation=emulation, topology=machine)

    with region_of(pattern) as region:
        if not options.loaded:
            return _idle(region, options)
        other = region_of(load) if load is not None else None
        try:
            curve = measure_loaded_latency(
                region, options.op, options.threads, load=other, cpus=_cpus(options.cpus),
                window_bytes=None if options.window == WINDOW else parse_size(options.window),
                spacing_bytes=_spacing(options), vector_bits=options.vector_bits,
                samples=min(options.samples, 5), sample_seconds=min(options.sample_seconds, 0.02),
                show=_show(options),
            )  # fmt: skip
        finally:
            if other is not None:
                other.close()
    if options.json:
        print(json.dumps(curve.to_record(), allow_nan=False))
    else:
        _say_emulated(emulation)
        _say_curve(curve)
    return 0


def _idle(region: Region, options: argparse.Namespace) -> int:
    cpus = _cpus(options.cpus)
    common: dict[str, Any] = {
        "cpu": None if cpus is None else cpus[0],
        "samples": options.samples,
        "sample_seconds": options.sample_seconds,
    }
    if options.stores is not None:
        found = {f"stores ({options.stores})": measure_store_latency(region, options.stores, **common)}
        split = None
    else:
        found, split = _loads(region, options, common)
    if options.json:
        record = {name: one.to_record() for name, one in found.items()}
        print(json.dumps({"idle": record, "split": split and split.to_record()}, allow_nan=False))
        return 0
    _say_emulated(region.emulation)
    for name, one in found.items():
        print(f"{name}: {one}")
        if "distribution" in one.details:
            parts = one.details["distribution"]
            told = ", ".join(f"{key} {value:.0f}" for key, value in parts["ns_per_load"].items())
            print(f"  over blocks of {parts['block_hops']} loads, ns: {told}")
    if split is not None:
        for node, one in split.nodes.items():
            print(f"node {node}, {split.shares[node]:.1%} of the pages: {one}")
        print(
            f"mixture of the nodes: {split.mixture_ns:.4g} ns; the whole is "
            f"{split.mixture_error:+.1%} from it"
        )
    for one in found.values():
        _say_trust(one)
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
    several = len(region.pages_per_node()) > 1 and region.knows_order
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


def _say_emulated(emulation: Emulation | None) -> None:
    if emulation is None:
        return
    node = next(iter(emulation.backing))
    speed = "at its published speed" if emulation.absolute else "scaled to this host"
    print(
        f"EMULATED: node {node} is {emulation.profile.title}, modelled in software on the DRAM of node "
        f"{emulation.backing[node]}, {speed}. Its numbers say nothing about this machine."
    )


def _say_trust(found: Measurement) -> None:
    print(f"proof: {found.after.summary}")
    for warning in found.warnings:
        print(f"warning: {warning}")


def _show(options: argparse.Namespace) -> Callable[[str], None]:
    def show(what: str) -> None:
        if not options.json and sys.stderr.isatty():
            print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)

    return show


def _topology() -> Topology:
    return read_topology(libnuma=LibNuma.load())


def _pattern(text: str, options: argparse.Namespace) -> Pattern:
    granule = PAGE_BYTES if options.granule == "page" else parse_size(options.granule)
    return Pattern.parse(text, granule)


def _spacing(options: argparse.Namespace) -> int | None:
    return None if options.spacing is None else parse_size(options.spacing)


def _cpus(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ParameterError(
            f"cpus {text!r} is not a list of CPUs",
            f"write for example {','.join(map(str, allowed_cpus()[:2]))}",
        ) from None
