"""What a person may ask of a sweep, checked before anything happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from hmexp.errors import ParameterError
from hmexp.store.parts import Start
from hmexp.store.schema import Remark
from hmexp.sweep.checks import (
    check_budget,
    check_more_launches,
    check_part,
    check_positive,
    check_shapes,
    check_sizes,
    check_start,
    check_text,
    check_texts,
    check_whole,
    check_whole_numbers,
    require_known,
)
from hmexp.sweep.preset import STANDARD, find_preset

#: Where a run goes is not of its kind.
_NOT_IN_PRESETS: Final = ("preset", "results", "run")


@dataclass(frozen=True)
class SweepParameters:
    """Parameters of a sweep, under the names they have in the notebook.

    Parameters
    ----------
    preset : str
        ``quick``, ``standard``, ``full``, or the path of a file: what the other parameters are if they are
        not given.
    patterns : tuple of str
        Patterns (``0,2,2``) and DRAM:slow ratios (``1:2``).
    operations : tuple of str
        Of the bandwidth operations (``read``, ``write_nt``, ``mix_3_1``...), ``latency``,
        ``latency_window``, ``store_nt``, ``store_flush``, and ``loaded_OPERATION``: latency while that
        operation loads the memory.
    size : tuple of str
        Sizes of the regions, such as ``256MiB``; ``64MiB,1GiB`` are two.
    granules : tuple of str
        Granules, such as ``4KiB``; ``page`` is the machine's page.
    pages : tuple of str
        Sizes of pages: ``page`` is the machine's, ``2MiB`` needs granules of as much.
    placers : tuple of str
        Ways of placing the pages; ``all`` is every one there is.
    access : tuple of str
        Orders of a bandwidth's accesses: ``sequential``, ``random_line``, ``random_granule``, ``strided``
        (by 4 KiB) or ``strided:8KiB``. Latencies have their own order, and are measured once.
    threads : tuple of int
        Numbers of threads for bandwidth, and of those that load; 0 is all CPUs but one.
    cpu_nodes : tuple of str
        Nodes on whose CPUs the threads run, by number; ``near`` is the first that has memory and CPUs,
        and other nodes' CPUs if those are too few.
    only, without : tuple of str
        Conditions on points, such as ``operation=read,latency``: all of `only` must be met, and none of
        `without`; ``all`` and ``none`` are no condition.
    launches : int
        Fresh processes with fresh pages for each point.
    repeat : int
        Launches of each point more than `launches`, of points too that are finished; earlier ones are kept.
    retry_unstable : int
        Launches more, one after the other, of points whose 95 % interval is wider than `precision` (5 % if
        that is 0).
    budget : str
        Time for all, such as ``10min`` or ``90s``: a launch of each point, then of those with the widest
        interval; ``none`` is as long as it takes.
    samples : int
        Samples of each launch, at least.
    sample_seconds : float
        Shortest time of a sample [s].
    precision : float
        Half the width of a launch's 95 % interval, as a part of its median, at which it stops; 0 for
        exactly `samples`.
    most_samples : int
        Cap on the samples of a launch; 0 is twice `samples`.
    dram, slow : str
        The nodes of a ratio, by number; ``auto`` is the DRAM nearest to the threads, and the known slow node
        nearest to them, or one of unknown kind, or the emulated one.
    emulate : str
        ``auto`` (only if there is no real slow node), ``none``, or ``NODE=PROFILE``.
    results : str
        Folder of the run directories; ``auto`` is `results/` of the checkout, or of this folder.
    run : str
        Name of the run directory; ``auto`` resumes an unfinished run of the same plan, or
        makes a new one.
    timeout_seconds : float
        Longest time of a point [s].
    start : str
        How the process of a launch begins: ``fork`` (of a process that has imported everything) or ``exec``
        (Python anew).
    shapes : str
        How the loops of bandwidths walk: ``auto``, by measurement, where a sample takes at least 50 ms and
        nothing is emulated; ``plain``; or the name of a shape, such as ``places4`` or ``places4-256``.
    seed : int
        Of the order in which the points are measured.
    """

    preset: str = STANDARD
    patterns: tuple[str, ...] = ("1:0", "3:1", "1:1", "1:2", "0:1")
    operations: tuple[str, ...] = ("read", "write", "latency")
    size: tuple[str, ...] = ("256MiB",)
    granules: tuple[str, ...] = ("page",)
    pages: tuple[str, ...] = ("page",)
    placers: tuple[str, ...] = ("first_touch",)
    access: tuple[str, ...] = ("sequential",)
    threads: tuple[int, ...] = (0,)
    cpu_nodes: tuple[str, ...] = ("near",)
    only: tuple[str, ...] = ("all",)
    without: tuple[str, ...] = ("none",)
    launches: int = 5
    repeat: int = 0
    retry_unstable: int = 0
    budget: str = "none"
    samples: int = 5
    sample_seconds: float = 0.05
    precision: float = 0.01
    most_samples: int = 0
    dram: str = "auto"
    slow: str = "auto"
    emulate: str = "auto"
    results: str = "auto"
    run: str = "auto"
    timeout_seconds: float = 300.0
    start: Start = "fork"
    shapes: str = "auto"
    seed: int = 0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all parameters."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Check values that come from a notebook, a command line or a file; others are the preset's.

        A single value stands for a list of one, and a number for the text of it, because that is
        what ``papermill -p patterns 0`` hands over.

        Raises
        ------
        ParameterError
            If a name is unknown, or a value has a type that cannot be used, here or in the preset.
        """
        require_known(given, cls.names())
        preset = find_preset(check_text("preset", given.get("preset", STANDARD)))
        try:
            require_known(preset.values, set(cls.names()) - set(_NOT_IN_PRESETS))
            values = cls._check(preset.values)
        except ParameterError as error:
            raise ParameterError(f"preset {preset.name!r}: {error.message}", error.remedy) from error
        return cls(**(values | cls._check(given)))

    @classmethod
    def _check(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _checker_of(name)(name, value) for name, value in given.items()}

    def to_record(self) -> dict[str, Remark]:
        """The parameters as they are stored; a single size is a text."""
        values: dict[str, Remark] = asdict(self)
        return values | ({"size": self.size[0]} if len(self.size) == 1 else {})


#: Who checks a parameter; all others are texts.
_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(("patterns", "operations", "granules", "pages", "placers"), check_texts),
    **dict.fromkeys(("access", "cpu_nodes", "only", "without"), check_texts),
    **dict.fromkeys(("launches", "samples", "most_samples", "seed"), check_whole),
    **dict.fromkeys(("repeat", "retry_unstable"), check_more_launches),
    **dict.fromkeys(("sample_seconds", "timeout_seconds"), check_positive),
    "size": check_sizes,
    "threads": check_whole_numbers,
    "budget": check_budget,
    "precision": check_part,
    "start": check_start,
    "shapes": check_shapes,
}  # fmt: skip


def _checker_of(name: str) -> Callable[[str, Any], Any]:
    return _CHECKS.get(name, check_text)
