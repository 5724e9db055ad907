"""What the report needs of a stored record: of many points, whole records would not fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_CURVE: Final = ("load_gbps", "median")
_NOISE: Final = ("flags", "disturbed", "warnings")
_LAUNCH: Final = ("stop", "curve", "knee")
_WHEN: Final = ("before", "after")


class Digest:
    """Cuts records down, and makes equal parts of them one; a callable for `read_points`.

    Left out are where each launch has its own proof beside the point's (whether it held is kept), what each
    sample was disturbed by in numbers (its marks are kept), bytes on the bus, and all of a curve of loaded
    latency but the curve, and what the launches say beside that and why they stopped.
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
        sides = proof if isinstance(proof, dict) else {}
        held = tuple([(when, sides[when].get("ok")) for when in _WHEN if sides.get(when)])
        if held not in self._shared:
            self._shared[held] = {"proof": {when: {"ok": ok} for when, ok in held} or None}
        kept: Mapping[str, Any] = self._shared[held]
        return kept

    def _cut(self, result: dict[str, Any]) -> None:
        result.pop("bus_bytes", None)
        noise = result.get("noise")
        if isinstance(noise, dict):
            kept = {name: noise[name] for name in _NOISE if name in noise}
            result["noise"] = self._shared.setdefault(repr(kept), kept)
        payload = result.get("payload_bytes")
        if isinstance(payload, list):
            result["payload_bytes"] = self._shared.setdefault(("payload", *payload), payload)
        _cut_curve(result.get("details"))
        for launch in _parts(result, ("launches",)):
            details = launch.get("details")
            if not isinstance(details, dict):
                continue
            kept = {name: details[name] for name in _LAUNCH if name in details}
            if "curve" in kept:
                _cut_curve(kept)
                launch["details"] = kept
            else:
                launch["details"] = self._shared.setdefault(repr(kept), kept)


def _cut_curve(details: Any) -> None:
    if isinstance(details, dict) and isinstance(details.get("curve"), list):
        rates = details["curve"]
        details["curve"] = [{name: rate[name] for name in _CURVE if name in rate} for rate in rates]


def _parts(whole: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if not isinstance(whole, dict):
        return []
    found: list[Any] = []
    for name in names:
        part = whole.get(name)
        found += part if isinstance(part, list) else [part]
    return [part for part in found if isinstance(part, dict)]
