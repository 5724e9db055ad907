"""Where the pages of a program are: all its processes and mappings, and against a pattern."""

from __future__ import annotations

import time

from hmexp.errors import ProgramError
from hmexp.pattern import Pattern
from hmexp.program.look.placed import PlacedProgram
from hmexp.program.look.portrait import draw_program
from hmexp.program.look.reading import read_process
from hmexp.program.look.target import find_children, require_target
from hmexp.program.look.words import lines_of


class ProgramPlacement(PlacedProgram, frozen=True, kw_only=True, dict=True):
    """Where the pages of a program are; it shows itself in a notebook.

    A page that several of its processes map is counted once for each: after a fork, two processes have more
    pages than memory is used. The parameters are those of `PlacedProgram`.
    """

    def __str__(self) -> str:
        return "\n".join(lines_of(self))

    def _repr_html_(self) -> str:
        return draw_program(self)


def read_placement(
    pid: int, *, children: bool = True, against: Pattern | None = None, granule_bytes: int | None = None
) -> ProgramPlacement:
    """Read where the pages of a program are.

    That takes some 0.1 s for a million pages, for parts of which the program can map no memory.

    Parameters
    ----------
    pid : int
        The process.
    children : bool
        Read the processes that descend from it, too.
    against : Pattern, optional
        Where private memory should be: the page at an address is of the pattern's entry
        ``address // granule % entries``.
    granule_bytes : int, optional
        Granule to use instead of the pattern's own [bytes].

    Returns
    -------
    ProgramPlacement
        It shows itself in a notebook.

    Raises
    ------
    ProgramError
        If the process has ended, has no memory of its own, or is not for this user to see; with what is
        needed.
    """
    began, cpu = time.perf_counter(), time.process_time()
    if against is not None and granule_bytes is not None:
        against = Pattern(against.nodes, granule_bytes)
    target = require_target(pid)
    processes = [read_process(pid, against)]
    unseen = list(processes[0].unseen)
    for child in find_children(pid) if children else ():
        try:
            processes.append(read_process(child.pid, against))
        except ProgramError as error:
            unseen.append(f"{child.title}, a child: {error.message}")
        else:
            unseen += [text for text in processes[-1].unseen if text not in unseen]
    return ProgramPlacement(
        pid=pid,
        name=target.name,
        pattern=None if against is None else str(against),
        granule_bytes=None if against is None else against.granule_bytes,
        processes=tuple(processes),
        unseen=tuple(unseen),
        cost_seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu,
    )
