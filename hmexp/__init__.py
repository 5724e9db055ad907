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
from hmexp.measure.latency import measure_latency
from hmexp.memory.region import Region, allocate
from hmexp.pattern import Pattern

__version__ = "0.1.0"
__all__ = ["HmexpError", "Pattern", "Region", "allocate", "measure_bandwidth", "measure_latency"]
