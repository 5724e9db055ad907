"""What a person may ask of the study of a Redis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hmexp.errors import ParameterError
from hmexp.study.experiment import StudyParameters

AUTO: Final = "auto"


@dataclass(frozen=True)
class RedisParameters(StudyParameters):
    """Parameters of the study of a Redis, under the names they have in its notebook.

    Parameters
    ----------
    ratios : tuple of str
        DRAM:slow; ``1:0`` is all DRAM, with which the others are compared.
    reads : tuple of str
        Shares of GET among the requests [%].
    values : tuple of str
        Sizes of the values.
    data : str
        Size of the server's memory; far over the last-level cache.
    keys : str
        Which keys are asked for: ``uniform``, or the exponent of Zipf's law.
    rate : int
        Requests per second at which latency is measured.
    connections, threads : int
        Of the client.
    seconds : float
        How long throughput, and then latency, are measured in each launch [s].
    dump : str
        ``yes`` or ``no``: whether BGSAVE is measured, too.
    way : str
        How the pages get there; ``auto`` is the most exact way that works here.
    launches : int
        Fresh servers for each point.
    settle_seconds : float
        How long the pages may take to be in place after the load [s].
    dram, slow : str
        Nodes, by number; ``auto`` is the DRAM nearest to the CPUs, and the slow node near it.
    """

    ratios: tuple[str, ...] = ("1:0", "3:1", "1:1", "1:2", "1:3", "0:1")
    reads: tuple[str, ...] = ("100", "95", "50", "0")
    values: tuple[str, ...] = ("100B", "1KiB")
    data: str = "1GiB"
    keys: str = "0.99"
    rate: int = 20000
    connections: int = 16
    threads: int = 1
    seconds: float = 5.0
    dump: str = "yes"
    way: str = AUTO
    launches: int = 3
    settle_seconds: float = 120.0
    dram: str = "auto"
    slow: str = "auto"
    timeout_seconds: float = 3600.0

    @property
    def zipf(self) -> float:
        """The exponent of Zipf's law; 0 for uniform keys.

        Raises
        ------
        ParameterError
            If it is none.
        """
        if self.keys == "uniform":
            return 0.0
        try:
            found = float(self.keys)
        except ValueError:
            found = math.nan
        if not 0 < found <= 10:
            raise ParameterError(
                f"keys {self.keys!r} is neither uniform nor an exponent of Zipf's law",
                "use uniform, or a number such as 0.99",
            )
        return found
