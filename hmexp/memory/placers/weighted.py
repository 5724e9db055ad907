"""The kernel's own interleaving by weights."""

from __future__ import annotations

import errno
import os
from typing import Final

from hmexp import native
from hmexp.errors import NativeError, SettingsError
from hmexp.memory.placers.interleave import Interleaving
from hmexp.memory.placers.protocol import Obstacle, Placed
from hmexp.native import PAGE_BYTES, PageMapping, Spreading
from hmexp.pattern import Pattern
from hmexp.system.settings import HERE, interleave_weights
from hmexp.system.topology import find_usable_node

#: The largest weight that the kernel takes (a u8).
MAX_WEIGHT: Final = 255


class Weighted(Interleaving):
    """`MPOL_WEIGHTED_INTERLEAVE` on the mapping, with the pattern's ratio as weights.

    Weights belong to the whole machine. They are set while the region is populated, under a lock that
    makes other regions wait, and put back: so a region's pages keep the ratio they were made in, and a
    page that is dropped comes back by whatever the weights are then.
    """

    name = "weighted"
    lazy = False
    needs = "MPOL_WEIGHTED_INTERLEAVE (Linux 6.9), and to write its weights"

    def unavailable(self) -> Obstacle | None:
        """See `Placer`."""
        node = find_usable_node()
        try:
            mapping = PageMapping(PAGE_BYTES)
            try:
                native.spread(mapping, Pattern((node,), PAGE_BYTES), Spreading.WEIGHTED)
            finally:
                mapping.close()
        except NativeError as error:
            if error.errno == errno.EINVAL:
                return Obstacle(
                    "the kernel does not know MPOL_WEIGHTED_INTERLEAVE",
                    "boot Linux 6.9 or later; or use another placer: see `hmexp placers`",
                )
            if error.errno != errno.ENOMEM:
                return Obstacle(error.message, error.remedy or "see mbind(2)")
        return _weights_obstacle(node)

    def unsuitable(self, pattern: Pattern, huge: bool = False) -> Obstacle | None:
        """See `Placer`."""
        largest = max(pattern.ratio().values())
        if largest > MAX_WEIGHT:
            return Obstacle(
                f"weighted takes weights of 1 to {MAX_WEIGHT}, and the pattern has one of {largest}",
                "use a placer of exact order: see `hmexp placers`",
            )
        return super().unsuitable(pattern, huge)

    def place(self, mapping: PageMapping, pattern: Pattern) -> Placed:
        """See `Placer`."""
        weights = pattern.ratio()
        with interleave_weights(weights) as settings:
            native.spread(mapping, pattern, Spreading.WEIGHTED)
            native.populate(mapping)
        return Placed(
            {"weights": {str(node): weight for node, weight in weights.items()}},
            {name: setting.to_record() for name, setting in settings.items()},
        )


def _weights_obstacle(node: int) -> Obstacle | None:
    nodes, _modes = HERE.weight_files()
    if node not in nodes:
        return Obstacle(
            f"{HERE.weights_directory} has no weight of node {node}", "mount /sys; boot Linux 6.9 or later"
        )
    if not os.access(nodes[node], os.W_OK):
        return Obstacle(
            f"{nodes[node]} cannot be written: only root may, and where /sys is not read-only",
            "run as root, in a container with /sys writable",
        )
    try:
        HERE.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        return Obstacle(
            f"the old weights cannot be kept in {HERE.directory}: {error.strerror}", "run as root"
        )
    try:
        with HERE.journals.locked("weights", 0):
            one_way = HERE.one_way_mode()
    except SettingsError:
        return None  # another process holds weights now: so it can be done
    return None if one_way is None else Obstacle(*one_way)
