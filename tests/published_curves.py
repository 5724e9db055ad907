"""Published curves of latency against load, at loads such as `hmexp curves` measures at."""

from __future__ import annotations

import numpy as np

from hmexp.memory.profile import Profile

NAMES = ("cxl-duplex", "ddr4-cascade-lake", "ddr5-sapphire-rapids")
#: Parts of a curve's extent: most loads beside the knee and above.
STEPS = np.concatenate([np.linspace(0.02, 0.9, 16), np.linspace(0.91, 1.0, 8)])


def published_curves() -> list[tuple[np.ndarray, np.ndarray]]:
    """Load and latency without noise of each curve of three memories [GB/s, ns]."""
    found = []
    for name in NAMES:
        family = Profile.load(name).slow.family
        assert family is not None
        for each in family.curves:
            least = min(each.bandwidth_gbps)
            load = least + (max(each.bandwidth_gbps) - least) * STEPS
            found.append((load, np.interp(load, each.bandwidth_gbps, each.latency_ns)))
    return found
