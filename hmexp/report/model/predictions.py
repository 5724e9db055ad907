"""What a model predicts for each point, and where that model came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from hmexp.errors import HmexpError
from hmexp.measure.quantity import is_latency, is_loaded, predictable
from hmexp.memory.emulation import Emulation
from hmexp.memory.speed import FIGURES
from hmexp.report.model.mixtures import Floats, bandwidth_gbps, best_share, latency_ns
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.store.machine import EmulationRecord

Source = Literal["profile", "endpoints"]
SOURCE_NAMES: Final[dict[Source, str]] = {
    "profile": "profile's own curve",
    "endpoints": "model from measured endpoints",
}
#: A curve drawn from two numbers must pass through what the records say, to this relative error.
_SAME: Final = 0.005
_MIN_SERIES: Final = 2


@dataclass(frozen=True)
class Prediction:
    """What a model says of one point, in the unit of its result."""

    value: float
    source: Source
    #: True where the prediction is the measurement itself: a model's error there means nothing.
    is_endpoint: bool = False


@dataclass(frozen=True)
class ModelCurve:
    """A model against DRAM share."""

    shares: Floats
    values: Floats
    source: Source
    #: Share at which bandwidth peaks; None for latency, or if only single predictions are known.
    best: float | None
    #: True if single predictions are joined by straight lines: between them it says nothing.
    joined: bool = False


def predict(results: Results) -> dict[str, Prediction]:
    """Predict every point that can be predicted.

    Emulated runs: what the scaled profile itself says, as stored in the record. Others: the model fed
    with this run's own all-DRAM and all-slow points, of the same operation and the same parameters.

    Returns
    -------
    dict of str to Prediction
        By `point_id`; a point without both endpoints is absent.
    """
    predictions = {}
    for point in results.points:
        if results.emulated:
            model = point.record.model
            if model is not None and model.value > 0:
                predictions[point.point_id] = Prediction(model.value, "profile")
        elif point.ok and not is_loaded(point.operation) and (ends := endpoints(point, results)) is not None:
            dram, slow = ends
            if min(dram.value.median, slow.value.median) <= 0:
                continue
            predictions[point.point_id] = Prediction(
                _model(point.operation, point.share, dram.value.median, slow.value.median),
                "endpoints",
                is_endpoint=point.point_id in (dram.point_id, slow.point_id),
            )
    return predictions


def endpoints(point: Point, results: Results) -> tuple[Point, Point] | None:
    """Find the all-DRAM and the all-slow point that a point is a mixture of.

    They differ from it in nothing but the pattern, and have the same mix of nodes within each kind:
    ``0,1,2`` is a mixture of ``0,1`` and ``2``, not of ``0`` and ``2``.
    """
    peers = results.peers(point)
    # A point of one kind gives only half the mixture: take the other half if there is one choice.
    dram = _end(peers, "dram_mix", point)
    slow = _end(peers, "slow_mix", point)
    return None if dram is None or slow is None else (dram, slow)


def _end(peers: Sequence[Point], mix: Literal["dram_mix", "slow_mix"], point: Point) -> Point | None:
    other = "slow_mix" if mix == "dram_mix" else "dram_mix"
    wanted = getattr(point, mix)
    found = [p for p in peers if getattr(p, mix) and not getattr(p, other)]
    if not getattr(point, other):  # the point is this end itself
        return point if wanted else None
    if wanted:
        found = [p for p in found if getattr(p, mix) == wanted]
        return found[0] if found else None
    return found[0] if len(found) == 1 else None


def curve(points: Sequence[Point], results: Results, predictions: dict[str, Prediction]) -> ModelCurve | None:
    """Find the model's curve for the points of one series and operation.

    Two numbers make a smooth curve; it is used only if it passes through every stored prediction.
    Otherwise the stored predictions themselves are joined by straight lines.
    """
    known = [(p.share, predictions[p.point_id]) for p in points if p.ok and p.point_id in predictions]
    if not known:
        return None
    shares, values = np.array([x for x, _ in known]), np.array([y.value for _, y in known])
    operation, source = points[0].operation, known[0][1].source
    find_ends = _profile_ends if source == "profile" else _measured_ends
    ends = find_ends(points, results)
    if ends is not None:
        expected = np.array([_model(operation, float(x), *ends) for x in shares])
        if bool(np.all(np.abs(values / expected - 1) <= _SAME)):
            best = None if is_latency(operation) else best_share(*ends)
            grid = np.linspace(0, 1, 201)
            grid = grid if best is None else np.sort(np.append(grid, best))
            smooth = latency_ns(grid, *ends) if is_latency(operation) else bandwidth_gbps(grid, *ends)
            return ModelCurve(grid, smooth, source, best)
    if len(known) < _MIN_SERIES:
        return None
    order = np.argsort(shares, kind="stable")
    return ModelCurve(shares[order], values[order], source, None, joined=True)


def _model(operation: str, share: float, dram: float, slow: float) -> float:
    return latency_ns(share, dram, slow) if is_latency(operation) else bandwidth_gbps(share, dram, slow)


def _measured_ends(points: Sequence[Point], results: Results) -> tuple[float, float] | None:
    pairs = {tuple(e.point_id for e in ends) for p in points if p.ok and (ends := endpoints(p, results))}
    if len(pairs) != 1:
        return None
    (pair,) = pairs
    medians = {p.point_id: p.value.median for p in results.ok}
    return medians[pair[0]], medians[pair[1]]


def _profile_ends(points: Sequence[Point], results: Results) -> tuple[float, float] | None:
    """What the emulated nodes show alone, by their own model: between them it is the curve of two numbers."""
    dram = {node for p in points for node in p.dram_mix}
    slow = {node for p in points for node in p.slow_mix}
    operation = predictable(points[0].operation)
    if operation is None or len(dram) != 1 or len(slow) != 1:
        return None
    if results.emulation is None:
        return None
    try:
        emulation = Emulation.from_record(results.emulation)
        count = points[0].threads or 1
        fast_end, slow_end = (emulation.predict({node: 1}, operation, count) for node in (*dram, *slow))
    except (HmexpError, LookupError, TypeError, ValueError):
        return _stored_ends(operation, dram.pop(), slow.pop(), results.emulation)
    return fast_end, slow_end


def _stored_ends(
    operation: str, dram: int, slow: int, emulation: EmulationRecord
) -> tuple[float, float] | None:
    """The two speeds as `run.json` has them, for a profile that this version cannot read."""
    figure = {str(quantity): name for quantity, name in FIGURES.items()}.get(operation)
    found = [getattr(emulation.nodes.get(node), figure or "", None) for node in (dram, slow)]
    known = [float(value) for value in found if value is not None and value > 0]
    return (known[0], known[1]) if len(known) == len(found) else None
