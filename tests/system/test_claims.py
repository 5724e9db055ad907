"""What firmware and kernel claim, read from trees."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hmexp.system.claims import read_claims
from hmexp.system.topology import Node, NodeKind, Topology

TWO = Topology(tuple(Node(n, NodeKind.DRAM, (n,), 1 << 30, 1 << 30, {}) for n in (0, 2)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_tree(root: Path) -> Path:
    initiators = root / "devices/system/node/node2/access1/initiators"
    write(initiators / "read_latency", "250\n")
    write(initiators / "read_bandwidth", "30000\n")
    (initiators / "node0").mkdir()
    # A device without CPUs is nearer: not what threads see.
    (root / "devices/system/node/node2/access0/initiators/node7").mkdir(parents=True)
    weights = root / "kernel/mm/mempolicy/weighted_interleave"
    write(weights / "node0", "7\n")
    write(weights / "node2", "2\n")
    write(weights / "auto", "true\n")
    return root


def test_claims(tmp_path: Path) -> None:
    found = read_claims(TWO, make_tree(tmp_path))
    assert [claim.node for claim in found.nodes] == [0, 2]
    assert (found.nodes[1].access, found.nodes[1].initiators) == ("access1", (0,))
    assert (found.nodes[1].read_gbps, found.nodes[1].read_latency_ns) == (30.0, 250.0)
    assert (found.nodes[0].access, found.nodes[0].read_gbps) == (None, None)
    assert (found.weights, found.automatic) == ({0: 7, 2: 2}, True)


def test_nothing_is_claimed(tmp_path: Path) -> None:
    found = read_claims(TWO, tmp_path)
    assert [claim.initiators for claim in found.nodes] == [(), ()]
    assert (found.weights, found.automatic) == ({}, None)


@given(data=st.data(), text=st.binary(max_size=20))
def test_damage_is_no_claim(data: st.DataObject, text: bytes, tmp_path_factory: object) -> None:
    root = make_tree(tmp_path_factory.mktemp("claims"))  # type: ignore[attr-defined]
    files = sorted(path for path in root.rglob("*") if path.is_file())
    damaged = data.draw(st.sampled_from(files))
    damaged.write_bytes(text)
    found = read_claims(TWO, root)
    assert all(weight > 0 for weight in found.weights.values())
