"""The pattern and the region of one measurement, from a command's options."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from hmexp.errors import ParameterError
from hmexp.units import explain_size, parse_size

if TYPE_CHECKING:
    from hmexp.measure.sampling import Sampling
    from hmexp.native import Access
    from hmexp.pattern import Pattern
    from hmexp.system.topology import Topology

_log = logging.getLogger(__name__)


def read_pattern(text: str, options: argparse.Namespace, machine: Topology) -> Pattern:
    """The pattern, or the ratio over the near DRAM node and the slow one, with the granule of the options.

    Raises
    ------
    ParameterError
        If it cannot be read, or is a ratio and this machine has no second node to spread it over.
    """
    from hmexp.measure import point
    from hmexp.memory.page_sizes import read_page_size

    pattern = point.read_pattern(
        text, read_page_size(options.granule), options.emulate, machine, options.dram, options.slow
    )
    if ":" in text:
        _log.info("ratio %s is the pattern %s", text, pattern)
    return pattern


def note_size(options: argparse.Namespace, pattern: Pattern, machine: Topology) -> None:
    """Say what a size is taken for, where that is not what it may seem, and if a cache has room for it."""
    from hmexp.memory.emulated_node import find_request
    from hmexp.memory.page_sizes import find_page_bytes
    from hmexp.system.caches import explain_cached, last_level_cache_bytes

    note = explain_size(options.size, find_page_bytes(options.page_bytes))
    if note is not None:
        _log.info("size %s %s", options.size, note)
    # An emulated node has its speed in the cache, too.
    if find_request(options.emulate, machine, set(pattern.distinct_nodes)) is None:
        cached = explain_cached(parse_size(options.size), last_level_cache_bytes())
        if cached is not None:
            _log.info("size %s %s", options.size, cached)


def read_access(text: str, stride: str | None) -> tuple[Access, int]:
    """The order of the accesses and the stride [bytes], of ``--access strided:8KiB`` or ``--stride``.

    Raises
    ------
    ParameterError
        If there is no such access.
    """
    from hmexp.sweep.access import find_access, read_access

    if stride is not None:
        if ":" in text:
            raise ParameterError(
                f"--stride {stride} and --access {text} both name a stride", "leave out --stride"
            )
        # --stride without strided accesses has always been allowed, and does nothing.
        text = f"{text}:{stride}" if text == "strided" else text
    return read_access(find_access(text))


def read_sampling(options: argparse.Namespace) -> Sampling:
    """How a launch is sampled."""
    from hmexp.measure.sampling import Sampling

    return Sampling(options.samples, options.sample_seconds, options.precision, options.most_samples)
