"""How a measurement that went wrong becomes a record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hmexp.errors import HmexpError, PlacementError, PlacerUnavailableError, PlacerUnsuitableError


@contextmanager
def recorded(record: dict[str, Any], misplaced: Callable[[PlacementError], dict[str, Any]]) -> Iterator[None]:
    """Write into a record why what is done inside came to its end, and how long it took.

    The record says ``failed`` beforehand; what is done inside sets ``ok``. Only what is to end the process is
    raised.

    Parameters
    ----------
    record : dict
        Gets ``status`` (if skipped), ``reason``, ``error``, ``traceback`` (of a bug), ``elapsed_seconds``.
    misplaced : callable
        What else belongs into it when pages are on wrong nodes.
    """
    started = time.monotonic()
    try:
        yield
    except (PlacerUnavailableError, PlacerUnsuitableError) as error:
        record |= {"status": "skipped", "reason": str(error), "error": type(error).__name__}
    except PlacementError as error:
        record |= {"reason": str(error), "error": type(error).__name__} | misplaced(error)
    except (HmexpError, MemoryError) as error:
        record |= {"reason": str(error) or "out of memory", "error": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - a bug is a record too, or the point would be lost
        reason = f"{type(error).__name__}: {error}"
        record |= {"reason": reason, "error": type(error).__name__, "traceback": traceback.format_exc()}
    record["elapsed_seconds"] = round(time.monotonic() - started, 3)
