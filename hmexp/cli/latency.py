"""The command ``hmexp latency``: the latency of one pattern, idle or loaded, on the terminal."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hmexp.cli.machine import say_emulated, say_trust, this_machine, warn_of_quota
from hmexp.cli.options import Command, add_json, add_region, size, threads, whole
from hmexp.cli.output import print_json, teller
from hmexp.cli.region import note_size, read_pattern, read_sampling
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.errors import ParameterError
from hmexp.units import parse_size

if TYPE_CHECKING:
    from hmexp.measure.curve import LoadedCurve
    from hmexp.measure.latency import NodeSplit
    from hmexp.measure.measurement import Measurement
    from hmexp.measure.sampling import Sampling
    from hmexp.measure.statistics import Summary
    from hmexp.memory.emulation import Emulation
    from hmexp.memory.region import Region
    from hmexp.memory.speed import Quantity
    from hmexp.pattern import Pattern
    from hmexp.system.topology import Topology

WINDOW: Final = "16MiB"


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.native import STORE_KINDS

    add_region(parser)
    parser.add_argument("--loaded", action="store_true", help="measure the curve of latency against load")
    parser.add_argument(
        "--operation", default="read", help="with --loaded: operation that loads the memory (default: read)"
    )
    parser.add_argument(
        "--threads", type=threads, default=0,
        help="with --loaded: threads that load; auto is all CPUs but one (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--load-pattern", metavar="PATTERN", help="with --loaded: load another pattern than the one chased on"
    )
    parser.add_argument(
        "--window", type=size, default=WINDOW, metavar="SIZE",
        help=f"size of the windows that a TLB covers (default: {WINDOW})",
    )  # fmt: skip
    parser.add_argument(
        "--spacing", type=size, metavar="SIZE", help="distance from line to line (default: 64)"
    )
    parser.add_argument("--chains", type=whole, default=1, help="chases side by side (default: 1)")
    parser.add_argument(
        "--stores", choices=STORE_KINDS, help="measure the latency of stores instead of loads"
    )
    parser.add_argument(
        "--tail", action="store_true",
        help="time each access by itself: percentiles up to p99.99, of each node; with --loaded under load",
    )  # fmt: skip
    add_json(parser, "the record")


def _run(options: argparse.Namespace) -> int:
    from hmexp.measure.point import require_room
    from hmexp.memory.page_sizes import find_page_bytes, require_page_size
    from hmexp.memory.region import allocate

    _require_meaning(options)
    machine = this_machine()
    pattern = read_pattern(options.pattern, options, machine)
    load = None if options.load_pattern is None else read_pattern(options.load_pattern, options, machine)
    note_size(options, pattern, machine)
    page_bytes = find_page_bytes(options.page_bytes)
    for each in (pattern, load or pattern):
        require_page_size(each, page_bytes)
    patterns = [pattern] if load is None else [pattern, load]
    require_room(patterns, options.size, options.emulate, machine)
    warn_of_quota(machine, _count_cpus(options))
    emulation = _emulate(options, patterns, machine)

    def region_of(what: Pattern) -> Region:
        huge = require_page_size(what, page_bytes)
        return allocate(options.size, what, options.placer, emulation=emulation, topology=machine, huge=huge)

    with region_of(pattern) as region:
        if options.tail or not options.loaded:
            return _idle(region, options)
        other = region_of(load) if load is not None else None
        try:
            return _loaded(region, other, options)
        finally:
            if other is not None:
                other.close()


def _count_cpus(options: argparse.Namespace) -> int:
    """The CPUs that are busy: the chase's, and under load one for each thread."""
    from hmexp.system.cpus import allowed_cpus

    return 1 if not options.loaded else 1 + (options.threads or max(1, len(allowed_cpus()) - 1))


