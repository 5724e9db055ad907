"""The command ``hmexp nodes``: the NUMA nodes, as the kernel and the firmware describe them."""

from __future__ import annotations

import argparse

from hmexp.cli.machine import this_machine
from hmexp.cli.options import Command, add_json
from hmexp.cli.output import print_json
from hmexp.cli.status import ExitStatus, describe_statuses
from hmexp.system.node import join_evidence
from hmexp.units import format_size


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_json(parser, "the nodes")


def _run(options: argparse.Namespace) -> int:
    topology = this_machine()
    if options.json:
        limits = topology.limits.to_record()
        print_json({"nodes": topology.as_records(), "notes": topology.notes, "limits": limits})
        return ExitStatus.OK
    print("node  kind     CPUs   memory     free       read GB/s  write GB/s  latency ns  distances")
    for node in topology.nodes:
        figures = (node.read_gbps, node.write_gbps, node.read_latency_ns)
        hmat = [f"{value:g}" if value is not None else "-" for value in figures]
        distances = " ".join(f"{other}:{distance}" for other, distance in sorted(node.distances.items()))
        print(
            f"{node.id:<5} {node.kind:<8} {len(node.cpus):<6} {format_size(node.total_bytes):<10} "
            f"{format_size(node.free_bytes):<10} {hmat[0]:<10} {hmat[1]:<11} {hmat[2]:<11} {distances}"
        )
    for node in topology.nodes:
        if node.evidence:
            print(f"node {node.id} is {node.kind}: {join_evidence(node.evidence)}")
    for note in topology.notes:
        print(f"note: {note}")
    return ExitStatus.OK


COMMAND = Command(
    "nodes",
    "list the NUMA nodes with their kinds and why, sizes, distances and HMAT speeds",
    "List the NUMA nodes, and for each the kind of its memory (dram, nvm, cxl, hbm, gpu or unknown) and why: "
    "the file and what it says. Bandwidths and latencies are what the firmware claims in its HMAT, if it "
    "has one; nothing is measured.",
    "JSON: an object with nodes and limits, as run.json stores them (docs/records.md), and notes; limits is "
    "null where there is none.\n\n" + describe_statuses(),
    _add_options,
    _run,
)
