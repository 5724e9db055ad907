"""Intervals at the end of a run, when all its launches can be asked how they depend on one another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from hmexp.experiment.point_records import group_of, quotients, with_baseline
from hmexp.measure.launch_effects import LaunchEffects, find_launch_effects
from hmexp.measure.rounds import OF_DRAM
from hmexp.measure.statistics import summarise_launches
from hmexp.store.parts import EffectsRecord
from hmexp.store.records import PointRecord
from hmexp.store.results import Measured
from hmexp.store.run import RunDirectory


def settle_intervals(directory: RunDirectory, records: Sequence[PointRecord]) -> EffectsRecord | None:
    """Widen the intervals of a run whose launches depend on one another; store those that change.

    Parameters
    ----------
    directory : RunDirectory
        Gains a record more of each point whose interval changes.
    records : sequence of PointRecord
        All its points.

    Returns
    -------
    EffectsRecord or None
        What was found; None if launches look independent, or too few were made to say.
    """
    launches = {record.point_id: _launches(record) for record in records}
    several = [record for record in records if len(launches[record.point_id]) > 1]
    effects = find_launch_effects(
        [(group_of(record), [float(np.median(s)) for s in launches[record.point_id]]) for record in several]
    )
    # Records that were widened by an earlier try are looked at again, whatever was found now.
    stated = {r.point_id: _restate(r, launches[r.point_id], effects) for r in several}
    known = {record.point_id: record for record in records} | stated
    pairs = [(r, base) for r in known.values() if (base := known.get(r.baseline_id or "")) is not None]
    of_dram = find_launch_effects([(group_of(r) + OF_DRAM, quotients(r, base)) for r, base in pairs])
    fresh = known | {r.point_id: with_baseline(r, base, of_dram) for r, base in pairs}
    for record in records:
        if fresh[record.point_id] != record:
            directory.append(fresh[record.point_id])
    if not effects and not of_dram:
        return None
    return EffectsRecord(
        autocorrelation=round(effects.autocorrelation, 3),
        two_states=effects.two_states,
        points=len(several),
        of_dram_autocorrelation=round(of_dram.autocorrelation, 3),
        of_dram_two_states=of_dram.two_states,
    )


def _launches(record: PointRecord) -> list[tuple[float, ...]]:
    """The samples of each launch; none where the record does not tell them apart."""
    result = record.result
    if record.status != "ok" or not isinstance(result, Measured):
        return []
    ends = np.cumsum([0, *(launch.n for launch in result.launches)])
    if ends[-1] != len(result.samples):
        return []
    return [result.samples[start:end] for start, end in pairwise(ends)]


def _restate(
    record: PointRecord, launches: Sequence[tuple[float, ...]], effects: LaunchEffects
) -> PointRecord:
    result = record.result
    assert isinstance(result, Measured)
    if not effects and result.interval_widened is None:
        return record
    plain, wide = summarise_launches(launches), summarise_launches(launches, effects, group_of(record))
    widened = wide.half_width / plain.half_width if effects and plain.half_width > 0 else None
    fresh = msgspec.structs.replace(
        result,
        ci_low=wide.ci_low,
        ci_high=wide.ci_high,
        interval_widened=None if widened is None else round(widened, 3),
    )
    return msgspec.structs.replace(record, result=fresh)