def _require_meaning(options: argparse.Namespace) -> None:
    """Refuse options that would be ignored beside others, and a window in which there is no order."""
    from hmexp.measure.rings import require_window

    if options.loaded and options.stores is not None:
        raise ParameterError(
            f"--stores {options.stores} and --loaded exclude each other: the curve is of loads",
            "leave out one of them; --operation write_nt --loaded loads the memory with stores",
        )
    if options.tail and options.stores is not None:
        raise ParameterError(
            "--tail and --stores exclude each other: it times single loads", "leave out one of them"
        )
    if options.tail and options.loaded and (options.operation != "read" or options.load_pattern is not None):
        raise ParameterError(
            "under --tail --loaded the other threads read, in the other half of the same region",
            "leave out --operation and --load-pattern, or leave out --tail",
        )
    if options.load_pattern is not None and not options.loaded:
        raise ParameterError(
            "--load-pattern needs --loaded: without it nothing loads the memory", "add --loaded"
        )
    require_window(parse_size(options.window), _spacing(options))


def _emulate(options: argparse.Namespace, patterns: list[Pattern], machine: Topology) -> Emulation | None:
    from hmexp.measure.point import provide_emulation, quantities_of

    needed: tuple[Quantity, ...] = quantities_of(options.operation) if options.loaded else ()
    if options.stores is not None:
        needed = ("store_nt",) if options.stores == "nt" else ("store_flush",)
    return provide_emulation(patterns, options.emulate, 1, machine, needed, teller(options))


def _loaded(region: Region, load: Region | None, options: argparse.Namespace) -> int:
    from hmexp.measure.dispatch import sampling_of_curve
    from hmexp.measure.injection import Injection
    from hmexp.measure.loaded import measure_loaded_latency
    from hmexp.measure.rings import RingPlan

    curve = measure_loaded_latency(
        region, options.operation, options.threads or None, load=load,
        pinning="near" if options.cpus is None else options.cpus,
        ring=RingPlan(_spacing(options), None if options.window == WINDOW else parse_size(options.window)),
        injection=Injection(vector_bits=options.vector_bits),
        sampling=sampling_of_curve(read_sampling(options)), show=teller(options),
    )  # fmt: skip
    if options.json:
        print_json(curve.to_record())
    else:
        say_emulated(region.emulation)
        _say_curve(curve)
    return ExitStatus.OK


def _tail(region: Region, sampling: Sampling, options: argparse.Namespace) -> dict[str, Measurement]:
    from hmexp.measure.tail import measure_latency_tail, measure_loaded_tail
    from hmexp.store.tails import TailDetails

    if not options.loaded:
        cpu = None if options.cpus is None else options.cpus[0]
        return {"single accesses, p99": measure_latency_tail(region, cpu=cpu, sampling=sampling)}
    pinning = "near" if options.cpus is None else options.cpus
    one = measure_loaded_tail(region, options.threads or None, pinning=pinning, sampling=sampling)
    assert isinstance(one.details, TailDetails)
    return {f"single accesses under {one.details.load_gbps:.2f} GB/s of reads, p99": one}


def _idle(region: Region, options: argparse.Namespace) -> int:
    from hmexp.measure.latency import measure_store_latency

    cpu, sampling = None if options.cpus is None else options.cpus[0], read_sampling(options)
    split: NodeSplit | None = None
    if options.tail:
        found = _tail(region, sampling, options)
    elif options.stores is not None:
        one = measure_store_latency(region, options.stores, cpu=cpu, sampling=sampling)
        found = {f"stores ({options.stores})": one}
    else:
        found, split = _loads(region, options, cpu, sampling)
    if options.json:
        record = {name: one.to_record() for name, one in found.items()}
        print_json({"idle": record, "split": split and split.to_record()})
        return ExitStatus.OK
    say_emulated(region.emulation)
    for name, one in found.items():
        print(f"{name}: {one}")
        _say_tail(one)
        spread = getattr(one.details, "distribution", None)
        if spread is not None:
            parts = ", ".join(f"{key} {value:.0f}" for key, value in spread.ns_per_load.items())
            print(f"  over blocks of {spread.block_hops} loads, ns: {parts}")
    if split is not None:
        for node, one in split.nodes.items():
            print(f"node {node}, {split.shares[node]:.1%} of the pages: {one}")
        whole = f"the whole is {split.mixture_error:+.1%} from it"
        print(f"mixture of the nodes: {split.mixture_ns:.4g} ns; {whole}")
    for one in found.values():
        say_trust(one)
    return ExitStatus.OK


