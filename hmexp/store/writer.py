"""Writing records: the only place that turns them into bytes."""

from __future__ import annotations

import msgspec

from hmexp.decoding import decode
from hmexp.store.records import MeasuredRecord, RunRecord


def encode(record: MeasuredRecord) -> bytes:
    """Write a record of a launch or of a point as one line of JSON, without its end.

    Raises
    ------
    ValueError
        If it could not be read back as it is: a number that is not finite, or a value of another type. Such
        a record must never reach a file.
    """
    line = msgspec.json.encode(record)
    _require_same(line, record)
    return line


def encode_run(run: RunRecord) -> bytes:
    """Write the description of a run as indented JSON.

    Raises
    ------
    ValueError
        As `encode`.
    """
    text = msgspec.json.encode(run)
    _require_same(text, run)
    return msgspec.json.format(text, indent=2) + b"\n"


def _require_same(text: bytes, record: MeasuredRecord | RunRecord) -> None:
    try:
        again = decode(text, type(record))
    except msgspec.DecodeError as error:
        raise ValueError(f"the record cannot be read back: {error}") from error
    if again != record:
        raise ValueError(
            f"the record is not the same when it is read back: {text[:200].decode(errors='replace')}"
        )
