"""A sweep that an earlier hmexp began, and that was killed, is finished by this one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hmexp
from hmexp.cli.main import main
from hmexp.store.schema import SCHEMA
from hmexp.system.topology import read_topology

FIXTURE = Path(__file__).parents[1] / "store" / "fixtures" / "killed-2"
#: As it was asked for with hmexp 0.1, which SIGKILL ended after 5 of 9 launches.
ASKED = (
    "--patterns", "0", "0,2", "2", "--operations", "read", "--size", "16MiB", "--launches", "3",
    "--samples", "5", "--threads", "1", "--emulate", "2=optane-dcpmm",
)  # fmt: skip


@pytest.mark.skipif(
    [node.id for node in read_topology().memory_nodes] != [0], reason="the run is of a machine with node 0"
)
def test_a_sweep_of_schema_2_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    begun = FIXTURE / "launches.jsonl"
    name = json.loads((FIXTURE / "run.json").read_text())["name"]
    folder = tmp_path / name
    shutil.copytree(FIXTURE, folder)
    with pytest.raises(SystemExit) as ended:
        main(["-q", "sweep", *ASKED, "--results", str(tmp_path)])
    assert ended.value.code == 0
    assert [path.name for path in tmp_path.iterdir() if not path.is_symlink()] == [name]
    after = (folder / "launches.jsonl").read_bytes()
    assert after.startswith(begun.read_bytes())
    launches = [json.loads(line) for line in after.splitlines()]
    assert [launch["schema"] for launch in launches] == [2] * 5 + [SCHEMA] * 4
    assert len({(launch["point_id"], launch["launch"]) for launch in launches}) == 9
    points = hmexp.load(folder).points
    assert points["status"].tolist() == ["ok"] * 3
    assert points["launches"].tolist() == [3] * 3
    # The samples of the old launches are among those of the points, as they were stored.
    samples = hmexp.load(folder).samples
    for launch in launches[:5]:
        of_it = samples[(samples["point_id"] == launch["point_id"]) & (samples["launch"] == launch["launch"])]
        assert of_it["value"].tolist() == launch["result"]["samples"]
