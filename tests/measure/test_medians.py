"""The median that needs little of numpy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hmexp.measure.statistics import median_of

_FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@given(arrays.arrays(np.float64, arrays.array_shapes(min_dims=1, max_dims=3), elements=_FINITE))
def test_it_is_numpys(values: np.ndarray) -> None:
    assert median_of(values) == pytest.approx(np.median(values), abs=1e-3)
    for axis in range(values.ndim):
        assert median_of(values, axis) == pytest.approx(np.median(values, axis=axis), abs=1e-3)


def test_a_summary_does_not_load_masked_arrays() -> None:
    code = (
        "import sys; from hmexp.measure.statistics import summarise; summarise([1.0, 2.0, 3.0]); "
        "sys.exit('numpy.ma' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
