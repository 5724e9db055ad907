"""The command ``hmexp measure``: one point, now, on the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from hmexp.errors import ParameterError
from hmexp.measure.bandwidth import OPERATIONS, SHARES
from hmexp.measure.measurement import Measurement
from hmexp.measure.point import SIZE, measure_point
from hmexp.measure.threads import PLACEMENTS
from hmexp.memory.emulation import Emulation
from hmexp.native import ORDERS, PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.system.cpus import allowed_cpus
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import Topology, read_topology
from hmexp.units import parse_size

WINDOW = "16MiB"


def add_measure(commands: Any) -> None:
    """Add the command to the parser's."""
    measure = commands.add_parser(
        "measure", help="bandwidth of one pattern, beside all DRAM", allow_abbrev=False,
        description="Measure the bandwidth of a pattern, and of DRAM alone beside it.",
    )  # fmt: skip
    add_region(measure)
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
    measure.add_argument(
        "--launches", type=int, default=1, help="fresh processes with fresh pages (default: 1)"
    )
    measure.add_argument("--no-baseline", action="store_true", help="leave out all DRAM")
    measure.set_defaults(run=_measure)


def add_region(parser: argparse.ArgumentParser) -> None:
    """Add the options of a region and of its samples."""
    parser.add_argument("--pattern", required=True, help="which node each granule is on, such as 0,2,2")
    parser.add_argument("--size", default=SIZE, help=f"of the region (default: {SIZE})")
    parser.add_argument("--granule", default="page", help="bytes in a row on one node (default: page)")
    parser.add_argument("--pages", default="page", help="page (the machine's) or 2MiB (default: page)")
    parser.add_argument("--placer", default="first_touch", help="how pages get there (default: first_touch)")
    parser.add_argument(
        "--emulate", default="auto", help="auto: a node that is not there; none; or NODE=PROFILE[@absolute]"
    )
    parser.add_argument("--cpus", default=None, help="CPUs of the threads, such as 0,2")
    parser.add_argument(
        "--vector-bits", type=int, default=None, help="width of vectors (default: the widest)"
    )
    parser.add_argument("--samples", type=int, default=10, help="how many, at least (default: 10)")
    parser.add_argument("--sample-seconds", type=float, default=0.05, help="how long one is (default: 0.05)")
    parser.add_argument(
        "--precision", type=float, default=0.0,
        help="more samples until the interval's half width is that part of the median; 0: none (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--most-samples", type=int, default=None, help="cap on the samples (default: 4 times --samples)"
    )
    parser.add_argument("--json", action="store_true", help="print the record instead of words")


def _measure(options: argparse.Namespace) -> int:
    found = measure_point(
        pattern_of(options.pattern, options),
        options.op,
        options.threads,
        size=options.size,
        placer=options.placer,
        pages=options.pages,
        launches=options.launches,
        emulate=options.emulate,
        baseline=not options.no_baseline,
        topology=this_machine(),
        show=teller(options),
        cpus=cpus_of(options.cpus),
        placement=options.placement,
        order=options.order,
        stride_bytes=parse_size(options.stride),
        vector_bits=options.vector_bits,
        share=options.share,
        window_bytes=0 if options.window is None else parse_size(options.window),
        samples=options.samples,
        sample_seconds=options.sample_seconds,
        precision=options.precision,
        most_samples=options.most_samples,
    )
    if options.json:
        print(msgspec.json.encode(found.to_record()).decode())
        return 0
    say_emulated(found.emulation)
    this = found.measurement
    print(f"{options.pattern}: {this}")
    print(f"  {this.payload_bytes} bytes of payload a sample, about {this.bus_bytes} on the bus")
    if found.baseline is not None:
        print(f"all DRAM: {found.baseline}")
        print(f"  {options.pattern} is {found.of_dram:.3f} of all DRAM, with pages of the same size")
    if found.model is not None:
        print(f"model: {found.model:.4g} GB/s ({this.median / found.model - 1:+.1%})")
    for number, row in enumerate(getattr(this.details, "window_gbps", ())):
        print(f"windows of thread {number}, GB/s: {' '.join(f'{value:.3g}' for value in row)}")
    say_trust(this)
    return 0


def say_emulated(emulation: Emulation | None) -> None:
    """Say that a node is emulated, if one is."""
    if emulation is None:
        return
    node = next(iter(emulation.backing))
    speed = "at its published speed" if emulation.absolute else "scaled to this host"
    print(
        f"EMULATED: node {node} is {emulation.profile.title}, modelled in software on the DRAM of node "
        f"{emulation.backing[node]}, {speed}. Its numbers say nothing about this machine."
    )


def say_trust(found: Measurement) -> None:
    """Say what was proven, and what to beware of."""
    print(f"proof: {found.after.summary}")
    for warning in found.warnings:
        print(f"warning: {warning}")


def teller(options: argparse.Namespace) -> Callable[[str], None]:
    """What tells a person how far it is; nothing if a record is asked for."""

    def show(what: str) -> None:
        if not options.json and sys.stderr.isatty():
            print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)

    return show


def this_machine() -> Topology:
    """The nodes of this machine."""
    return read_topology(libnuma=LibNuma.load())


def pattern_of(text: str, options: argparse.Namespace) -> Pattern:
    """The pattern, with the granule of the options."""
    granule = PAGE_BYTES if options.granule == "page" else parse_size(options.granule)
    return Pattern.parse(text, granule)


def cpus_of(text: str | None) -> tuple[int, ...] | None:
    """The CPUs of a list."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ParameterError(
            f"cpus {text!r} is not a list of CPUs",
            f"write for example {','.join(map(str, allowed_cpus()[:2]))}",
        ) from None
