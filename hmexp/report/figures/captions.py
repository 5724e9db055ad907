"""What the report says of each figure, and of each that it cannot draw."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hmexp.report.figures import pareto

TITLES: Final = {
    "node_capability": "What each node can do",
    "bandwidth_against_ratio": "Bandwidth against ratio",
    "ratio_by_mix": "Ratio by mix, in percent of DRAM",
    "bandwidth_against_threads": "Bandwidth against threads",
    "latency_against_ratio": "Latency against ratio",
    "latency_distribution": "Distribution of latency",
    "latency_tail": "Tail of latency",
    "loaded_latency": "Latency under load",
    "model_error": "Measurement against model",
    "placement_strips": "Pattern asked, pages found",
    pareto.STEM: pareto.TITLE,
}
CAPTIONS: Final = {
    "node_capability": """\
Is this node usable? Each node alone, with the fewest threads that reached its most. A number is missing where
no pattern of that node alone was measured.""",
    "ratio_by_mix": """\
Is my workload safe? Find its mix of reads and writes; 100 % is what all DRAM does with the same mix and
parameters. Brackets are 95 % intervals.""",
    "bandwidth_against_threads": """\
How many threads, writers above all, before it collapses? Bars are 95 % intervals; patterns are set
beside each other.""",
    "latency_distribution": """\
Can I meet my latency target? Every sample is there. One sample is the mean over a chase of many accesses:
how far apart samples are says how steady latency is, and not what the slowest single access costs.""",
    "latency_tail": """\
What does the slowest access cost? Each access was timed by itself: a line says which share of them took
longer than so many nanoseconds. Steps of the clock show at the left; at the right are accesses that a timer
interrupt, a refresh or another program fell into.""",
    "bandwidth_against_ratio": """\
Which ratio? A dot is the median of a point, its bar the 95 % interval, the faint dots beside it are the raw
samples, crosses those that something disturbed. The line is the model: it rises while the slow memory limits
and falls once DRAM does. Where an interval is shorter than its dot, the tables have the numbers.""",
    "latency_against_ratio": """\
What does a ratio cost in idle latency? A dependent pointer chase, one access at a time.""",
    "loaded_latency": """\
How much headroom? One thread chases pointers while the others stream at one rate after the other; each line
is a launch, rings mark the knee, lines at them its 95 % interval over samples. A pattern that is said to be
not saturated could not be loaded enough by these threads to find its limit.""",
    "model_error": """\
Can the model be trusted here? By published figures the bandwidth model is exact to 1 % away from its optimum,
and measurements stay 6 to 14 % below it close to the optimum.""",
    "placement_strips": """\
Can this run be trusted? The node of each granule as the pattern asks for it, and the node on which the kernel
says its page is. A red triangle marks a page in the wrong place.""",
    pareto.STEM: pareto.CAPTION,
}
#: Of the figures that not every run has: what is missing.
ABSENT: Final = {
    "node_capability": "no pattern of a single node was measured: add all DRAM and all slow, `1:0` and `0:1`",
    "bandwidth_against_ratio": "no bandwidth was measured: add `read` and `write` to the operations",
    "ratio_by_mix": "no bandwidth was measured beside all DRAM: add `read`, `write` and mixes such as `3:1`",
    "bandwidth_against_threads": "all with one number of threads: give several, such as `threads: [1, 2, 4]`",
    "latency_against_ratio": "no latency was measured: add `latency` to the operations",
    "latency_distribution": "no latency was measured: add `latency` to the operations",
    "latency_tail": "no single accesses were timed: add `latency_tail` to the operations",
    "loaded_latency": "no latency under load was measured: add `loaded_read` to the operations",
    "model_error": "there is no model: the all-DRAM or the all-slow point is missing",
    "placement_strips": "no placement was recorded",
    "granularity": "granules are a study of their own: `hmexp study granularity`, or `make granularity`",
    "setup_costs": "what placers cost is a study of its own: `hmexp study placers`, or `make placers`",
    pareto.STEM: "no prices were given: `hmexp report RUN --price-dram P --price-slow P`",
}
_NAMES: Final = TITLES | {
    "granularity": "Granularity: mean and spread of windows",
    "setup_costs": "Setup cost of each placer",
}


def absent_figures(drawn: Collection[str]) -> list[str]:
    """Say in a line each which figures are not there, and what would make them."""
    return [f"{_NAMES[stem]}: {why}." for stem, why in ABSENT.items() if stem not in drawn]
