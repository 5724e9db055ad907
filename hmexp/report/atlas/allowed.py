"""What a published bundle may say: every string in it is at a place of this list, and of its form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from hmexp.errors import ParameterError

#: Letters, digits and what model names and sentences of ours have: no slash, at sign, backslash or control
#: character, so that no path, address or markup can be said.
_WORDS: Final = r"[A-Za-z0-9 (),.;:%+*=_'-]{1,400}"
_VERSION: Final = r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}(\.?(dev|rc|a|b|post)[0-9]{0,4})?"
#: By its place: names of fields, `*` for any element of a list.
ALLOWED: Final[Mapping[str, str]] = {
    "format": r"hmexp-atlas-1",
    "checksum": r"[0-9a-f]{64}",
    "content.profile.title": _WORDS,
    "content.profile.kind": r"dram|nvm|cxl|hbm|gpu|unknown",
    "content.profile.source": _WORDS,
    "content.machine.architecture": r"x86_64|aarch64|riscv64|ppc64le|s390x|loongarch64",
    "content.machine.cpu_model": _WORDS,
    "content.machine.kernel": r"[0-9]{1,3}(\.[0-9]{1,4}){1,2}",
    "content.machine.thp": r"always|madvise|never",
    "content.machine.memory_types.*": r"[A-Z0-9-]{1,20}",
    "content.machine.nodes.*.kind": r"dram|nvm|cxl|hbm|gpu|unknown",
    "content.versions.hmexp": _VERSION,
    "content.versions.python": _VERSION,
    "content.versions.numpy": _VERSION,
    "content.month": r"20[0-9]{2}-(0[1-9]|1[0-2])",
    "content.study": r"sweep|matrix|curves",
    "content.points.*.kind": r"loop|curve",
    "content.points.*.pattern": r"[0-9]{1,4}",
    "content.points.*.operation": r"[a-z0-9_]{1,24}",
    "content.points.*.placer": r"[a-z_]{1,24}",
    "content.points.*.stores": r"nt|regular",
    "content.points.*.unit": r"GB/s|ns",
}
_FORMS: Final = {place: re.compile(form, re.ASCII) for place, form in ALLOWED.items()}


def leaves(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a value as JSON has it, with its place; keys of objects are part of the place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner, f"{place}.*")


def require_allowed(value: object, what: str) -> None:
    """Refuse a value with a string that a bundle may not have.

    Parameters
    ----------
    value : object
        As JSON has it.
    what : str
        What it is, for the error.

    Raises
    ------
    ParameterError
        Naming the place of the first such string, not the string: it may be what must not be said.
    """
    for place, text in leaves(value):
        form = _FORMS.get(place)
        if form is None:
            raise ParameterError(f"{what}: {place[:120]!r} is no place for a text")
        if form.fullmatch(text) is None:
            raise ParameterError(f"{what}: the text at {place} is not of the form {ALLOWED[place]}")


def spell(text: str | None) -> str | None:
    """A text with every character that a bundle may not have left out; None if nothing is left."""
    if text is None:
        return None
    kept = " ".join(re.sub(r"[^A-Za-z0-9 (),.;:%+*=_'-]", " ", text).split())[:400]
    return kept or None
