"""A profile in words, and as the text of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping

from hmexp.memory.profile import Profile
from hmexp.memory.speed import BANDWIDTHS, FIGURES, NodeSpeed

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def lines_of(profile: Profile) -> list[str]:
    """Say what a profile has, and which bandwidths follow for mixes of reads and non-temporal stores."""
    lines = [f"{profile.title} ({profile.kind})", f"Source: {profile.source}"]
    parts = {"DRAM": profile.dram, "Slow memory": profile.slow}
    if profile.slow == profile.dram:
        parts = {"Memory": profile.dram}
    for name, speed in parts.items():
        lines.append(f"{name}:")
        lines += [f"  {text}" for text in _lines_of_speed(speed)]
    if profile.intervals:
        lines.append("Measured, with 95 % intervals:")
        lines += [f"  {key}: {low:.4g} to {high:.4g}" for key, (low, high) in profile.intervals.items()]
    return lines


def _lines_of_speed(speed: NodeSpeed) -> Iterator[str]:
    yield (
        f"read {speed.read_gbps:.4g} GB/s, write {speed.write_gbps:.4g} GB/s"
        + ("" if speed.write_nt_gbps is None else f", non-temporal {speed.write_nt_gbps:.4g} GB/s")
        + f"; a dependent load takes {speed.latency_ns:.4g} ns"
    )
    if speed.store_nt_ns is not None:
        yield f"a non-temporal store and a fence take {speed.store_nt_ns:.4g} ns"
    if speed.store_flush_ns is not None:
        yield f"a store, a flush and a fence take {speed.store_flush_ns:.4g} ns"
    carriers = speed.carriers
    if carriers is None and speed.write_nt_gbps is None:
        return
    if carriers is not None and carriers.link is not None:
        link = carriers.link
        yield (
            f"link: {link.toward_gbps:.4g} GB/s to it and {link.back_gbps:.4g} GB/s back; a read's request "
            f"costs {link.request:.3g} of a line, a write's completion {link.completion:.3g}"
        )
    if carriers is not None and carriers.medium is not None:
        medium = carriers.medium
        turning = (
            "" if math.isinf(medium.turnaround_gbps) else f", turnaround {medium.turnaround_gbps:.4g} GB/s"
        )
        yield f"medium: reads {medium.read_gbps:.4g} GB/s, writes {medium.write_gbps:.4g} GB/s{turning}"
    shown = [f"{share:.0%}: {1 / speed.busy_ns(share, 1 - share, nontemporal=True):.4g}" for share in _SHARES]
    yield f"by the share of reads [GB/s]: {', '.join(shown)}"
    if speed.family is not None:
        curves = speed.family.curves
        yield (
            f"{len(curves)} measured curves, {curves[0].read_percent:g} to {curves[-1].read_percent:g} % "
            f"reads, {sum(len(curve.latency_ns) for curve in curves)} points"
        )


def to_toml(profile: Profile) -> str:
    """The text of a file that `Profile.load` reads back as the same profile, but for its name."""
    lines = [f"{key} = {_quote(getattr(profile, key))}" for key in ("title", "kind", "source")]
    lines += _table("dram", profile.dram, profile.intervals)
    if profile.slow != profile.dram or any(key.startswith("slow.") for key in profile.intervals):
        lines += _table("slow", profile.slow, profile.intervals)
    return "\n".join(lines) + "\n"


def _table(part: str, speed: NodeSpeed, intervals: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    derived = {FIGURES[quantity] for quantity in BANDWIDTHS} if speed.carriers is not None else set()
    yield ""
    yield f"[{part}]"
    for figure in FIGURES.values():
        value = getattr(speed, figure)
        if value is not None and figure not in derived:
            yield f"{figure} = {value!r}"
    own = {name: intervals[key] for name in FIGURES.values() if (key := f"{part}.{name}") in intervals}
    yield from _pairs(f"{part}.intervals", ((name, list(ends)) for name, ends in own.items()))
    yield from _pairs(f"{part}.writers", ((str(threads), left) for threads, left in speed.writers))
    carriers = speed.carriers
    if carriers is not None and carriers.link is not None:
        yield from _pairs(f"{part}.link", vars(carriers.link).items())
    if carriers is not None and carriers.medium is not None:
        figures = vars(carriers.medium).items()
        yield from _pairs(f"{part}.medium", ((key, value) for key, value in figures if not math.isinf(value)))
    for curve in () if speed.family is None else speed.family.curves:
        yield from ("", f"[[{part}.curves]]", f"read_percent = {curve.read_percent!r}")
        yield f"bandwidth_gbps = {list(curve.bandwidth_gbps)!r}"
        yield f"latency_ns = {list(curve.latency_ns)!r}"


def _pairs(table: str, pairs: Iterable[tuple[str, object]]) -> Iterator[str]:
    found = [f"{key} = {value!r}" for key, value in pairs]
    if found:
        yield from ("", f"[{table}]", *found)


def _quote(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's, but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
