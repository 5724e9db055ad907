"""hmexp: experiments on hybrid memory.

>>> import hmexp
>>> pattern = hmexp.Pattern.parse("0")
>>> with hmexp.allocate("16MiB", pattern) as region:
...     region.placement().ok
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hmexp.errors import HmexpError
from hmexp.measure.bandwidth import measure_bandwidth
from hmexp.measure.host import emulate
from hmexp.measure.latency import measure_latency, measure_node_latencies, measure_store_latency
from hmexp.measure.loaded import measure_loaded_latency
from hmexp.measure.point import measure_point
from hmexp.memory.region import Region, allocate
from hmexp.pattern import Pattern

if TYPE_CHECKING:
    from hmexp.report.dataset import Dataset, Sources

__version__ = "0.1.0"
__all__ = [
    "HmexpError", "Pattern", "Region", "allocate", "emulate", "load", "measure_bandwidth", "measure_latency",
    "measure_loaded_latency", "measure_node_latencies", "measure_point", "measure_store_latency",
]  # fmt: skip


def load(sources: Sources) -> Dataset:
    """Read stored runs as pandas tables: `.points`, `.samples` and `.run`, with units in the columns' names.

    See `hmexp.report.dataset.load`, which this is.
    """
    # Not above: each point of a sweep is a process of its own, which should not wait for pandas.
    from hmexp.report import dataset

    return dataset.load(sources)
