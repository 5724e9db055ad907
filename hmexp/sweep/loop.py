"""The kind ``loop``: one operation on one region, as a worker measures it."""

from __future__ import annotations

from collections.abc import Sequence

from hmexp import native
from hmexp.experiment.kinds import Prepared, Taken
from hmexp.experiment.task import Task
from hmexp.measure.dispatch import measure
from hmexp.measure.launches import join_results
from hmexp.measure.quantity import predictable
from hmexp.measure.sampling import Sampling
from hmexp.measure.walk import Walk
from hmexp.memory.emulation import Emulation
from hmexp.memory.page_sizes import require_page_size
from hmexp.memory.region import allocate
from hmexp.pattern import Pattern
from hmexp.store.parameters import LoopPoint
from hmexp.store.parts import Model
from hmexp.store.results import Measured, Result
from hmexp.sweep.access import read_access


def prepare(task: Task) -> Prepared:
    """Say how many pages there are of each node, and what emulated nodes must show."""
    point = _point(task)
    counts = _pattern(point).pages_per_node(point.size_bytes // native.PAGE_BYTES, native.PAGE_BYTES)
    pages = {node: count for node, count in counts.items() if count}
    dram = sum(count for node, count in pages.items() if node in task.dram_nodes)
    operation = predictable(point.operation)
    model = None
    if task.emulation is not None and operation is not None:
        emulation = Emulation.from_record(task.emulation)
        model = Model(value=emulation.predict(pages, operation, point.threads))
    return Prepared(pages, dram / sum(pages.values()), model)


def measure_loop(task: Task) -> Taken:
    """Measure the operation, with the proof before and after its samples."""
    point = _point(task)
    pattern = _pattern(point)
    access, stride_bytes = read_access(point.access)
    with allocate(
        point.size_bytes,
        pattern,
        point.placer,
        emulation=None if task.emulation is None else Emulation.from_record(task.emulation),
        calibrating=task.calibrating,
        huge=require_page_size(pattern, point.page_bytes or native.PAGE_BYTES),
    ) as region:
        found = measure(
            region,
            point.operation,
            point.threads,
            task.cpus,
            sampling=Sampling(point.samples, point.sample_seconds, point.precision, point.most_samples),
            # Launches differ in the order of their random accesses, too.
            seed=1 + task.launch,
            walk=Walk(access, stride_bytes, shape=task.shape),
        )
        return Taken(
            found.to_record(),
            setup=region.setup.to_record(),
            proof=found.proof_record(),
            settings=region.setup.settings,
            host_bound=found.noise is not None and found.noise.host_bound,
        )


def join(results: Sequence[Result]) -> Measured:
    """Make one result of those of several launches."""
    return join_results([result for result in results if isinstance(result, Measured)])


def _point(task: Task) -> LoopPoint:
    assert isinstance(task.parameters, LoopPoint)
    return task.parameters


def _pattern(point: LoopPoint) -> Pattern:
    return Pattern.parse(point.pattern, point.granule_bytes)
