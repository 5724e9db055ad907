"""Time that is counted in instructions: a nanosecond of the guest is one instruction of its processors.

What a program costs is then the same on any host and however busy it is, but for the guest's own interrupts.
A string instruction counts once for each step that it repeats: the clearing of a page by bytes is 4096.
"""

from __future__ import annotations

from typing import Final

from hmexp.lab.errors import LabError
from hmexp.lab.machine import TCG

#: What tells programs in the guest that their clocks count instructions.
INSTRUCTIONS: Final = "HMEXP_LAB_INSTRUCTIONS"

#: No time passes but by instructions, or while every processor waits.
ARGUMENTS: Final = ("-icount", "shift=0,sleep=off")

#: The kernel's own doubts in its clocks are about hardware: with them it would leave the one that counts.
#: A second processor never starts where instructions are time, and would count among them.
KERNEL_WORDS: Final = "tsc=reliable clocksource=tsc no_timer_check maxcpus=1"


def counted(accelerator: str, *, slowed: bool = False) -> str:
    """Choose the accelerator of a machine that counts: software emulation, the only one that can.

    Parameters
    ----------
    accelerator : str
        What was asked for.
    slowed : bool
        Whether a node is to be slowed, too.

    Raises
    ------
    LabError
        If another one was asked for, or a slow node: its delays are no instructions.
    """
    if slowed:
        raise LabError(
            "the delays of a slow node are times of the host, and instructions are to be counted",
            "leave out --slow-node, or --count-instructions",
        )
    if accelerator not in ("auto", TCG):
        raise LabError(
            f"instructions are counted by software emulation, and the accelerator is {accelerator}",
            "leave out --accelerator, or --count-instructions",
        )
    return TCG
