"""How fast pages may be moved: pages a second, a share of a CPU, and how long one call may take."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError

LEAST_BATCH_PAGES: Final = 64
MOST_BATCH_PAGES: Final = 512
#: Longest sleep in one go, so that a stop is heeded soon [s].
_NAP_SECONDS: Final = 0.2


@dataclass(frozen=True)
class PaceOptions:
    """How fast pages may be moved.

    Parameters
    ----------
    pages_per_second : float or None
        At most so many; None for no limit [pages/s].
    cpu_share : float
        Share of one CPU that scanning and moving may take, above 0 and up to 1.
    call_seconds : float
        Batches become smaller while one call of `move_pages` takes longer than this, down to 64 pages [s].
    batch_pages : int
        The largest batch [pages].
    """

    pages_per_second: float | None = None
    cpu_share: float = 0.5
    call_seconds: float = 0.01
    batch_pages: int = MOST_BATCH_PAGES

    def __post_init__(self) -> None:
        if self.pages_per_second is not None and not self.pages_per_second > 0:
            raise ParameterError(f"rate {self.pages_per_second:g} pages/s is not above 0")
        if not 0 < self.cpu_share <= 1:
            raise ParameterError(
                f"CPU share {self.cpu_share:g} is not above 0 and up to 1",
                "write a share such as 0.25 or 25%",
            )
        if not LEAST_BATCH_PAGES <= self.batch_pages <= MOST_BATCH_PAGES:
            raise ParameterError(
                f"a batch of {self.batch_pages} pages is not from {LEAST_BATCH_PAGES} to {MOST_BATCH_PAGES}"
            )
        if not self.call_seconds > 0:
            raise ParameterError(f"a call of {self.call_seconds:g} s is not above 0 s")


class MovePace:
    """Keeps a mover within its options.

    Parameters
    ----------
    options : PaceOptions
        The limits.
    stop : threading.Event
        Ends every sleep.
    """

    def __init__(self, options: PaceOptions, stop: threading.Event) -> None:
        self._options = options
        self._stop = stop
        self._cpu_seconds = time.thread_time()
        self._owed_seconds = 0.0
        self._next = 0.0
        self.batch_pages = options.batch_pages

    def begin(self) -> None:
        """Count CPU time from here on, of the thread that calls."""
        self._cpu_seconds = time.thread_time()

    def wait(self, pages: int) -> bool:
        """Sleep until so many pages may be moved; False if the mover is to stop.

        Parameters
        ----------
        pages : int
            Pages of the next call [pages].
        """
        self.settle()
        limit = self._options.pages_per_second
        if limit is not None:
            now = time.monotonic()
            if self._next > now and not self.sleep(self._next - now):
                return False
            self._next = max(self._next, now) + pages / limit
        return not self._stop.is_set()

    def settle(self) -> None:
        """Sleep off the CPU time that was taken since the last time."""
        now = time.thread_time()
        spent, self._cpu_seconds = now - self._cpu_seconds, now
        share = self._options.cpu_share
        self._owed_seconds += spent * (1 / share - 1)
        # Very short sleeps cost more than they give.
        if self._owed_seconds >= 0.002:
            slept = time.monotonic()
            self.sleep(self._owed_seconds)
            self._owed_seconds -= time.monotonic() - slept

    def sleep(self, seconds: float) -> bool:
        """Sleep; False if the mover is to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stop.wait(min(left, _NAP_SECONDS)):
                return False
        return not self._stop.is_set()

    def took(self, seconds: float, pages: int) -> None:
        """Choose the next batch by what the last call took [s]."""
        if seconds > self._options.call_seconds:
            self.batch_pages = max(LEAST_BATCH_PAGES, self.batch_pages // 2)
        elif seconds < self._options.call_seconds / 4 and pages >= self.batch_pages:
            self.batch_pages = min(self._options.batch_pages, self.batch_pages * 2)
