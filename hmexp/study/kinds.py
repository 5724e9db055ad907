"""The kinds of the studies' points, as a worker measures them."""

from __future__ import annotations

from hmexp.experiment.kinds import Prepared, Taken
from hmexp.experiment.task import Task
from hmexp.measure.behaviour import BEHAVIOURS
from hmexp.measure.granularity import measure_windows
from hmexp.measure.sampling import Sampling
from hmexp.measure.setup import measure_mappings, measure_setup
from hmexp.memory.emulation import Emulation
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.store.parameters import BehaviourPoint, CostPoint, GranulePoint, MappingsPoint


def measure_cost(task: Task) -> Taken:
    """Populate by a placer and plainly, in turn."""
    point = task.parameters
    assert isinstance(point, CostPoint)
    pattern = Pattern.parse(point.pattern, point.granule_bytes)
    return Taken(measure_setup(point.placer, pattern, point.size_bytes, point.pairs))


def measure_growth(task: Task) -> Taken:
    """Bind the runs of growing regions one by one, until the kernel refuses."""
    point = task.parameters
    assert isinstance(point, MappingsPoint)
    return Taken(measure_mappings(Pattern.parse(point.pattern, point.granule_bytes), point.sizes_bytes))


def measure_behaviour(task: Task) -> Taken:
    """See whether a placement survives what programs do."""
    point = task.parameters
    assert isinstance(point, BehaviourPoint)
    pattern = Pattern.parse(point.pattern, point.granule_bytes)
    return Taken(BEHAVIOURS[point.behaviour](point.placer, pattern, point.size_bytes))


def prepare_granule(task: Task) -> Prepared:
    """Pages of 2 MiB against small ones are compared on memory as it is."""
    assert isinstance(task.parameters, GranulePoint)
    return Prepared(emulated=task.parameters.emulated)


def measure_granule(task: Task) -> Taken:
    """Measure a region, and the windows along it."""
    point = task.parameters
    assert isinstance(point, GranulePoint)
    emulation = None
    if point.emulated and task.emulation is not None:
        emulation = Emulation.from_record(task.emulation)
    pattern = Pattern.parse(point.pattern, point.granule_bytes)
    with allocate(point.size_bytes, pattern, point.placer, emulation=emulation, huge=point.huge) as region:
        result = measure_windows(
            region,
            point.window_bytes,
            operation=point.operation,
            threads=point.threads,
            sampling=Sampling(point.samples, point.sample_seconds),
        )
        return Taken(result, setup=result.setup, proof=result.proof, settings=region.setup.settings)
