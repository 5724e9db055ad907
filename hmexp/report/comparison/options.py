"""How two runs are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError

#: Of the points called faster or slower, the share that may be so by chance.
FALSE_DISCOVERIES: Final = 0.05


@dataclass(frozen=True)
class ComparisonOptions:
    """How to compare.

    Parameters
    ----------
    of_model : bool
        Compare how far each is from what its emulated nodes must show, not the speeds themselves.
    of_profile : bool
        A is a machine, and B emulates the profile that was captured from it: compare how far A is from that
        profile as it stands, and B from the profile as it was scaled to its host. Another number of threads
        is no other point: the figures of a profile are what the machine gave at best.
    by_ratio : bool
        Match patterns by their DRAM:slow ratio, not by their nodes' numbers.
    least : float
        Differences smaller than this are ignored, however certain [share, 0.01 is 1 %].
    false_discoveries : float
        Share of the verdicts faster and slower that may be false.
    launch_noise : float or None
        Standard deviation of a median from launch to launch, instead of what the records say [share].
    """

    of_model: bool = False
    of_profile: bool = False
    by_ratio: bool = False
    least: float = 0.0
    false_discoveries: float = FALSE_DISCOVERIES
    launch_noise: float | None = None

    def __post_init__(self) -> None:
        if self.of_model and self.of_profile:
            raise ParameterError(
                "of_model and of_profile contradict each other",
                "of_profile if B emulates a profile that was captured from A; else of_model",
            )
        for name in ("least", "launch_noise"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ParameterError(f"{name} {value!r} is not a share from 0 to below 1", "1 % is 0.01")
        if not 0 < self.false_discoveries < 1:
            raise ParameterError(
                f"false_discoveries {self.false_discoveries!r} is not between 0 and 1", "the usual is 0.05"
            )
