"""A distribution of times that takes no more memory however many there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hmexp.store.following_records import SpanOfTimes

#: Buckets to a doubling; eight make each time known within an eighth.
_BUCKETS = 8
_SIZE = 64 * _BUCKETS


class Spans:
    """Times, counted in buckets that grow by a fixed part."""

    def __init__(self) -> None:
        self._counts = np.zeros(_SIZE, dtype=np.int64)
        self._longest_ns = 0
        self._total_ns = 0

    def add(self, times_ns: npt.NDArray[np.int64]) -> None:
        """Count some times [ns]."""
        if not times_ns.size:
            return
        times = np.maximum(times_ns, 1)
        index = np.minimum((np.log2(times) * _BUCKETS).astype(np.int64), _SIZE - 1)
        self._counts += np.bincount(index, minlength=_SIZE)
        self._longest_ns = max(self._longest_ns, int(times.max()))
        self._total_ns += int(times.sum())

    @classmethod
    def total(cls, parts: list[Spans]) -> Spans:
        """All times of several together."""
        found = cls()
        for part in parts:
            found._include(part)
        return found

    def _include(self, other: Spans) -> None:
        self._counts += other._counts
        self._longest_ns = max(self._longest_ns, other._longest_ns)
        self._total_ns += other._total_ns

    def quantile_ns(self, part: float) -> float | None:
        """A time that this part of all does not exceed [ns]; None without any."""
        total = int(self._counts.sum())
        if not total:
            return None
        bucket = int(np.searchsorted(np.cumsum(self._counts), part * total))
        upper: float = 2.0 ** ((bucket + 1) / _BUCKETS)
        return min(upper, float(self._longest_ns))

    def to_record(self) -> SpanOfTimes:
        """The distribution as it is stored."""

        def seconds(part: float) -> float | None:
            found = self.quantile_ns(part)
            return None if found is None else found / 1e9

        count = int(self._counts.sum())
        return SpanOfTimes(
            count=count,
            median_seconds=seconds(0.5),
            p90_seconds=seconds(0.9),
            p99_seconds=seconds(0.99),
            longest_seconds=self._longest_ns / 1e9 if count else None,
            total_seconds=self._total_ns / 1e9,
        )
