"""Operations by name, and by the read:write ratios that other tools write."""

from __future__ import annotations

from typing import Final

from hmexp import native
from hmexp.errors import ParameterError
from hmexp.native import Operation

OPERATIONS: Final[tuple[str, ...]] = tuple(native.OPERATIONS)
#: Read:write ratios, as other tools write them.
_ALIASES: Final = {
    "1:0": "read", "3:1": "mix_3_1", "2:1": "mix_2_1", "1:1": "mix_1_1", "0:1": "write",
    "3:1nt": "mix_3_1_nt", "2:1nt": "mix_2_1_nt", "1:1nt": "mix_1_1_nt", "0:1nt": "write_nt",
}  # fmt: skip


def find_operation(name: str) -> Operation:
    """The operation of that name, or of that read:write ratio (``3:1``, ``3:1nt``).

    Raises
    ------
    ParameterError
        If there is none, with the names there are.
    """
    found = native.OPERATIONS.get(_ALIASES.get(name, name))
    if found is None:
        raise ParameterError(
            f"operation {name!r} is unknown",
            f"use one of: {', '.join(OPERATIONS)}, or a read:write ratio: {', '.join(_ALIASES)}",
        )
    return found
