"""Lay out 64 MiB over the nodes of this machine, prove it, and measure it both ways.

Runs on any machine: with one node, the pattern has that node alone.

    .venv/bin/python examples/place_and_prove.py
"""

from __future__ import annotations

import hmexp
from hmexp.system.topology import read_topology


def main() -> None:
    """Place, prove, measure."""
    nodes = [node.id for node in read_topology().memory_nodes]
    pattern = hmexp.Pattern.from_ratio({node: 1 if node == nodes[0] else 2 for node in nodes})
    print(f"pattern {pattern}")
    for placer in ("first_touch", "move_pages"):
        with hmexp.allocate("64MiB", pattern, placer=placer) as region:
            print(f"{placer}: {region.placement().summary}, {region.setup.ns_per_page:.0f} ns per page")
            print(f"  {hmexp.measure_bandwidth(region, 'read')}")
            print(f"  {hmexp.measure_bandwidth(region, 'write')}")
            print(f"  {hmexp.measure_latency(region)}")


if __name__ == "__main__":
    main()
