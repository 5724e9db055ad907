"""Many records in little memory: parts that are equal become one object.

The launches of a point look alike, and so do the placements of its pages before and after the samples.
Records are frozen, so nobody can tell a shared part from a part of its own.
"""

from __future__ import annotations

from typing import TypeVar, cast

from msgspec.structs import replace

from hmexp.store.evidence import PlacementRecord, Proof
from hmexp.store.parts import LaunchPart
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured

T = TypeVar("T")
Values = TypeVar("Values", bound=tuple[object, ...])
Strip = tuple[tuple[int, ...], ...]


class Sharing:
    """Makes the records of one run share their equal parts."""

    def __init__(self) -> None:
        self._strips: dict[Strip, Strip] = {}
        # By the name of their field: (0, 0) and (0.0, 0.0) are equal, and are not the same.
        self._tuples: dict[tuple[str, tuple[object, ...]], tuple[object, ...]] = {}

    def __call__(self, record: PointRecord) -> PointRecord:
        """Return an equal record that shares what it can with itself and with the records before it."""
        result = record.result
        return replace(
            record,
            proof=self._proof(record.proof),
            launches=self._launches(record.launches),
            result=self._measured(result) if isinstance(result, Measured) else result,
        )

    def _proof(self, proof: Proof | None) -> Proof | None:
        if proof is None:
            return None
        before = self._placement(proof.before)
        return Proof(before=before, after=_one_of(before, self._placement(proof.after)))

    def _placement(self, found: PlacementRecord | None) -> PlacementRecord | None:
        if found is None or not found.strip:
            return found
        return replace(found, strip=self._strips.setdefault(found.strip, found.strip))

    def _launches(self, launches: tuple[LaunchPart, ...]) -> tuple[LaunchPart, ...]:
        shared: list[LaunchPart] = []
        first: Proof | None = None
        for launch in launches:
            proof = _one_of(first, self._proof(launch.proof))
            first = first or proof
            shared.append(replace(launch, proof=proof))
        return tuple(shared)

    def _measured(self, result: Measured) -> Measured:
        launches = [
            replace(launch, details=_one_of(result.details, launch.details)) for launch in result.launches
        ]
        noise = result.noise
        if noise is not None:
            noise = replace(
                noise,
                preempted=self._same("preempted", noise.preempted),
                migrated=self._same("migrated", noise.migrated),
                stolen=self._same("stolen", noise.stolen),
                flags=self._same("flags", noise.flags),
            )
        return replace(
            result,
            launches=tuple(launches),
            noise=noise,
            payload_bytes=self._same("payload_bytes", result.payload_bytes),
            bus_bytes=result.bus_bytes and self._same("bus_bytes", result.bus_bytes),
        )

    def _same(self, name: str, found: Values) -> Values:
        return cast("Values", self._tuples.setdefault((name, found), found))


def _one_of(known: T, found: T) -> T:
    """Return the known object if the other one is equal, so that the other one can go."""
    return known if known == found else found
