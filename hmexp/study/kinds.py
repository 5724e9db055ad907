"""The kinds of the studies' points, as a worker measures them."""

from __future__ import annotations

from hmexp.experiment.kinds import Prepared, Taken
from hmexp.experiment.task import Task
from hmexp.measure.behaviour import BEHAVIOURS
from hmexp.measure.dispatch import at_full_load
from hmexp.measure.granularity import measure_windows
from hmexp.measure.injection import DELAYS_NS, Injection
from hmexp.measure.loaded import measure_loaded_latency
from hmexp.measure.mix import Mix, Stores
from hmexp.measure.rings import RingPlan
from hmexp.measure.sampling import Sampling
from hmexp.measure.setup import measure_mappings, measure_setup
from hmexp.memory.emulation import Emulation
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.store.parameters import BehaviourPoint, CostPoint, CurvePoint, GranulePoint, MappingsPoint


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


def measure_curve(task: Task) -> Taken:
    """Measure latency beside a mix of loads and stores, from no load to all that the threads can make."""
    point = task.parameters
    assert isinstance(point, CurvePoint)
    emulation = None if task.emulation is None else Emulation.from_record(task.emulation)
    pattern = Pattern.parse(point.pattern, point.granule_bytes)
    stores: Stores = "nt" if point.stores == "nt" else "regular"
    injection = Injection(point.delays_ns or DELAYS_NS, mix=Mix(point.read_percent, stores))
    with allocate(point.size_bytes, pattern, point.placer, emulation=emulation) as region:
        curve = measure_loaded_latency(
            region,
            "read",
            point.threads,
            ring=RingPlan(seed=1 + task.launch),
            injection=injection,
            sampling=Sampling(point.samples, point.sample_seconds),
        )
        found = at_full_load(curve, "loaded_read")
        return Taken(
            found.to_record(),
            setup=region.setup.to_record(),
            proof=found.proof_record(),
            settings=region.setup.settings,
            host_bound=found.noise is not None and found.noise.host_bound,
        )


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
