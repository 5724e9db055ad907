"""Records that are well formed and cannot be true: a report of them would be false, whatever it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from hmexp.errors import PatternError, StoreError
from hmexp.pattern import Pattern
from hmexp.store.parameters import LoopPoint
from hmexp.store.records import PointRecord, RunRecord
from hmexp.store.results import Measured

#: Of a DRAM share, which is written with as many digits as it has.
_TOLERANCE: Final = 0.001
_UNITS: Final = ("GB/s", "ns")


def require_sound(records: Iterable[PointRecord], run: RunRecord, where: object) -> None:
    """Refuse a run of which a measured point cannot be true.

    Only a sweep's points are looked at, and of these only those that say that they were measured.

    Parameters
    ----------
    records : iterable of PointRecord
        The last record of each point.
    run : RunRecord
        The run that they are said to be of.
    where : object
        The file that they were read from, for the message.

    Raises
    ------
    StoreError
        With the first such point, and what is wrong with it.
    """
    dram = frozenset(run.dram_nodes)
    for record in records:
        given = record.parameters
        if record.status != "ok" or not isinstance(given, LoopPoint):
            continue
        for look in _LOOKS:
            wrong = look(record, given, dram)
            if wrong is not None:
                raise StoreError(
                    f"{where}: point {record.point_id} ({given.operation}, pattern {given.pattern[:40]}) "
                    f"is said to be measured, but {wrong}",
                    "the file was changed since hmexp wrote it, or is of another run: restore it, or remove "
                    "the lines of that point and run the same command again, which measures it",
                )


def _wrong_result(record: PointRecord, _: LoopPoint, __: frozenset[int]) -> str | None:
    result = record.result
    if not isinstance(result, Measured):
        return "it has no result"
    if result.unit not in _UNITS:
        return f"its unit is {result.unit!r}, not {' or '.join(_UNITS)}"
    if not result.samples:
        return "it has no sample"
    if not (math.isfinite(result.median) and result.median > 0):
        return f"its median is {result.median:g} {result.unit}"
    low, high = result.ci_low, result.ci_high
    if low is not None and high is not None and not low <= high:
        return f"its interval ends ({high:g}) before it begins ({low:g})"
    return None


def _wrong_proof(record: PointRecord, _: LoopPoint, __: frozenset[int]) -> str | None:
    proof = record.proof
    looks = () if proof is None else (proof.before, proof.after)
    return "its own proof says that pages are misplaced" if any(x and not x.ok for x in looks) else None


def _wrong_share(record: PointRecord, given: LoopPoint, dram: frozenset[int]) -> str | None:
    share = _share(given.pattern, given.size_bytes, given.granule_bytes, dram)
    if share is None:
        return "its pattern is none"
    # A size that granules do not fill was rounded up to whole pages, by less than a granule.
    rounded = given.granule_bytes / given.size_bytes if given.size_bytes % given.granule_bytes else 0.0
    found = record.dram_share
    if found is None or not math.isclose(found, share, abs_tol=_TOLERANCE + rounded):
        said = "no DRAM share" if found is None else f"a DRAM share of {found:g}"
        return f"it has {said}, where its pattern and the DRAM nodes of run.json make {share:g}"
    return None


# A large run has the same few patterns again and again.
@lru_cache(maxsize=1024)
def _share(pattern: str, size_bytes: int, granule_bytes: int, dram: frozenset[int]) -> float | None:
    try:
        nodes = Pattern.parse(pattern).nodes
    except PatternError:
        return None
    # Of the region, in which the last period may be cut short.
    granules = -(-size_bytes // granule_bytes)
    periods, rest = divmod(granules, len(nodes))
    fast = periods * sum(node in dram for node in nodes) + sum(node in dram for node in nodes[:rest])
    return fast / granules


_LOOKS: Final[tuple[Callable[[PointRecord, LoopPoint, frozenset[int]], str | None], ...]] = (
    _wrong_result,
    _wrong_proof,
    _wrong_share,
)
