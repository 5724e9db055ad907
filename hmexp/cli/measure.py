"""The command ``hmexp measure``: the bandwidth of one pattern, now, on the terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hmexp.cli.machine import say_emulated, say_trust, this_machine, warn_of_quota
from hmexp.cli.options import Command, add_json, add_region, size, threads, whole
from hmexp.cli.output import print_json, teller
from hmexp.cli.region import note_size, read_access, read_pattern, read_sampling
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.units import parse_size

if TYPE_CHECKING:
    from hmexp.pattern import Pattern
    from hmexp.system.topology import Topology


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.measure.operation import OPERATIONS
    from hmexp.measure.threads import PINNINGS
    from hmexp.measure.walk import SHARES
    from hmexp.native import ACCESSES

    add_region(parser)
    parser.add_argument(
        "--operation", default="read",
        help=f"one of {', '.join(OPERATIONS)}; or reads:writes, such as 3:1 or 2:1nt (default: read)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=threads, default=1,
        help="threads, each on a CPU of its own; auto is all CPUs but one (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--pinning", default="near", metavar="WAY",
        help=f"which CPUs the threads run on: {', '.join(PINNINGS)} (default: near)",
    )  # fmt: skip
    parser.add_argument(
        "--access", default="sequential",
        help=f"order of the accesses: {', '.join(ACCESSES)}; strided:8KiB names the stride "
        "(default: sequential)",
    )  # fmt: skip
    parser.add_argument("--stride", type=size, help=argparse.SUPPRESS)
    parser.add_argument(
        "--share", default="slices",
        help=f"how threads divide the region: {', '.join(SHARES)} (default: slices)",
    )  # fmt: skip
    parser.add_argument(
        "--window", type=size, metavar="SIZE", help="also the bandwidth of each window of this size"
    )
    parser.add_argument(
        "--shapes", default="auto", metavar="SHAPE",
        help="how the loop walks: auto: what this CPU likes best, measured; plain; or a shape by name, such "
        "as places4-256 (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--launches", type=whole, default=1,
        help="fresh processes with fresh pages; 1 measures in this process (default: 1)",
    )  # fmt: skip
    parser.add_argument("--no-baseline", action="store_true", help="skip the all-DRAM baseline")
    add_json(parser, "the record")


def _run(options: argparse.Namespace) -> int:
    from hmexp.measure.point import measure_point
    from hmexp.measure.walk import Walk
    from hmexp.system.cpus import allowed_cpus

    machine = this_machine()
    pattern = read_pattern(options.pattern, options, machine)
    note_size(options, pattern, machine)
    access, stride_bytes = read_access(options.access, options.stride)
    threads_used = options.threads or max(1, len(allowed_cpus()) - 1)
    warn_of_quota(machine, threads_used)
    found = measure_point(
        pattern,
        options.operation,
        threads_used,
        size=options.size,
        placer=options.placer,
        page_bytes=options.page_bytes,
        launches=options.launches,
        emulate=options.emulate,
        baseline=not options.no_baseline,
        topology=machine,
        show=teller(options),
        pinning=options.pinning if options.cpus is None else options.cpus,
        walk=Walk(
            access,
            stride_bytes,
            options.share,
            None if options.window is None else parse_size(options.window),
            options.vector_bits,
            _shape_of(options, pattern, threads_used, machine),
        ),
        sampling=read_sampling(options),
    )
    if options.json:
        print_json(found.to_record())
        return ExitStatus.OK
    say_emulated(found.emulation)
    this = found.measurement
    print(f"{options.pattern}: {this}")
    print(f"  {this.payload_bytes} bytes of payload a sample, about {this.bus_bytes} on the bus")
    shape = getattr(this.details, "shape", "plain")
    if shape != "plain":
        print(f"  in the shape {shape} with vectors of {getattr(this.details, 'vector_bits', None)} bits")
    if found.baseline is not None:
        print(f"all DRAM: {found.baseline}")
        print(f"  {options.pattern} is {found.of_dram:.3f} of all DRAM, with pages of the same size")
    if found.model is not None:
        print(f"model: {found.model:.4g} GB/s ({this.median / found.model - 1:+.1%})")
    for thread, row in enumerate(getattr(this.details, "window_gbps", None) or ()):
        print(f"windows of thread {thread}, GB/s: {' '.join(f'{value:.3g}' for value in row)}")
    say_trust(this)
    return ExitStatus.OK


def _shape_of(options: argparse.Namespace, pattern: Pattern, threads_used: int, machine: Topology) -> str:
    """The shape that was asked for; measured, if so, where the nodes are real."""
    from hmexp.measure.shape_choice import shape_of
    from hmexp.measure.shapes import AUTO
    from hmexp.measure.threads import place_threads
    from hmexp.memory.emulated_node import find_request
    from hmexp.memory.page_sizes import find_page_bytes
    from hmexp.native import PLAIN
    from hmexp.system.near import near_dram

    emulated = find_request(options.emulate, machine, set(pattern.distinct_nodes)) is not None
    # A shape that is chosen has a vector width of its own: one that was asked for stands.
    plain = options.access != "sequential" or options.share != "slices" or options.vector_bits is not None
    if options.shapes == AUTO and (emulated or plain):
        return PLAIN
    return shape_of(
        options.shapes,
        options.operation,
        find_page_bytes(options.page_bytes),
        place_threads(threads_used, options.pinning if options.cpus is None else options.cpus),
        near_dram(machine),
        read_sampling(options).seconds,
    )


COMMAND = Command(
    "measure",
    "measure the bandwidth of one pattern, beside all DRAM",
    "Measure the bandwidth of a pattern, and of DRAM alone for comparison. Nothing is stored; `hmexp sweep` "
    "stores what it measures.",
    "JSON: an object with operation, parameters, result, proof, launches, baseline, of_dram, model, "
    "emulated, profile and emulation; result and proof are as points.jsonl stores them (docs/records.md).\n\n"
    + describe_statuses(),
    _add_options,
    _run,
)
