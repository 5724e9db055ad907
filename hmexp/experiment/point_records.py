"""The record of a point, from those of its launches."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from hmexp.experiment.kinds import find_kind, find_samples
from hmexp.measure.launch_effects import INDEPENDENT, LaunchEffects
from hmexp.measure.rounds import Made, interval_of_rounds, rounds_of
from hmexp.store.evidence import PlacementRecord, Proof, SetupRecord
from hmexp.store.parameters import LoopPoint
from hmexp.store.parts import LaunchPart, Multiple
from hmexp.store.records import LaunchRecord, PointRecord


def join_launches(
    launches: Sequence[LaunchRecord], *, added: bool = False, baseline_id: str | None = None
) -> PointRecord:
    """Make the record of a point.

    The point is `ok` if every launch is, with its own proof before and after; else it has the status,
    the reason and the proof of the first launch that is not.

    Parameters
    ----------
    launches : sequence of LaunchRecord
        In the order of their numbers.
    added : bool
        The point was not asked for: it is all DRAM, for others to be compared with.
    baseline_id : str, optional
        The all-DRAM point that this one is compared with.
    """
    first = next((record for record in launches if record.status != "ok"), launches[0])
    results = [record.result for record in launches if record.result is not None]
    ok = first.status == "ok" and len(results) == len(launches)
    return PointRecord(
        point_id=first.point_id,
        status=first.status,
        reason=first.reason,
        error=first.error,
        traceback=first.traceback,
        last_words=first.last_words,
        parameters=first.parameters,
        result=find_kind(first.parameters).join(results) if ok else None,
        setup=_join_setup([record.setup for record in launches if record.setup is not None], first.setup),
        settings=first.settings,
        proof=_around(launches) if ok else first.proof,
        modelled_pages=first.modelled_pages,
        dram_share=first.dram_share,
        model=first.model,
        emulated=first.emulated,
        profile=first.profile,
        timing_valid=all(record.timing_valid for record in launches),
        timing_note=first.timing_note,
        started=min(record.started for record in launches),
        elapsed_seconds=round(sum(record.elapsed_seconds for record in launches), 3),
        machine=first.machine,
        added=added,
        baseline_id=baseline_id,
        launches=tuple(_part(record, _around(launches) if ok else first.proof) for record in launches),
    )


def with_baseline(
    record: PointRecord, baseline: PointRecord | None, effects: LaunchEffects = INDEPENDENT
) -> PointRecord:
    """The record with its result as a multiple of the all-DRAM one, if both were measured.

    Parameters
    ----------
    record : PointRecord
        The record.
    baseline : PointRecord or None
        That of the all-DRAM point.
    effects : LaunchEffects
        What the multiples of the whole run say of one another.
    """
    multiple = None if baseline is None else _compare(record, baseline, effects)
    return record if multiple is None else msgspec.structs.replace(record, of_dram=multiple)


def quotients(record: PointRecord, baseline: PointRecord) -> tuple[float, ...]:
    """The multiples of each round in which both were launched; nothing if that was not in turns."""
    mine, other = made_launches(record), made_launches(baseline)
    return rounds_of(mine, other)


def made_launches(record: PointRecord) -> tuple[Made, ...]:
    """The launches of a point, each with its median; nothing if its record does not tell them apart."""
    found = find_samples(record)
    if record.status != "ok" or found is None or len(found.launches) != len(record.launches):
        return ()
    return tuple(
        Made(part.launch, part.started, launch.median)
        for part, launch in zip(record.launches, found.launches, strict=True)
    )


def group_of(record: PointRecord) -> str:
    """Points that the same noise moves alike: bandwidths and latencies it does not."""
    given = record.parameters
    return given.operation if isinstance(given, LoopPoint) else str(given.__struct_config__.tag)


def _compare(record: PointRecord, baseline: PointRecord, effects: LaunchEffects) -> Multiple | None:
    """A result as a multiple of the all-DRAM one: over the rounds, or as widely as both intervals allow."""
    mine, other = find_samples(record), find_samples(baseline)
    if record.status != "ok" or baseline.status != "ok" or mine is None or other is None:
        return None
    if mine.ci_low is None or mine.ci_high is None or other.ci_low is None or other.ci_high is None:
        return None
    middle, found = mine.median / other.median, quotients(record, baseline)
    if found:
        low, high = interval_of_rounds(found, middle, effects, group_of(record))
        return Multiple(median=middle, ci_low=low, ci_high=high, rounds=len(found))
    return Multiple(median=middle, ci_low=mine.ci_low / other.ci_high, ci_high=mine.ci_high / other.ci_low)


def _around(launches: Sequence[LaunchRecord]) -> Proof | None:
    """The proof around all launches: before the first, after the last."""
    first, last = launches[0].proof, launches[-1].proof
    if first is None or last is None:
        return first or last
    return Proof(before=first.before, after=last.after)


def _join_setup(setups: Sequence[SetupRecord], first: SetupRecord | None) -> SetupRecord | None:
    if first is None or not setups:
        return first
    seconds = [setup.seconds for setup in setups if setup.seconds is not None]
    return msgspec.structs.replace(
        first,
        ns_per_page=statistics.median(setup.ns_per_page for setup in setups),
        seconds=statistics.median(seconds) if seconds else None,
    )


def _part(launch: LaunchRecord, shown: Proof | None) -> LaunchPart:
    proof = launch.proof
    if proof is not None and shown is not None:
        # Most launches lie alike: the point's own strips show it, and they are most of a record.
        proof = Proof(
            before=_without_strip(proof.before, shown.before), after=_without_strip(proof.after, shown.after)
        )
    return LaunchPart(
        launch=launch.launch,
        purpose=launch.purpose,
        start=launch.start,
        status=launch.status,
        reason=launch.reason,
        error=launch.error,
        started=launch.started,
        elapsed_seconds=launch.elapsed_seconds,
        machine=launch.machine,
        setup=launch.setup,
        proof=proof,
    )


def _without_strip(own: PlacementRecord | None, shown: PlacementRecord | None) -> PlacementRecord | None:
    if own is None or shown is None or own.strip != shown.strip:
        return own
    return msgspec.structs.replace(own, strip=())
