"""What the report needs of a stored record: of many points, whole records would not fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_CURVE: Final = ("load_gbps", "median")
_NOISE: Final = ("flags", "disturbed", "warnings")
_WHEN: Final = ("before", "after")


class Digest:
    """Cuts records down, and makes equal parts of them one; a callable for `read_points`.

    Left out are where each launch has its own proof beside the point's (whether it held is kept), what each
    sample was disturbed by in numbers (its marks are kept), bytes on the bus, and all of a curve of loaded
    latency but the curve.
    """

    def __init__(self) -> None:
        self._shared: dict[Any, Any] = {}

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record itself, cut down."""
        launches = record.get("launches")
        if isinstance(launches, list):
            record["launches"] = [self._launch(launch) for launch in launches]
        for side in _parts(record.get("proof"), _WHEN):
            if side.get("strip"):
                key = ("strip", *map(tuple, side["strip"]))
                side["strip"] = self._shared.setdefault(key, side["strip"])
        result = record.get("result")
        if isinstance(result, dict):
            self._cut(result)
        return record

    def _launch(self, launch: Any) -> Mapping[str, Any]:
        proof = launch.get("proof") if isinstance(launch, dict) else None
        held = (
            tuple((when, (proof.get(when) or {}).get("ok")) for when in _WHEN if proof.get(when))
            if proof
            else ()
        )
        if held not in self._shared:
            self._shared[held] = {"proof": {when: {"ok": ok} for when, ok in held} or None}
        found: Mapping[str, Any] = self._shared[held]
        return found

    def _cut(self, result: dict[str, Any]) -> None:
        result.pop("bus_bytes", None)
        noise = result.get("noise")
        if isinstance(noise, dict):
            kept = {name: noise[name] for name in _NOISE if name in noise}
            result["noise"] = self._shared.setdefault(repr(kept), kept)
        _cut_details(result)
        for launch in _parts(result, ("launches",)):
            _cut_details(launch)


def _cut_details(result: dict[str, Any]) -> None:
    details = result.get("details")
    if isinstance(details, dict) and isinstance(details.get("curve"), list):
        details["curve"] = [
            {name: rate[name] for name in _CURVE if name in rate} for rate in details["curve"]
        ]


def _parts(whole: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if not isinstance(whole, dict):
        return []
    found: list[Any] = []
    for name in names:
        part = whole.get(name)
        found += part if isinstance(part, list) else [part]
    return [part for part in found if isinstance(part, dict)]
