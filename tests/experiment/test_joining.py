"""The record of a point keeps of its launches what the point itself does not have."""

from __future__ import annotations

import copy
from typing import Any

from hmexp.experiment.point_records import join_launches

STRIP = [[0, 2, 0, 2], [0, 0, 0, 0]]


def _launch(number: int, strip: list[list[int]]) -> dict[str, Any]:
    side = {"ok": True, "pages": 4, "strip": strip}
    return {
        "launch": number, "status": "ok", "reason": None, "error": None, "started": f"2026-01-0{number + 1}",
        "elapsed_seconds": 1.0, "machine": {}, "timing_valid": True,
        "setup": {"ns_per_page": 1.0 + number, "seconds": 0.1}, "proof": {"before": side, "after": None},
        "result": {
            "unit": "GB/s", "samples": [1.0, 2.0], "sample_seconds": [0.1, 0.1], "payload_bytes": [1, 1],
            "bus_bytes": None, "details": {}, "n": 2, "median": 1.5,
            "noise": {
                "preempted": [0, 0], "migrated": [0, 0], "off_cpu": [0.0, 0.0], "stolen": [0.0, 0.0],
                "flags": [[], []], "disturbed": 0, "waited_for_model": None, "warnings": [],
            },
        },
    }  # fmt: skip


def test_a_launch_leaves_out_the_strips_that_are_the_points() -> None:
    other = [[0, 2, 0, 2], [0, 0, 0, 1]]
    launches = [_launch(0, STRIP), _launch(1, STRIP), _launch(2, other)]
    given = copy.deepcopy(launches)
    record = join_launches(launches)
    assert launches == given, "the launches were changed"
    assert record["proof"] == given[0]["proof"]
    same, again, differs = (launch["proof"] for launch in record["launches"])
    assert same == again == {"before": {"ok": True, "pages": 4}, "after": None}
    assert differs == given[2]["proof"]


def test_a_launch_that_was_not_proven_stays_so() -> None:
    launches = [_launch(0, STRIP), _launch(1, STRIP) | {"proof": None, "status": "failed"}]
    record = join_launches(launches)
    assert [launch["proof"] for launch in record["launches"]] == [launches[0]["proof"], None]
    assert record["result"] is None
