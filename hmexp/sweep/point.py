"""One point of a sweep: what is measured, stored and resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

from hmexp.measure.quantity import is_loaded
from hmexp.native import PAGE_BYTES
from hmexp.pattern import Pattern
from hmexp.store.parameters import LoopPoint
from hmexp.store.schema import ID_VERSION
from hmexp.sweep.access import SEQUENTIAL, access_of
from hmexp.units import format_size

#: Threads run on the CPUs of the first node that has some, and on others if those are too few.
NEAR: Final = "near"


@dataclass(frozen=True)
class SweepPoint:
    """One combination of parameters: what is measured, stored and resumed."""

    pattern: str
    granule_bytes: int
    size_bytes: int
    placer: str
    operation: str
    threads: int
    samples: int
    sample_seconds: float
    emulate: str | None
    page_bytes: int = PAGE_BYTES
    launches: int = 1
    precision: float = 0.0
    most_samples: int | None = None
    access: str | None = None
    cpu_node: str = NEAR

    def __post_init__(self) -> None:
        # One way to say it, or the same point would have two ids.
        object.__setattr__(self, "access", access_of(self.operation, self.access or SEQUENTIAL))

    @property
    def id(self) -> str:
        """Stable name: a hash of the parameters."""
        values = asdict(self)
        # Points that were measured before there were these parameters keep their names.
        for name, usual in (("access", (None, SEQUENTIAL)), ("cpu_node", (NEAR,))):
            if values[name] in usual:
                del values[name]
        return hash_of({"schema": ID_VERSION, **values})

    @property
    def parsed_pattern(self) -> Pattern:
        """The pattern with its granule."""
        return _parse(self.pattern, self.granule_bytes)

    @property
    def cpu_count(self) -> int:
        """How many CPUs it takes: one for the chase beside the threads that load it."""
        return self.threads + is_loaded(self.operation)

    @property
    def alike(self) -> tuple[str, int]:
        """What launches that take about as long have in common."""
        return self.operation, self.size_bytes

    def to_record(self) -> LoopPoint:
        """The parameters as they are stored."""
        return LoopPoint(**asdict(self))

    def __str__(self) -> str:
        pattern = self.pattern if len(self.pattern) <= 24 else f"{self.pattern[:21]}..."
        pages = f", {format_size(self.page_bytes)} pages" if self.page_bytes != PAGE_BYTES else ""
        access = f", {self.access}" if self.access not in (None, SEQUENTIAL) else ""
        where = f", CPUs of node {self.cpu_node}" if self.cpu_node != NEAR else ""
        return (
            f"{self.operation} on {pattern} by {self.placer}, {self.threads} thread{'s'[: self.threads > 1]}"
            f"{pages}{access}{where}"
        )


def hash_of(value: object) -> str:
    """A short hash of a JSON-able value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=32)
def _parse(text: str, granule_bytes: int) -> Pattern:
    """A pattern is asked for many times in a plan, and may have a million entries."""
    return Pattern.parse(text, granule_bytes)
