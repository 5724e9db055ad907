"""How often the choice of a shape is wrong, on hosts that are simulated: the rates are stated here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pytest

from hmexp.measure.operation import find_operation
from hmexp.measure.shape_bench import Bench, compare
from hmexp.measure.shapes import Way, ways_of
from hmexp.native import OPERATIONS

WAYS = ways_of(find_operation("copy"))
TIMES = 200


class Simulated(Bench):
    """A region whose shapes have true speeds, on a host with noise of its own."""

    def __init__(self, speeds: Mapping[str, float], noise: Callable[[], float]) -> None:
        super().__init__(None, OPERATIONS["copy"], (0,))  # type: ignore[arg-type]
        self.speeds = speeds
        self.noise = noise

    def gbps(self, way: Way, *_: object, **__: object) -> float:
        """The shape's own speed, and what the host makes of it."""
        return 20 * self.speeds.get(way.name, 1.0) * self.noise()


def gaussian(random: np.random.Generator, width: float) -> Callable[[], float]:
    return lambda: float(np.exp(width * random.standard_normal()))


def heavy(random: np.random.Generator) -> Callable[[], float]:
    """Student's t of two degrees of freedom, 2 % wide: one pass in a hundred is off by 14 %."""
    return lambda: float(np.exp(0.02 * np.clip(random.standard_t(2), -25, 25)))


def stolen(random: np.random.Generator) -> Callable[[], float]:
    """A neighbour takes a third of one pass in ten."""
    return lambda: float(np.exp(0.02 * random.standard_normal())) * (0.67 if random.random() < 0.1 else 1.0)


def two_states(random: np.random.Generator) -> Callable[[], float]:
    """A host that is 30 % slower for some 50 passes, again and again."""
    slow = [False]

    def one() -> float:
        if random.random() < 1 / 50:
            slow[0] = not slow[0]
        return (0.7 if slow[0] else 1.0) * float(np.exp(0.02 * random.standard_normal()))

    return one


def drifting(random: np.random.Generator) -> Callable[[], float]:
    """As fast as it was at every scale of time: what a virtual machine was seen to be, 11 % wide."""
    keep = [1 - 4.0**-scale for scale in range(1, 6)]
    states = [0.05 * float(random.standard_normal()) for _ in keep]

    def one() -> float:
        for place, part in enumerate(keep):
            states[place] *= part
            states[place] += 0.05 * (1 - part**2) ** 0.5 * float(random.standard_normal())
        return float(np.exp(sum(states)))

    return one


HOSTS = {
    "quiet": partial(gaussian, width=0.01),
    "busy": partial(gaussian, width=0.05),
    "heavy tails": heavy,
    "stolen": stolen,
    "two states": two_states,
    "drifting": drifting,
}


def choices(host: str, speeds: Mapping[str, float]) -> list[str]:
    """What is chosen by `TIMES` machines, as `hmexp.measure.shape_choice.choose` does."""
    found = []
    for seed in range(TIMES):
        random = np.random.default_rng(seed)
        benches = [Simulated(speeds, HOSTS[host](random)) for _ in range(2)]
        _, better = compare(benches, WAYS)
        found.append((*better, WAYS[0])[0].name)
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_of_equal_shapes_the_plain_one_is_kept(host: str) -> None:
    wrong = sum(name != WAYS[0].name for name in choices(host, {})) / TIMES
    assert wrong <= 0.05, f"{host}: {wrong:.3f}"


@pytest.mark.parametrize("host", HOSTS)
def test_a_shape_that_is_better_by_a_tenth_is_found(host: str) -> None:
    better = {WAYS[3].name: 1.10, WAYS[5].name: 1.09, WAYS[7].name: 0.8}
    found = choices(host, better)
    right = sum(name in (WAYS[3].name, WAYS[5].name) for name in found) / TIMES
    assert right >= 0.9, f"{host}: {right:.3f}"
    assert WAYS[7].name not in found


@pytest.mark.parametrize("host", HOSTS)
def test_of_many_good_shapes_one_of_the_best_is_found(host: str) -> None:
    """Shapes from the plain one's speed to a third more, in steps of a percent: what the choice loses."""
    speeds = {way.name: 1 + 0.01 * (8 * place % 35) for place, way in enumerate(WAYS)}
    lost = [1 - speeds[name] / max(speeds.values()) for name in choices(host, speeds)]
    assert np.mean(lost) <= 0.005, f"{host}: {np.mean(lost):.4f}"
    assert np.mean(np.asarray(lost) > 0.03) <= 0.02, f"{host}: {np.mean(np.asarray(lost) > 0.03):.3f}"


def test_of_shapes_that_are_alike_the_one_with_fewer_places_is_taken() -> None:
    """On a busy host many places lose most."""
    few, many = (next(way for way in WAYS if way.shape.places == places) for places in (2, 4))
    found = choices("quiet", {few.name: 1.20, many.name: 1.20})
    assert sum(name == few.name for name in found) >= 0.95 * TIMES
    found = choices("quiet", {few.name: 1.20, many.name: 1.26})
    assert sum(name == many.name for name in found) >= 0.95 * TIMES
