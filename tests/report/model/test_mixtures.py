"""The models against published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hmexp.errors import ParameterError
from hmexp.report.model.mixtures import bandwidth_gbps, best_share, latency_ns

# STREAM on DRAM and CXL, GB/s. Gregory Price, cover letter of Linux' weighted-interleave patches v4, 2024:
# kernel, DRAM alone, CXL alone, 1:1, 9:1 for the whole process, 9:1 for the arrays only.
PUBLISHED = [
    ("copy", 200.92, 22.21, 44.67, 190.09, 205.83),
    ("scale", 202.12, 22.29, 44.78, 207.68, 208.17),
    ("add", 208.87, 24.42, 48.60, 202.04, 217.35),
    ("triad", 208.52, 24.48, 48.73, 217.67, 216.88),
]


@pytest.mark.parametrize(("kernel", "dram", "cxl", "one_to_one"), [row[:4] for row in PUBLISHED])
def test_bandwidth_is_exact_far_from_the_optimum(
    kernel: str, dram: float, cxl: float, one_to_one: float
) -> None:
    assert bandwidth_gbps(0.5, dram, cxl) == pytest.approx(one_to_one, rel=0.006), kernel


@pytest.mark.parametrize(
    ("kernel", "dram", "cxl", "measured"),
    [(k, d, c, m) for k, d, c, _, *both in PUBLISHED for m in both],
)
def test_machines_stay_6_to_15_percent_below_the_model_near_the_optimum(
    kernel: str, dram: float, cxl: float, measured: float
) -> None:
    assert 0.85 < measured / bandwidth_gbps(0.9, dram, cxl) < 0.945, kernel


def test_bandwidth_peaks_at_the_sum_where_both_are_busy() -> None:
    share = best_share(16.0, 6.0)
    assert share == pytest.approx(16 / 22)
    assert bandwidth_gbps(share, 16.0, 6.0) == pytest.approx(22.0)
    around = bandwidth_gbps(np.linspace(0, 1, 1001), 16.0, 6.0)
    assert float(around.max()) <= 22.0 + 1e-9


def test_ends_are_the_memories_alone() -> None:
    assert bandwidth_gbps(np.array([0.0, 1.0]), 16.0, 6.0).tolist() == [6.0, 16.0]
    assert latency_ns(np.array([0.0, 0.5, 1.0]), 250.0, 750.0).tolist() == [750.0, 500.0, 250.0]
    assert isinstance(bandwidth_gbps(1.0, 16.0, 6.0), float)
    assert isinstance(latency_ns(0.5, 250.0, 750.0), float)


@pytest.mark.parametrize("share", [-0.01, 1.01, 50.0, math.nan])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ParameterError, match="not between 0 and 1"):
        bandwidth_gbps(share, 16.0, 6.0)
    with pytest.raises(ParameterError, match="not between 0 and 1"):
        latency_ns(np.array([0.5, share]), 250.0, 750.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, math.inf])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ParameterError, match="slow_gbps"):
        bandwidth_gbps(0.5, 16.0, speed)
    with pytest.raises(ParameterError, match="dram_gbps"):
        best_share(speed, 6.0)
