"""The CPUs that threads are pinned to."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hmexp.errors import ParameterError
from hmexp.system.sysfs import format_id_list, parse_id_list, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def allowed_cpus() -> tuple[int, ...]:
    """The CPUs that this process may run on, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """Keep the calling thread to one of its CPUs, and what it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def choose_cpus(
    threads: int,
    preferred: Iterable[int] = (),
    allowed: Iterable[int] | None = None,
    sys_root: Path = Path("/sys"),
) -> tuple[int, ...]:
    """Choose a CPU of its own for each thread.

    The preferred CPUs come before all others, so that threads stay near their node; among each,
    one hardware thread of every core comes before the second one of any.

    Parameters
    ----------
    threads : int
        How many threads there are.
    preferred : iterable of int
        CPUs to use first: those of the node at which the threads should run.
    allowed : iterable of int, optional
        CPUs that may be used; by default those this process may run on.
    sys_root : Path
        Where `/sys` is.

    Returns
    -------
    tuple of int
        `threads` distinct CPUs, the best ones first. For the same machine it is always the same,
        and fewer threads get the beginning of what more threads get.

    Raises
    ------
    ParameterError
        If `threads` is no positive whole number, or is more than there are CPUs.
    """
    usable = sorted(set(allowed_cpus() if allowed is None else allowed))
    if type(threads) is not int or threads < 1:  # True is an int too, but no number of threads
        raise ParameterError(f"threads {threads!r} is not a positive whole number", "use 1 or more threads")
    if threads > len(usable):
        raise ParameterError(
            f"threads {threads} is beyond the CPUs: this process may use {len(usable)} "
            f"({format_id_list(usable)})",
            f"use at most {len(usable)} threads, or allow more CPUs (taskset, cpuset)",
        )
    near = set(preferred)
    rank = _rank_in_core(usable, sys_root)
    return tuple(sorted(usable, key=lambda cpu: (cpu not in near, rank[cpu], cpu))[:threads])


def core_of(cpu: int, sys_root: Path = Path("/sys")) -> tuple[int, ...]:
    """The hardware threads of a CPU's core; the CPU alone where the machine does not tell."""
    folder = sys_root / "devices" / "system" / "cpu" / f"cpu{cpu}" / "topology"
    path = folder / "thread_siblings_list"
    return parse_id_list(read_text(path) or str(cpu), str(path))


def _rank_in_core(cpus: Iterable[int], sys_root: Path) -> dict[int, int]:
    """Number the usable hardware threads of each core: 0, 1, ..."""
    used: dict[tuple[int, ...], int] = {}
    rank = {}
    for cpu in cpus:
        core = core_of(cpu, sys_root)
        rank[cpu] = used.get(core, 0)
        used[core] = rank[cpu] + 1
    return rank
