"""Reading typed values: the one door to msgspec's decoders, which threads pass one by one.

msgspec looks into a struct when it is first decoded, and leaves what it has found so far at the class
while it goes on. Annotations are evaluated by Python, in which another thread may have its turn: if that
one decodes the same struct, it reads types that are not there yet, and the process dies of signal 11
(msgspec 0.22; it guards a Python without the GIL alone). Here a type is looked into under a lock, before
anything is read by it.
"""

from __future__ import annotations

import threading
from typing import Any, Final, TypeVar, overload

import msgspec

T = TypeVar("T")
Decoder = msgspec.json.Decoder  # noqa: TID251 - this is the door
# A struct is part of others: one lock for all types.
_one_at_a_time: Final = threading.RLock()
_decoders: Final[dict[object, Decoder[Any]]] = {}


@overload
def decoder(wanted: type[T]) -> Decoder[T]: ...
@overload
def decoder(wanted: object) -> Decoder[Any]: ...
def decoder(wanted: object) -> Decoder[Any]:
    """The decoder of JSON into a type; the same one for all who ask.

    Parameters
    ----------
    wanted : type
        A struct, or a union of structs.
    """
    found = _decoders.get(wanted)
    if found is None:
        with _one_at_a_time:
            found = _decoders.get(wanted)
            if found is None:
                found = _decoders[wanted] = Decoder(wanted)
    return found


def decode(text: bytes | str, wanted: type[T]) -> T:
    """Read JSON as a type.

    Raises
    ------
    msgspec.DecodeError
        If it is not JSON, or not of that type; then it is a msgspec.ValidationError that says where.
    """
    return decoder(wanted).decode(text)


def convert(found: object, wanted: type[T], *, str_keys: bool = False) -> T:
    """Make a typed value of dicts, lists and plain values.

    Parameters
    ----------
    found : object
        What was read.
    wanted : type
        What it is to be.
    str_keys : bool
        Whether keys that are numbers come as text, as they do in JSON.

    Raises
    ------
    msgspec.ValidationError
        If it is not of that type; it says where.
    """
    decoder(wanted)
    return msgspec.convert(found, wanted, str_keys=str_keys)  # noqa: TID251 - this is the door
