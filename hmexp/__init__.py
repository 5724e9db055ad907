"""hmexp: experiments on hybrid memory.

>>> import hmexp
>>> pattern = hmexp.Pattern.parse("0")
>>> with hmexp.allocate("16MiB", pattern) as region:
...     region.placement().ok
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hmexp.campaign.run import run_campaign
    from hmexp.errors import HmexpError
    from hmexp.measure.bandwidth import measure_bandwidth
    from hmexp.measure.host import emulate
    from hmexp.measure.latency import measure_latency, measure_node_latencies, measure_store_latency
    from hmexp.measure.loaded import measure_loaded_latency
    from hmexp.measure.point import measure_point
    from hmexp.memory.region import Region, allocate
    from hmexp.pattern import Pattern
    from hmexp.report.run.dataset import load
    from hmexp.system.topology import read_topology

__version__ = "0.2.0"
__all__ = [
    "HmexpError", "Pattern", "Region", "allocate", "emulate", "load", "measure_bandwidth", "measure_latency",
    "measure_loaded_latency", "measure_node_latencies", "measure_point", "measure_store_latency",
    "read_topology", "run_campaign",
]  # fmt: skip

#: Loaded when they are first asked for: a worker starts anew for every point and needs few of them.
_HOMES: Final = {
    "HmexpError": "hmexp.errors",
    "Pattern": "hmexp.pattern",
    "Region": "hmexp.memory.region",
    "allocate": "hmexp.memory.region",
    "emulate": "hmexp.measure.host",
    "load": "hmexp.report.run.dataset",
    "measure_bandwidth": "hmexp.measure.bandwidth",
    "measure_latency": "hmexp.measure.latency",
    "measure_loaded_latency": "hmexp.measure.loaded",
    "measure_node_latencies": "hmexp.measure.latency",
    "measure_point": "hmexp.measure.point",
    "measure_store_latency": "hmexp.measure.latency",
    "read_topology": "hmexp.system.topology",
    "run_campaign": "hmexp.campaign.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
