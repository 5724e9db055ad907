"""What pages of studies say of their figures and of how they measured, by the name of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TITLES: Final[Mapping[str, str]] = {
    "placers": "Placers compared",
    "granularity": "How coarse may granules be?",
    "curves": "Latency against bandwidth",
    "matrix": "Every node from every node",
    "redis": "A Redis on hybrid memory",
    "program": "A program on hybrid memory",
    "predict": "A program on hybrid memory, predicted",
}
#: Words of the command, where it is not the study's name.
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "placers": ("study", "placers"),
    "granularity": ("study", "granularity"),
    "redis": ("study", "redis"),
}
_PROGRAM: Final = (
    "Each launch is a fresh process with a fresh program. Launches are made in rounds of one launch of "
    "each point, in an order of its own."
)
METHODS: Final[Mapping[str, str]] = {
    "placers": "Each placer populates a region in fresh processes, beside a plain mapping; then a region "
    "is forked, dropped and given huge pages, and every page is looked for.",
    "granularity": "Each granule is measured by a fresh process: bandwidth and latency of the whole "
    "region, then of each window along it. Every page is looked for before and after.",
    "curves": "Each curve is measured in fresh processes: one thread follows a chain of dependent loads "
    "while others make more and more traffic. Every page is looked for before and after.",
    "matrix": "Each cell is measured in fresh processes whose threads are pinned to the CPUs of one node, "
    "on memory of one node. Every page is looked for before and after.",
    "redis": _PROGRAM,
    "program": _PROGRAM,
    "predict": _PROGRAM,
}
#: Of figures, by the beginning of their stems; the more special first.
CAPTIONS: Final[Mapping[str, str]] = {
    "setup_costs": "What each placer costs: time for a page, mappings, and memory of the kernel. Bars are "
    "medians, lines 95 % intervals over launches.",
    "misplacement": "Which placement survives what happens to a process: the share of pages on a wrong "
    "node, or on none, after each.",
    "mappings_against_size": "How many mappings a region takes where every run of pages is bound by "
    "itself, against its size, and the kernel's limit.",
    "granularity": "Bandwidth and latency against the granule: the line is the whole region, the band "
    "holds 90 % of the windows along it.",
    "translation_cost": "What small pages cost beside pages of 2 MiB, where both are all on DRAM.",
    "best_ratio": "What each pattern carries at most, against the share of reads in the traffic.",
    "matrix": "A panel for each operation, a row for the CPUs of each node, a column for the memory of "
    "each; light is good.",
    "redis_beside_dram": "Throughput and p99 as multiples of those on DRAM alone, against the ratio; a "
    "series for each share of reads.",
    "redis_latency": "Latency of requests at the set rate, against the ratio: p50, p99 and p99.9.",
    "redis_dumps": "What a BGSAVE under writes costs at each ratio, and where the pages of its child were.",
    "program": "Each panel is a metric as a multiple of that of the same program with all its memory on "
    "DRAM, against the share of its pages on DRAM. The line at 1 is as on DRAM alone.",
    "predict": "The time of the program as a multiple of that on DRAM alone, against the share of its "
    "pages on slow memory: the predicted curve with its 95 % band, the ratios that it is made of, and the "
    "one left out.",
    "curves": "Latency of a dependent load against the bandwidth of all traffic: a curve for each share of "
    "reads, with its knee.",
}
