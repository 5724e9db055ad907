"""What the study of a Redis plans, on a machine with slow memory that is not here."""

from __future__ import annotations

import dataclasses

from hmexp.program.redis.parameters import RedisParameters
from hmexp.program.redis.study import make_redis_study
from hmexp.store.program_points import ProgramPoint
from hmexp.system.dax import NodeKind
from hmexp.system.limits import Limits
from hmexp.system.topology import Topology, read_topology


def with_slow_node() -> Topology:
    here = read_topology()
    dram = here.memory_nodes[0]
    slow = dataclasses.replace(dram, id=dram.id + 2, cpus=(), kind=NodeKind.CXL)
    return dataclasses.replace(here, nodes=(*here.nodes, slow), limits=Limits())


def test_each_point_has_the_same_in_dram_beside_it(redis_here: None) -> None:
    topology = with_slow_node()
    dram = topology.memory_nodes[0].id
    slow = dram + 2
    asked = RedisParameters(reads=("100", "0"), data="8MiB", keys="uniform", threads=2, launches=2)
    study = make_redis_study(asked, topology)
    patterns = [f"{dram}", f"{dram},{dram},{dram},{slow}", f"{dram},{slow}", f"{dram},{slow},{slow}",
                f"{dram},{slow},{slow},{slow}", f"{slow}"]  # fmt: skip
    # Two sizes by two shares of reads, and a dump of each size.
    assert len(study.points) == (2 * 2 + 2) * len(patterns) and len({p.id for p in study.points}) == 36
    by_id = {point.id: point.program for point in study.points}
    assert {point.launches for point in study.points} == {2}
    for point in study.points:
        program = point.program
        assert isinstance(program, ProgramPoint) and program.pattern in patterns
        assert program.way == ("node" if program.pattern in (str(dram), str(slow)) else "auto")
        values = program.definition.parameters
        if program.workload == "redis-dump":
            assert values["pattern"] == program.pattern
        else:
            assert (values["zipf"], values["threads"]) == (0.0, 2)
        assert values["keys"] == (8 << 20) // (int(values["value_bytes"]) + 104)
        if program.pattern == str(dram):
            assert point.id not in study.baselines
            continue
        base = by_id[study.baselines[point.id]]
        assert base.pattern == str(dram)
        others = {**base.definition.parameters, "pattern": 0}
        assert (
            others == {**values, "pattern": 0}
            if "pattern" in values
            else base.definition == program.definition
        )
    record = study.describe()
    assert (record.study, record.dram_nodes, record.slow_nodes) == ("redis", (dram,), (slow,))
    assert record.one_node is False and record.dram_node == dram


def test_one_node_measures_the_redis_in_dram_alone(redis_here: None) -> None:
    here = read_topology()
    one = dataclasses.replace(here, nodes=here.memory_nodes[:1])
    study = make_redis_study(RedisParameters(data="8MiB", reads=("95",), values=("100B",), dump="no"), one)
    [point] = study.points
    assert point.program.pattern == str(here.memory_nodes[0].id)
    assert study.facts.one_node and not study.baselines
    assert "there is no verdict" in " ".join(study.notes)
