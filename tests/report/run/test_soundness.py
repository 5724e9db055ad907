"""A share of DRAM that is refused is false, not only rounded."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hmexp.errors import StoreError
from hmexp.report.run.soundness import require_sound
from hmexp.store.parameters import LoopPoint
from hmexp.store.reader import POINTS, read_run, take_points
from hmexp.store.sharing import Sharing

EXAMPLE = Path(__file__).resolve().parents[3] / "results" / "example"
MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("size_bytes", "share", "sound"),
    [
        # 16 granules of 0,0,2,0: twelve are DRAM.
        (16 * MEBIBYTE, 12 / 16, True),
        (16 * MEBIBYTE, 13 / 16, False),
        # The last half of a granule is on node 2, and stays half, or is rounded up to a page of 2 MiB.
        (10 * MEBIBYTE + MEBIBYTE // 2, 8 / 10.5, True),
        (10 * MEBIBYTE + MEBIBYTE // 2, 8 / 11, True),
        (10 * MEBIBYTE + MEBIBYTE // 2, 1 / 2, False),
        # Less than a granule.
        (MEBIBYTE // 2, 1.0, True),
    ],
)
def test_a_region_that_granules_do_not_fill(size_bytes: int, share: float, sound: bool) -> None:
    run = read_run(EXAMPLE)
    [record, *_] = [
        found
        for found in take_points(EXAMPLE / POINTS, Sharing()).values()
        if isinstance(found.parameters, LoopPoint) and found.parameters.pattern == "0,0,2,0"
    ]
    given = msgspec.structs.replace(record.parameters, size_bytes=size_bytes, granule_bytes=MEBIBYTE)
    changed = msgspec.structs.replace(record, parameters=given, dram_share=share)
    if sound:
        require_sound([changed], run, "here")
        return
    with pytest.raises(StoreError, match="a DRAM share of"):
        require_sound([changed], run, "here")
