"""Curves of latency against load: their points and their knee."""

from __future__ import annotations

from hmexp.store.evidence import NoiseRecord
from hmexp.store.schema import Stored


class LoadedRate(Stored, frozen=True, kw_only=True, gc=False):
    """Latency at one rate of a load.

    Parameters
    ----------
    delay_ns : int or None
        Pause of a thread after each burst; None is no load at all [ns].
    load_gbps : float
        Median payload of the threads that load [GB/s].
    median : float
        Median latency [ns].
    ci_low : float or None
        Lower end of the 95 % interval of the median [ns].
    ci_high : float or None
        Upper end of the 95 % interval of the median [ns].
    mad : float or None
        Median absolute deviation, not scaled [ns].
    minimum : float or None
        Smallest sample [ns].
    maximum : float or None
        Largest sample [ns].
    n : int
        Number of samples.
    interval_over : str
        What the interval covers: `launches` or `samples`.
    samples : tuple of float
        Latency in each sample [ns].
    loads : tuple of float
        Payload of the threads that load in each sample [GB/s].
    noise : NoiseRecord or None
        What disturbed the samples.
    """

    delay_ns: int | None
    load_gbps: float
    median: float
    ci_low: float | None = None
    ci_high: float | None = None
    mad: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    n: int = 0
    interval_over: str = "samples"
    samples: tuple[float, ...] = ()
    loads: tuple[float, ...] = ()
    noise: NoiseRecord | None = None


class KneeRecord(Stored, frozen=True, kw_only=True, gc=False):
    """The knee of a curve of loaded latency.

    Parameters
    ----------
    saturated : bool
        Whether the load was enough to find a knee.
    load_gbps : float or None
        Load at the knee; None without one [GB/s].
    latency_ns : float or None
        Latency at the knee; None without one [ns].
    highest_gbps : float
        Highest load that was reached [GB/s].
    rise : float
        Latency under the highest load, as a multiple of that without load.
    ci_low : float or None
        Lower end of the 95 % interval of the load at the knee [GB/s].
    ci_high : float or None
        Upper end of the 95 % interval of the load at the knee [GB/s].
    interval_over : str
        What the interval covers: `launches` or `samples`.
    """

    saturated: bool
    load_gbps: float | None
    latency_ns: float | None
    highest_gbps: float
    rise: float
    ci_low: float | None = None
    ci_high: float | None = None
    interval_over: str = "samples"
