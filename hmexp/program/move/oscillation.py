"""Whether pages that were put in their place are moved away again, and by whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

#: Looks over which is judged.
_WINDOW: Final = 4
#: Fewer pages than this are no pattern [pages].
_LEAST_PAGES: Final = 64


@dataclass(frozen=True)
class Round:
    """One look at all processes.

    Parameters
    ----------
    present, asked, returned : int
        Pages that have a place; of them those asked for; and those that had come back [pages].
    faults : int
        Minor faults of the processes meanwhile.
    rejoined : int
        Huge pages that were split again and again so far.
    """

    present: int
    asked: int
    returned: int
    faults: int
    rejoined: int = 0


class OscillationWatch:
    """Judges from several looks whether following is of any use.

    A page that the program frees and touches again looks the same as one that was moved away: each such page
    has cost the program a fault, which those that others move do not, or the machine's counters of migration
    have grown.

    Parameters
    ----------
    counters : callable
        Reads the machine's counters of migration.
    """

    def __init__(self, counters: Callable[[], Mapping[str, int]]) -> None:
        self._counters = counters
        self._rounds: deque[tuple[Round, Mapping[str, int]]] = deque(maxlen=_WINDOW)
        self._before = counters()

    def judge(self, found: Round, settings: Mapping[str, str]) -> str | None:
        """Note a look; returns the reason to stop, or None.

        Parameters
        ----------
        found : Round
            The look.
        settings : mapping
            The machine's settings, as `read_settings` has them.
        """
        now = self._counters()
        if found.asked or found.returned:
            self._rounds.append((found, self._grown(now)))
        self._before = now
        rounds = [each for each, _ in self._rounds]
        returned = sum(each.returned for each in rounds)
        if (
            len(rounds) < _WINDOW
            or returned < _LEAST_PAGES
            or sum(each.returned > 0 for each in rounds) < _WINDOW
        ):
            return None
        if returned * 2 < sum(each.asked for each in rounds):
            return None
        return self._blame(rounds, returned, settings)

    def _grown(self, now: Mapping[str, int]) -> Mapping[str, int]:
        return {name: value - self._before.get(name, 0) for name, value in now.items()}

    def _blame(self, rounds: list[Round], returned: int, settings: Mapping[str, str]) -> str | None:
        def grown(*names: str) -> int:
            return sum(growth.get(name, 0) for _, growth in self._rounds for name in names)

        undone = f"{returned} pages were moved away again within {_WINDOW} looks"
        balancing = settings.get("kernel.numa_balancing", "0")
        if balancing != "0" and grown("numa_pages_migrated") * 2 >= returned:
            return (
                f"{undone} by automatic NUMA balancing (kernel.numa_balancing is {balancing}), which follows "
                "the program's CPUs: switch it off (sysctl kernel.numa_balancing=0), or start the program "
                "with a "
                "memory policy of its own, as `hmexp run --via follow` does"
            )
        demoted = grown("pgpromote_success", "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged")
        if demoted * 2 >= returned:
            return f"{undone} by memory tiering: switch numa/demotion_enabled and kernel.numa_balancing off"
        if rounds[-1].rejoined and grown("thp_collapse_alloc"):
            return (
                f"{undone}, and huge pages that were split are joined again by khugepaged: use a granule of "
                "2MiB, "
                "or switch transparent huge pages off for the program"
            )
        if sum(each.faults for each in rounds) * 2 >= returned:
            return None  # the program itself frees pages and touches them again
        return (
            f"{undone}, and the program has not touched them anew: another program moves its pages, too, or "
            "the kernel reports moves that it does not make"
        )
