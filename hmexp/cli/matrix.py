"""The command ``hmexp matrix``: the memory of every node from the CPUs of every node."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hmexp.cli.machine import this_machine
from hmexp.cli.measuring import measured, say_plan
from hmexp.cli.options import DIRECTORY, Command, add_json, completed, run_directory
from hmexp.cli.output import print_json, say
from hmexp.cli.parameters import add_parameters, take_parameters
from hmexp.cli.requirements import require_measured
from hmexp.cli.status import ExitStatus, describe_statuses

if TYPE_CHECKING:
    from hmexp.machine.matrix.plan import MatrixExperiment

_HELP: Final = {
    "results": "folder of the run directories",
    "run": "name of the run directory; auto resumes an unfinished one",
    "timeout_seconds": "longest time of a process [s]",
    "seed": "seed of the order in which the processes are started",
    "initiators": "nodes whose CPUs measure; auto is all that this process may use",
    "nodes": "nodes whose memory is measured; auto is all that this process may use",
    "operations": "bandwidths and latencies; loaded_read is the latency under the load of reading",
    "size": "size of each region",
    "threads": "threads for bandwidth, or that load; auto (or 0) is all CPUs of the initiator",
    "placer": "how the pages get to their nodes",
    "launches": "fresh processes for each cell",
    "samples": "samples of each launch",
    "sample_seconds": "shortest time of a sample [s]",
    "precision": "take more samples until half the interval is at most this part of the median",
    "budget": "time for everything, such as 10min; none is as long as it takes",
    "emulate": "none, or NODE=PROFILE: a node that is modelled in software",
}


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hmexp.machine.matrix.plan import MatrixParameters

    add_json(parser, "every cell, what is claimed, and each disagreement")
    mode = parser.add_mutually_exclusive_group()
    read = mode.add_argument(
        "--from", dest="read", type=run_directory, metavar="RUN",
        help="show the matrix of an earlier run; measure nothing",
    )  # fmt: skip
    completed(read, DIRECTORY)
    mode.add_argument(
        "--explain", action="store_true", help="say what would be measured and how long it takes"
    )
    add_parameters(parser, MatrixParameters, _HELP)


def _run(options: argparse.Namespace) -> int:
    if options.read is not None:
        require_measured(options.read)
        return _show(options.read, options)
    from hmexp.machine.matrix.plan import MatrixParameters, make_matrix

    matrix = make_matrix(take_parameters(options, MatrixParameters), this_machine())
    say_plan(matrix, options)
    if options.explain:
        return _explain(matrix, options)
    with measured(matrix, options) as run:
        return _show(run, options)


def _explain(matrix: MatrixExperiment, options: argparse.Namespace) -> int:
    """Say what would be measured, the memory that it needs, and how long it takes."""
    from hmexp.sweep.explanation import explain

    found = explain(matrix.plan)
    if options.json:
        print_json(
            {
                "headline": matrix.headline,
                "notes": matrix.notes,
                "cells": found.points,
                "finished": found.finished,
                "launches": found.launches,
                "seconds": [found.seconds.low, found.seconds.high],
            }
        )
    else:
        print(found)
    return ExitStatus.OK


def _show(run: Path, options: argparse.Namespace) -> int:
    """Print the matrix of a run; it is a failure if no cell was measured."""
    from hmexp.machine.matrix.disagreements import find_disagreements
    from hmexp.machine.matrix.portrait import lines_of, say_claims
    from hmexp.machine.matrix.value import Matrix

    matrix = Matrix.load(run)
    if options.json:
        print_json(
            {
                "run": str(run),
                "labels": matrix.labels,
                "cells": [{**asdict(cell), "unit": cell.unit} for cell in matrix.cells],
                "claims": matrix.claims,
                "disagreements": find_disagreements(matrix),
                "missing": matrix.missing,
            }
        )
    else:
        print("\n".join(lines_of(matrix)))
        print("\nBeside what firmware and kernel claim:")
        for text in say_claims(matrix):
            print(f"  {text}")
    if not matrix.cells:
        say("No cell was measured.")
        return ExitStatus.FAILED
    return ExitStatus.OK


COMMAND = Command(
    "matrix",
    "measure every node's memory from every node's CPUs, beside what the firmware claims",
    "Measure bandwidth and latency between the CPUs of each node and the memory of each, and say where the "
    "firmware (HMAT, SLIT) or the kernel's weights claim something else. Safe to interrupt: run it again to "
    "resume.",
    "JSON: an object with run, labels, cells (initiator, node, operation, threads, median, low, high and "
    "unit: GB/s or ns), claims, disagreements (about, source, text) and missing; with --explain headline, "
    "notes, cells, finished, launches and seconds (from, to).\n\n"
    + describe_statuses("if a cell failed, or none was measured"),
    _add_options,
    _run,
)
