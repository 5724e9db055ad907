"""Looking at where a program's pages are, on a slow clock that costs the program little."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hmexp.errors import HmexpError
from hmexp.pattern import Pattern
from hmexp.program.look.sample import Seen, take_sample
from hmexp.program.look.target import read_target
from hmexp.store.program_records import PlacementSample
from hmexp.system.sysfs import parse_meminfo, read_text

#: The first look; then after twice the time, and so on, for a program may be short.
_FIRST_SECONDS: Final = 0.05
#: Time between two looks later, unless another is given [s].
_USUAL_SECONDS: Final = 10.0
#: Looking takes at most one part in so many of the time, unless a time is given.
_COST_PARTS: Final = 20
#: With more samples, every second one is dropped, and looking becomes half as frequent.
_MOST_SAMPLES: Final = 512


class Sampler:
    """A thread that looks at a program and its children.

    Parameters
    ----------
    pid : int
        The program.
    pattern : Pattern or None
        What its pages are compared with.
    began : float
        When it was started, by `time.monotonic` [s].
    longest_seconds : float or None
        Time between two looks at the longest; 0 looks only when `look` is called; None is what costs
        little [s].
    keep : callable
        Gets all samples after each look of the thread.
    """

    def __init__(
        self,
        pid: int,
        pattern: Pattern | None,
        began: float,
        longest_seconds: float | None,
        keep: Callable[[tuple[PlacementSample, ...]], None],
    ) -> None:
        self._pid, self._pattern, self._began = pid, pattern, began
        self._cost_parts = _COST_PARTS if longest_seconds is None else 1
        self._longest_seconds = _USUAL_SECONDS if longest_seconds is None else longest_seconds
        self._keep = keep
        self._samples: list[PlacementSample] = []
        self._seen: Seen = {}
        self._quiet = threading.RLock()
        self._done = threading.Event()
        self._file = _file_of(Path(f"/proc/{pid}"))
        self._start_ticks = _starts_at(pid)
        self._thread = threading.Thread(target=self._run, name=f"hmexp-look-{pid}", daemon=True)
        #: Why no placement could be read; None as soon as one was.
        self.unread: str | None = None
        #: What went wrong with looking.
        self.problem: str | None = None
        #: Largest resident size of the program that was seen [bytes].
        self.peak_bytes: int | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._longest_seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """Look no more; a look that has begun is completed."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        if not self._samples and self.unread is None:
            self.unread = "it had ended before anybody looked"

    def look(self) -> PlacementSample | None:
        """Look now; None if the program has ended, or may not be looked at."""
        with self._quiet:
            seconds = time.monotonic() - self._began
            try:
                sample, seen = take_sample(self._pid, self._pattern, seconds)
            except HmexpError as error:
                if not self._samples and not _has_ended(self._pid):
                    self.unread = str(error)
                return None
            self.unread = None
            status = parse_meminfo(read_text(Path(f"/proc/{self._pid}/status")) or "")
            self.peak_bytes = status.get("VmHWM", self.peak_bytes)
            self._seen |= seen
            self._samples.append(sample)
            self._keep(tuple(self._samples))
            return sample

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait for a look that has begun, and begin none meanwhile."""
        with self._quiet:
            yield

    def find_survivors(self) -> tuple[int, ...]:
        """Processes of the program that still run, now that it has ended itself.

        Those that were seen; and daemons, which leave their parent before anybody looks: processes of the
        same file and group (cgroup) that were started since, and belong to init or a user's systemd.
        """
        seen = {pid for pid, ticks in self._seen.items() if pid != self._pid and _starts_at(pid) == ticks}
        return tuple(sorted(seen | self._find_daemons()))

    def _find_daemons(self) -> set[int]:
        if self._file is None or self._start_ticks is None:
            return set()
        found = set()
        group = read_text(Path("/proc/self/cgroup"))
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == self._pid or _file_of(folder) != self._file:
                continue
            if read_text(folder / "cgroup") != group:
                continue  # a service, which somebody else has started
            with suppress(HmexpError):
                target = read_target(int(folder.name))
                orphan = target.parent == 1 or read_target(target.parent).name == "systemd"
                if target.start_ticks >= self._start_ticks and orphan and not target.has_ended:
                    found.add(target.pid)
        return found

    def _run(self) -> None:
        try:
            self._look_often()
        except Exception:  # noqa: BLE001 # the program must not suffer, nor its terminal
            self.problem = f"nobody looked any more, by a bug:\n{traceback.format_exc()}"

    def _look_often(self) -> None:
        wait_seconds = _FIRST_SECONDS
        while not self._done.wait(wait_seconds):
            found = self.look()
            if found is None and _has_ended(self._pid):
                return
            # The first one also finds out about the machine.
            cost_seconds = found.cost_seconds if found is not None and len(self._samples) > 1 else 0.0
            wait_seconds = max(min(2 * wait_seconds, self._longest_seconds), self._cost_parts * cost_seconds)
            if len(self._samples) > _MOST_SAMPLES:
                del self._samples[1::2]
                self._longest_seconds *= 2


def _has_ended(pid: int) -> bool:
    try:
        return read_target(pid).has_ended
    except HmexpError:
        return True


def _starts_at(pid: int) -> int | None:
    try:
        target = read_target(pid)
    except HmexpError:
        return None
    return None if target.has_ended else target.start_ticks


def _file_of(folder: Path) -> str | None:
    try:
        return str(folder.joinpath("exe").readlink())
    except OSError:
        return None
