"""Facts of a record that pages and tables show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from hmexp.report.run.point import Point
from hmexp.store.evidence import PlacementRecord
from hmexp.store.records import PointRecord


def last_look(record: PointRecord) -> PlacementRecord | None:
    """Where the pages were when they were last looked at."""
    proof = record.proof
    return None if proof is None else proof.after or proof.before


def proof_ok(record: PointRecord) -> bool | None:
    """True if every page was in its place before and after each launch; None if that was not looked at."""
    proofs = [launch.proof for launch in record.launches] or [record.proof]
    looked = complete = False
    for number, proof in enumerate(proofs):
        before, after = (None, None) if proof is None else (proof.before, proof.after)
        looked = looked or before is not None or after is not None
        well = before is not None and before.ok and after is not None and after.ok
        complete = well and (complete or number == 0)
    return complete if looked else None


def pages_text(pages: Mapping[int, int] | None) -> str | None:
    """Write pages per node as `0:21846 2:43690`, in order of the nodes' numbers."""
    return _pages_text(tuple(pages.items())) if pages else None


# A large run has the same few counts again and again.
@lru_cache(maxsize=1024)
def _pages_text(pages: tuple[tuple[int, int], ...]) -> str:
    return " ".join([f"{node}:{count}" for node, count in sorted(pages)])


def why_stopped(point: Point) -> str | None:
    """Why the launches stopped, such as `precision 4, cap 1`; None if that is not recorded."""
    result = point.result
    if result is None:
        return None
    every = [launch.details for launch in result.launches] or [result.details]
    stops = [details.stop for details in every if details is not None and details.stop is not None]
    if all(stop.stopped == stops[0].stopped for stop in stops):
        # As with most points: a Counter takes several times as long.
        return f"{stops[0].stopped} {len(stops)}" if stops else None
    counted = Counter(stop.stopped for stop in stops)
    return ", ".join(f"{why} {count}" for why, count in counted.most_common())
