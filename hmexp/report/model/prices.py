"""Prices of memory, the user's own, and amounts of money in words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError
from hmexp.report.run.numbers import digits

_CURRENCY: Final = re.compile(r"[^\W\d_]{1,6}|[$€£¥₹₩]|[A-Z]{1,3}\$")


@dataclass(frozen=True)
class Prices:
    """Prices of memory, both in the same currency.

    Parameters
    ----------
    dram, slow : float
        Of DRAM, and of the slow memory [per GiB].
    currency : str
        What they are in, such as EUR; empty if that is not said.

    Raises
    ------
    ParameterError
        If one is not a positive number, or the currency is no word or sign.
    """

    dram: float
    slow: float
    currency: str = ""

    def __post_init__(self) -> None:
        if self.currency and not _CURRENCY.fullmatch(self.currency):
            raise ParameterError(
                f"currency {self.currency!r} is not a short word or sign", "write it as EUR, USD or $"
            )
        for name in ("dram", "slow"):
            value = getattr(self, name)
            if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
                raise ParameterError(
                    f"the price of {name} memory, {value!r}, is not a positive number",
                    "give prices per GiB, both in the same currency",
                )

    def of(self, dram_share: float) -> float:
        """Price of a mixture [per GiB]."""
        return dram_share * self.dram + (1 - dram_share) * self.slow

    def say(self, amount: float) -> str:
        """Write an amount of money with its currency."""
        whole = abs(amount) >= 1000 or amount == round(amount)
        number = f"{amount:,.0f}".replace("-", "−") if whole else digits(amount)
        return f"{number} {self.currency}".rstrip()
