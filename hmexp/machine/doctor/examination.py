"""The examination: every check of every group, in the order of the screen."""

from __future__ import annotations

from collections.abc import Iterator

# Imported for their checks, which register themselves.
from hmexp.machine.doctor import cpus, kernel, limits, memory, module, placing, policies, results, weights
from hmexp.machine.doctor.finding import Diagnosis, Finding, Group
from hmexp.machine.doctor.registry import CHECKS, carry_out
from hmexp.machine.doctor.subject import Subject

#: The modules with the checks.
MODULES = (kernel, memory, policies, weights, limits, placing, module, cpus, results)


def examine(subject: Subject | None = None) -> Iterator[Finding]:
    """Look at everything, a group at a time.

    Parameters
    ----------
    subject : Subject, optional
        The machine; by default this one. Of a tree of files only what files say is looked at.

    Yields
    ------
    Finding
        None of the checks raises: one that fails is itself a finding.
    """
    machine = subject or Subject()
    groups, modules = list(Group), [module.__name__ for module in MODULES]
    for one in sorted(
        CHECKS, key=lambda one: (groups.index(one.section.group), modules.index(one.look.__module__))
    ):
        if machine.live or not one.live:
            yield from carry_out(one, machine)


def diagnose(subject: Subject | None = None) -> Diagnosis:
    """All findings of an examination."""
    return Diagnosis(tuple(examine(subject)))
