"""Facts of a record that pages and tables show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

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
    looks = [look for proof in proofs for look in ((proof.before, proof.after) if proof else (None, None))]
    if all(look is None for look in looks):
        return None
    return all(look is not None and look.ok for look in looks)


def pages_text(pages: Mapping[int, int] | None) -> str | None:
    """Write pages per node as `0:21846 2:43690`, in order of the nodes' numbers."""
    if not pages:
        return None
    return " ".join([f"{node}:{pages[node]}" for node in sorted(pages)])


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
