"""How a profile is fitted to a host: factors from the published figures to those that are modelled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hmexp.errors import EmulationError
from hmexp.memory.profile import Profile
from hmexp.memory.speed import BANDWIDTHS, FIGURES, NodeSpeed, Quantity

#: Of what the host can do, the part that both nodes together may use: real nodes have channels of
#: their own, so both at full speed must fit, with room for a neighbour on the same core or memory.
BANDWIDTH_HEADROOM: Final = 0.6
#: The fast node's latency, as a multiple of what the host's own memory takes.
LATENCY_HEADROOM: Final = 1.5
#: Shares of loads in the payload at which a link or a medium must fit in the host: its peak may lie between.
_SHARES: Final = tuple(step / 20 for step in range(21))


def find_scale(profile: Profile, host: NodeSpeed, absolute: bool) -> dict[Quantity, float]:
    """Find the factor of each figure that the profile and the host both have.

    Rates of one queue have a factor each. With a link or a medium all bandwidths have one, the largest
    with which every mix fits in the host: their relations are what makes the curves.

    Parameters
    ----------
    profile : Profile
        The published speeds.
    host : NodeSpeed
        What the host can do in the same loops.
    absolute : bool
        Take the figures as they are: every factor is 1.
    """
    scale: dict[Quantity, float] = {}
    for quantity, name in FIGURES.items():
        able, dram, slow = (getattr(speed, name) for speed in (host, profile.dram, profile.slow))
        if able is None or dram is None or slow is None:
            continue
        if absolute:
            scale[quantity] = 1.0
        elif quantity in BANDWIDTHS:
            scale[quantity] = (
                min(factor for _, factor in _of_mixes(profile, host))
                if profile.duplex
                else BANDWIDTH_HEADROOM * able / (dram + slow)
            )
        else:
            scale[quantity] = LATENCY_HEADROOM * able / min(dram, slow)
    return scale


def _of_mixes(profile: Profile, host: NodeSpeed) -> Iterator[tuple[str, float]]:
    """Every mix of loads and stores, and the largest factor with which the host carries both nodes at it."""
    for nontemporal in (False, True):
        if nontemporal and host.write_nt_gbps is None:
            continue
        stores = "non-temporal stores" if nontemporal else "regular stores"
        for share in _SHARES:
            able, dram, slow = (
                1 / speed.busy_ns(share, 1 - share, nontemporal=nontemporal)
                for speed in (host, profile.dram, profile.slow)
            )
            yield f"{share:.0%} loads, the rest {stores}", BANDWIDTH_HEADROOM * able / (dram + slow)


def require_carried(profile: Profile, host: NodeSpeed) -> None:
    """Refuse a profile whose figures, as they are, do not fit in the host.

    Raises
    ------
    EmulationError
        With the figures.
    """
    beyond = []
    for quantity, name in FIGURES.items():
        able, dram, slow = (getattr(speed, name) for speed in (host, profile.dram, profile.slow))
        if able is None or dram is None or slow is None:
            continue
        if quantity in BANDWIDTHS and dram + slow > BANDWIDTH_HEADROOM * able:
            beyond.append(
                f"dram.{name} + slow.{name} = {dram + slow:.4g}, of which this host carries "
                f"{BANDWIDTH_HEADROOM * able:.4g}"
            )
        elif quantity not in BANDWIDTHS and min(dram, slow) < able:
            beyond.append(f"the least {name} = {min(dram, slow):.4g}, which on this host is {able:.4g}")
    if profile.duplex and not beyond:
        mix, factor = min(_of_mixes(profile, host), key=lambda each: each[1])
        if factor < 1:
            beyond.append(f"of {mix}, this host carries {factor:.0%} of what both nodes do together")
    if beyond:
        raise EmulationError(
            f"this host cannot carry the profile {profile.name} at absolute speed: {'; '.join(beyond)}",
            "ask for it without @absolute: both nodes are then scaled to the host by the same factors",
        )
