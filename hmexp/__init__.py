"""hmexp: experiments on hybrid memory.

>>> import hmexp
>>> pattern = hmexp.Pattern.parse("0")
>>> with hmexp.allocate("16MiB", pattern) as region:
...     region.placement().ok
True
"""

from __future__ import annotations

from hmexp.errors import HmexpError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.host import emulate
from hmexp.measure.latency import measure_latency, measure_node_latencies, measure_store_latency
from hmexp.measure.loaded import measure_loaded_latency
from hmexp.measure.point import measure_point
from hmexp.memory.region import Region, allocate
from hmexp.pattern import Pattern
from hmexp.system.topology import read_topology

__version__ = "0.1.0"
__all__ = [
    "HmexpError", "Pattern", "Region", "allocate", "emulate", "measure_bandwidth", "measure_latency",
    "measure_loaded_latency", "measure_node_latencies", "measure_point", "measure_store_latency",
    "read_topology",
]  # fmt: skip