def _say_tail(found: Measurement) -> None:
    """A line for all accesses, and one for each node, if that was measured."""
    from hmexp.store.tails import TailDetails

    details = found.details
    if not isinstance(details, TailDetails):
        return
    print(f"  {'':>10}{'accesses':>12}" + "".join(f"{name:>12}" for name in details.ns) + "  [ns]")
    total = sum(node.accesses for node in details.nodes)
    rows = [("all", total, details.ns), *((f"node {n.node}", n.accesses, n.ns) for n in details.nodes)]
    for name, accesses, values in rows if len(details.nodes) > 1 else rows[:1]:
        print(f"  {name:>10}{accesses:>12,}" + "".join(f"{value:>12,.0f}" for value in values.values()))
    print(f"  {details.clock_ns:.0f} ns for reading the clock are taken off each.")


def _loads(
    region: Region, options: argparse.Namespace, cpu: int | None, sampling: Sampling
) -> tuple[dict[str, Measurement], NodeSplit | None]:
    """The same chase in several orders, and on each node alone."""
    from hmexp.measure.latency import measure_latency, measure_node_latencies
    from hmexp.measure.rings import RingPlan

    ring, window = RingPlan(_spacing(options)), parse_size(options.window)

    def take(plan: RingPlan, *, distribution: bool = False) -> Measurement:
        return measure_latency(
            region, cpu=cpu, ring=plan, chains=options.chains, sampling=sampling, distribution=distribution
        )

    found = {"random over all": take(ring, distribution=True)}
    if window < region.size_bytes:
        found[f"random in windows of {options.window}"] = take(replace(ring, window_bytes=window))
    found["ordered (what prefetchers make of it)"] = take(replace(ring, ordered=True))
    if len(region.pages_per_node()) == 1:
        return found, None
    split = measure_node_latencies(region, cpu=cpu, ring=ring, chains=options.chains, sampling=sampling)
    return found, split


def _say_curve(curve: LoadedCurve) -> None:
    from hmexp.report.page.terminal import draw_curve

    label = f" EMULATED {curve.profile}" if curve.profile else ""
    print(
        f"Chase on {curve.probe_pattern}, {curve.operation} on {curve.load_pattern} by {curve.threads} "
        f"thread{'s'[: curve.threads > 1]}{label}"
    )
    print(f"{'delay ns':>9} {'load GB/s':>10} {'latency ns':>11}  95 % interval")
    for p in curve.points:
        delay = "idle" if p.delay_ns is None else str(p.delay_ns)
        s = p.latency
        print(f"{delay:>9} {p.load_gbps:>10.2f} {s.median:>11.1f}  {_say_interval(s)}")
    knee = curve.knee.load_gbps
    far = [] if knee is None else [abs(p.load_gbps - knee) for p in curve.points]
    marked = far.index(min(far)) if far else None
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


def _say_interval(summary: Summary) -> str:
    """The interval, unless so few samples say nothing of it."""
    from hmexp.measure.statistics import say_interval

    return say_interval(summary, lambda value: f"{value:.1f}", "..")


def _spacing(options: argparse.Namespace) -> int | None:
    return None if options.spacing is None else parse_size(options.spacing)


COMMAND = Command(
    "latency",
    "measure the latency of one pattern, idle or loaded",
    "Measure the latency of a pattern: idle, in several orders and on each node alone; or with --loaded, "
    "while other threads load the memory.",
    "JSON: an object with idle (the results by what was measured, as points.jsonl stores them) and split "
    "(each node alone, null for one node); with --loaded, the curve as points.jsonl stores it "
    "(docs/records.md).\n\n" + describe_statuses(),
    _add_options,
    _run,
)
