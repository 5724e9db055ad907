"""A placement as it shows itself in a notebook, from the record of it."""

from __future__ import annotations

from collections.abc import Mapping

from hmexp.markup import (
    Fragment,
    badge,
    bar,
    bold,
    card,
    chip,
    element,
    join,
    muted,
    node_colours,
    proportions,
    strip,
    table,
)
from hmexp.pattern import Pattern
from hmexp.store.evidence import PlacementRecord


def draw_placement(record: PlacementRecord) -> Fragment:
    """Draw where pages were asked to be, and where they were found.

    Parameters
    ----------
    record : PlacementRecord
        As `Placement.to_record` gives it, and as `points.jsonl` holds it.
    """
    ok, pages = record.ok, record.pages
    verdict = badge("✓ proven", "good") if ok else badge("✗ NOT as asked", "bad")
    counts = {
        "by the pattern": record.expected,
        "found, page by page": record.found,
        "numa_maps": record.numa_maps,
    }
    if record.placer_count is not None:
        counts["placer's own count"] = record.placer_count
    nodes = sorted({node for counted in counts.values() for node in counted})
    rows = [
        [
            chip(node),
            *(f"{counted.get(node, 0):,}" for counted in counts.values()),
            bar(record.found.get(node, 0) / max(pages, 1), colour=node_colours(node)[0]),
        ]
        for node in nodes
    ]
    head = element("div", verdict, " ", record.summary)
    return card(head, table(["real node", *(f"pages, {name}" for name in counts), ""], rows), _strips(record))


def _strips(record: PlacementRecord) -> Fragment:
    asked, found = record.strip or ((), ())
    real = set(record.expected)
    emulated = sorted(set(asked) - real)
    exact = record.exact_order
    # What an emulated node is backed by is not in the record: any node of the expected ones is right for it.
    wrong = {
        index
        for index, (a, f) in enumerate(zip(asked, found, strict=False))
        if f < 0 or (exact and f != a and (a in real or f not in real))
    }
    titles = [
        f"granule {index}: asked for node {a}{' (emulated)' if a in emulated else ''}, found on "
        + (f"node {f}" if f >= 0 else "no node")
        for index, (a, f) in enumerate(zip(asked, found, strict=False))
    ]
    lines = f"The first {min(len(asked), 48)} granules of the region."
    if not exact:
        lines += " Only the ratio is promised, not which page is where."
    if emulated:
        names = ", ".join(map(str, emulated))
        lines += f" EMULATED: {names}; such pages are on a real node."
    return join(
        [
            strip(asked, "asked", titles=titles),
            strip(found, "found", wrong=wrong, titles=titles),
            muted(lines),
        ]
    )


def draw_region(
    pattern: Pattern,
    pages: Mapping[int, int],
    facts: Mapping[str, str],
    profile: str | None,
    backing: Mapping[int, int],
) -> Fragment:
    """Draw a region: its pattern, and how many of its pages are meant for which node.

    Parameters
    ----------
    pattern : Pattern
        As it was asked for.
    pages : mapping of int to int
        Pages of each node of the pattern [pages].
    facts : mapping of str to str
        What else there is to say.
    profile : str or None
        Emulation profile; None on real nodes.
    backing : mapping of int to int
        Real node of each emulated one.
    """
    label = "" if profile is None else badge(f"EMULATED {profile}", "caution")
    lines = [f"{count:,} on node {node}" for node, count in pages.items()]
    held = [f"node {node} is emulated: its pages are on node {real}" for node, real in backing.items()]
    return card(
        element("div", bold("Region"), f" of pattern {_shortened(str(pattern))} ", label),
        strip(pattern.nodes),
        proportions(pages),
        *(element("div", f"{name}: {fact}") for name, fact in facts.items()),
        muted(join(["pages meant: " + ", ".join(lines), *held], "; ")),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
