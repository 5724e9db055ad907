"""How far the numbers of a run can be trusted, in a few lines, the gravest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from hmexp.report.model.advice import cautions
from hmexp.report.run.facts import last_look, proof_ok
from hmexp.report.run.point import Point
from hmexp.report.run.results import Results
from hmexp.report.run.wording import say_operation
from hmexp.store.parts import EffectsRecord, SearchRecord
from hmexp.store.validity import is_slowed_in_lab

Level = Literal["good", "warn", "bad"]
_SMALL_PAGE_BYTES: Final = 4096
#: Regions differ if the frames of one lie in runs so many times longer than those of another.
_SCATTERED: Final = 4.0
_ORDER: Final[dict[Level, int]] = {"bad": 0, "warn": 1, "good": 2}


@dataclass(frozen=True)
class Ground:
    """A reason to trust a run, or not to."""

    level: Level
    name: str
    text: str


def grounds(results: Results) -> tuple[Ground, ...]:
    """Say what the speeds are of, what is missing, what was proven, and how much noise there is."""
    found = [
        machine_ground(results),
        *_points(results),
        *_proof(results),
        *_noise(results),
        *_frames(results),
    ]
    return gravest_first(found)


def gravest_first(found: Iterable[Ground]) -> tuple[Ground, ...]:
    """Sort grounds, the gravest first."""
    return tuple(sorted(found, key=lambda ground: _ORDER[ground.level]))


def machine_ground(results: Results, real: str = "") -> Ground:
    """Say what the speeds are of: real memory, a model, or nothing.

    Parameters
    ----------
    results : Results
        The run.
    real : str
        What is said of real memory.
    """
    if is_slowed_in_lab(results.run.timing_note):
        return Ground("bad", "Emulated by the lab", f"{results.run.timing_note}")
    if not results.timing_valid:
        return Ground(
            "bad", "Functional only", "pages are real, timings mean nothing: nothing here is a speed"
        )
    if results.emulated:
        profile = results.emulation.profile if results.emulation is not None else None
        name = (profile.title or profile.name) if profile is not None else "unnamed profile"
        return Ground(
            "warn", "Emulated",
            f"{name}, modelled in software on ordinary DRAM. It says what the model would do: do not base a "
            "purchase on it",
        )  # fmt: skip
    return Ground("good", "Real", real or "every speed was measured on the memory that it is said to be of")


def _points(results: Results) -> list[Ground]:
    search = results.run.search
    if search is not None:
        return [_search(search, results)]
    planned, ok = max(results.run.points or 0, len(results.points)), len(results.ok)
    if ok == planned:
        return [Ground("good", "Complete", f"all {ok:,} points of the plan were measured")]
    failed = f", {len(results.not_ok):,} failed or were skipped" if results.not_ok else ""
    text = f"{ok:,} of {planned:,} points of the plan were measured{failed}: what is missing decides nothing"
    return [Ground("bad", "Incomplete", text)]


def _search(search: SearchRecord, results: Results) -> Ground:
    took = (
        f"a search measured {len(search.looked_at)} of {len(search.patterns)} ratios, in {search.launches:,} "
        f"launches; the whole grid would have taken {search.grid_launches:,}"
    )
    if search.open is not None or results.not_ok:
        why = "the time was over" if search.open == "time" else "points failed or are missing"
        return Ground("bad", "Not decided", f"{took}. It has not come to its end: {why}")
    if search.noise:
        text = f"{took}. Noise left {len(search.noise)} of them inconclusive"
        return Ground("warn", "Searched", text)
    text = f"{took}. Those left out cannot change the answer, unless less DRAM were faster than more"
    return Ground("good", "Searched", text)


def _proof(results: Results) -> list[Ground]:
    if not results.ok:
        return []
    proofs = [proof_ok(point.record) for point in results.ok]
    proven = sum(proof is True for proof in proofs)
    if proven == len(proofs):
        return [Ground("good", "Proven", "every page of every point was in its place, before and after")]
    text = f"of {len(proofs):,} measured points, the placement of {len(proofs) - proven:,} was not verified"
    return [Ground("bad", "Not proven", text)]


def _noise(results: Results) -> list[Ground]:
    if not (results.ok and results.timing_valid):
        return []
    found = [Ground("warn", "Doubtful", text.rstrip(".")) for text in cautions(results)]
    if results.run.effects is not None:
        found.append(Ground("warn", "Launches", _say_effects(results.run.effects)))
    widest = max(results.ok, key=_width)
    launches = sorted({point.launches for point in results.ok})
    samples = sum(len(point.samples) for point in results.ok)
    text = (
        f"the widest 95 % interval is ± {_width(widest) * 50:.1f} % of its median "
        f"({say_operation(widest.operation)}, {widest.ratio}); {samples:,} samples"
    )
    if launches[0] > 1:
        text += f", in {_span(launches)} launches a point, so that intervals cover drift between processes"
        return [*found, Ground("good", "Noise", text)]
    text += ", some points in a single launch: their intervals do not cover drift between processes"
    return [*found, Ground("warn", "Noise", text)]


def _frames(results: Results) -> list[Ground]:
    """Latencies of small pages whose frames are scattered in some regions alone are not of one thing."""
    runs = [
        look.frame_run_pages
        for point in results.ok
        if point.operation == "latency" and point.page_bytes == _SMALL_PAGE_BYTES
        and (look := last_look(point.record)) is not None and look.frame_run_pages is not None
    ]  # fmt: skip
    if not runs or max(runs) < _SCATTERED * min(runs):
        return []
    text = (
        "frames of the latencies' 4 KiB pages follow each other in runs of "
        f"{min(runs):.1f} to {max(runs):.1f} pages, by region: "
        "where they are scattered, the same chase is slower by some per cent"
    )
    return [Ground("warn", "Frames", text)]


def _say_effects(effects: EffectsRecord) -> str:
    """What the launches of the run had in common; `hmexp.measure.launch_effects` says how it is found."""
    values = _say_effect(effects.autocorrelation, effects.two_states, "launches")
    of_dram = _say_effect(
        effects.of_dram_autocorrelation, effects.of_dram_two_states, "multiples of all DRAM"
    )
    said = "; ".join(filter(None, (values, of_dram)))
    which = "" if values and of_dram else " of values" if values else " of multiples of all DRAM"
    return f"{said}: the machine changed its state now and then, and the intervals{which} were widened for it"


def _say_effect(autocorrelation: float, two_states: bool, what: str) -> str:
    said = []
    if autocorrelation:
        said.append(f"{what} that followed each other were alike (autocorrelation {autocorrelation:.2f})")
    if two_states:
        said.append(f"{what} were at one of two levels, rather than around one")
    return "; ".join(said)


def _width(point: Point) -> float:
    value = point.value
    return (value.high - value.low) / value.median if value.median > 0 else float("inf")


def _span(numbers: list[int]) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
