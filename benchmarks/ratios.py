"""Ratios of two things measured by turns, and how far they may be off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Median of ratios, and its 95 % percentile bootstrap interval (of few ratios it covers too little)."""
    values = np.asarray(ratios, dtype=np.float64)
    drawn = values[np.random.default_rng(1).integers(0, values.size, (4000, values.size))]
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(np.median(values)), float(low), float(high)
