"""The caches of the CPUs, and whether a region shows them or the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmexp.system.caches import explain_cached, last_level_cache_bytes
from hmexp.units import MIB


def test_the_last_level_is_the_highest_that_a_cpu_has(tmp_path: Path) -> None:
    for level, size in ((1, "32K"), (2, "1024K"), (3, "32768K")):
        folder = tmp_path / f"devices/system/cpu/cpu0/cache/index{level}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    assert last_level_cache_bytes(tmp_path) == 32 * MIB
    assert last_level_cache_bytes(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("size_bytes", "cache_bytes", "says"),
    [
        (1, 32 * MIB, "fits in the last-level cache (32MiB): that is measured, not the memory"),
        (32 * MIB, 32 * MIB, "fits in"),
        (32 * MIB + 1, 32 * MIB, "is not far over the last-level cache (32MiB)"),
        (128 * MIB - 1, 32 * MIB, "is not far over"),
        (128 * MIB, 32 * MIB, None),
        (1, None, None),
    ],
)
def test_a_region_that_a_cache_has_room_for_is_told(
    size_bytes: int, cache_bytes: int | None, says: str | None
) -> None:
    found = explain_cached(size_bytes, cache_bytes)
    assert found is None if says is None else found is not None and found.startswith(says)
