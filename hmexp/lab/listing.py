"""What the lab has and needs, as ``hmexp lab`` lists it: kernels, topologies, headers, programs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from hmexp.lab.accelerator import kvm_state
from hmexp.lab.catalogue import DISTRIBUTION
from hmexp.lab.headers import headers_directory
from hmexp.lab.kernels import describe_kernels, find_kernel
from hmexp.lab.tools import NEEDS, ensure_tools, installed, remedy
from hmexp.lab.topology import shipped_topologies

STATUS_LAB = 125
"""Exit status when the lab itself failed: the guest died, or could not start."""


def list_kernels(arguments: argparse.Namespace) -> int:
    """Print the kernels that are cached or can be fetched."""
    rows, failures = describe_kernels(refresh=arguments.refresh, everything=arguments.all)
    print_table(rows)
    for release, reason in failures.items():
        print(f"{release}: {reason}", file=sys.stderr)
    return 0 if rows else STATUS_LAB


def list_topologies(_: argparse.Namespace) -> int:
    """Print the topologies that hmexp ships."""
    print_table(
        [
            {"topology": name, "nodes": one.summary, "title": one.title}
            for name, one in shipped_topologies().items()
        ]
    )
    return 0


def print_headers(arguments: argparse.Namespace) -> int:
    """Fetch a kernel's headers and print where they are."""
    print(headers_directory(arguments.kernel))
    return 0


def print_needs(_: argparse.Namespace) -> int:
    """Print the programs that the lab needs, where they are, and whether KVM works."""
    found = installed()
    missing = [package for program, package in NEEDS.items() if program not in found]
    tools = ensure_tools()
    print_table(
        [
            {
                "program": program, "package": package, "path": str(tools.programs[program]),
                "here": "installed" if program in found else "unpacked beside the system",
            }
            for program, package in NEEDS.items()
        ]
    )  # fmt: skip
    if missing:
        print(f"optional: {remedy(missing)}")
    works, reason = kvm_state(find_kernel(DISTRIBUTION, tools), tools)
    print(f"KVM: {'works' if works else 'does not work'}: {reason}")
    if not works:
        print("Guests run under software emulation: they work, but their timings are not valid.")
    return 0


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows under their names, in columns as wide as need be."""
    if not rows:
        return
    lines = [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
