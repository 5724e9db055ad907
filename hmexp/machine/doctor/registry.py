"""The checks: each is registered by its group, and none can end the examination."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hmexp.errors import HmexpError
from hmexp.machine.doctor.finding import Finding, Section, Severity
from hmexp.machine.doctor.subject import Subject

Look = Callable[[Subject], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """Something to look at.

    Parameters
    ----------
    section : Section
        Its group.
    about : str
        What is looked at.
    look : callable
        Yields what it finds.
    live : bool
        It tries something, and so needs this machine; a tree of files is not enough.
    on_error : Severity
        What it means if it cannot be looked at.
    """

    section: Section
    about: str
    look: Look
    live: bool = False
    on_error: Severity = Severity.KNOW


#: All checks, in the order in which their modules are imported (see `examination`).
CHECKS: list[Check] = []


def check(
    section: Section, about: str, *, live: bool = False, on_error: Severity = Severity.KNOW
) -> Callable[[Look], Look]:
    """Register a check."""

    def register(look: Look) -> Look:
        CHECKS.append(Check(section, about, look, live, on_error))
        return look

    return register


def describe_os_error(error: OSError) -> str:
    """What the operating system refused, without the name of a Python exception."""
    reason = error.strerror or str(error)
    return f"{error.filename} cannot be read: {reason}" if error.filename else reason


def carry_out(one: Check, subject: Subject) -> Iterator[Finding]:
    """Look, and make a finding of whatever is raised; what was found before that stands."""
    try:
        yield from one.look(subject)
    except HmexpError as error:
        yield Finding(one.section.group, one.about, one.on_error, error.message, error.remedy)
    except OSError as error:
        yield Finding(one.section.group, one.about, one.on_error, describe_os_error(error))
    except Exception as error:  # noqa: BLE001 # a check that fails must not take the others with it
        seen = f"this could not be looked at: {type(error).__name__}: {error}"
        yield Finding(one.section.group, one.about, one.on_error, seen)
