"""What the memory of each node is, on machines of every shape, why, and which nodes a ratio takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from hmexp.errors import HmexpError, ParameterError
from hmexp.store.machine import NodeRecord
from hmexp.sweep.parameters import SweepParameters
from hmexp.sweep.plan import make_plan
from hmexp.system import cpus
from hmexp.system.near import find_ratio, home_node, near_dram, near_slow
from hmexp.system.node import join_evidence
from hmexp.system.topology import NodeKind, Topology, read_topology

if TYPE_CHECKING:
    from types import ModuleType

GIB = 1 << 30
Capture = Callable[[Any], tuple[Path, Path]]
#: The names are known before the module can be loaded; `test_every_shape_is_tried` compares.
SHAPES = (
    "xeon-max-flat", "xeon-max-without-hmat", "xeon-phi-flat", "xeon-phi-cache", "xeon-phi-hybrid", "a64fx",
    "mi300a", "memory-mode", "power9", "superchip", "generic-initiator", "memory-beside-cpus",
    "slow-by-hmat-alone", "nothing-is-slow", "slow-tier", "fast-tier", "cxl-by-firmware", "cxl-region",
    "soft-reserved", "hbm-nvm-unknown", "fake-nvdimm", "lent-in-part",
)  # fmt: skip


@pytest.fixture
def every_cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let this process use all CPUs of a topology, or those of one node."""

    def allow(topology: Topology, node: int | None = None) -> None:
        mine = tuple(cpu for one in topology.nodes if node in (None, one.id) for cpu in one.cpus)
        monkeypatch.setattr(cpus, "allowed_cpus", lambda: mine)

    return allow


def test_every_shape_is_tried(captures: ModuleType) -> None:
    assert set(SHAPES) == set(captures.KNOWN)


@pytest.mark.parametrize("shape", SHAPES)
def test_kinds_and_ratio(
    captures: ModuleType, capture: Capture, every_cpu: Callable[..., None], shape: str
) -> None:
    known, topology = captures.KNOWN[shape], read_topology(*capture(shape))
    every_cpu(topology)
    assert {node.id: node.kind.value for node in topology.nodes} == known.kinds
    assert find_ratio(topology) == known.ratio


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plan_of_a_ratio_has_two_nodes(
    captures: ModuleType, capture: Capture, every_cpu: Callable[..., None], shape: str
) -> None:
    """Real ones where there is slow memory, else one that is emulated."""
    topology = read_topology(*capture(shape))
    every_cpu(topology)
    given = {"patterns": ["1:1"], "operations": ["read"], "size": "1MiB", "threads": [1]}
    made = make_plan(SweepParameters.from_mapping(given), topology)
    ratio = captures.KNOWN[shape].ratio
    emulated = () if made.emulate is None else (made.emulate.node,)
    assert (*ratio, *emulated) == made.ratio_nodes
    assert made.points[0].parsed_pattern.distinct_nodes == made.ratio_nodes
    assert len(set(made.ratio_nodes)) == 2
    assert made.dram_nodes == made.ratio_nodes[:1]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_has_its_evidence(capture: Capture, shape: str) -> None:
    topology = read_topology(*capture(shape))
    for node, record in zip(topology.nodes, topology.as_records(), strict=True):
        assert node.evidence
        assert all(sentence.endswith(".") for sentence in node.evidence)
        assert record.evidence == node.evidence
        assert not node.has_memory or node.evidence != ("It has no memory.",)
    assert "Why each node is of its kind" in topology._repr_html_()


@pytest.mark.parametrize(
    ("shape", "node", "said"),
    [
        ("xeon-max-flat", 2, "reads 230 GB/s, and the DRAM of node 0-1 76 GB/s"),
        ("xeon-max-without-hmat", 2, "cpuinfo says Intel(R) Xeon(R) CPU Max 9460"),
        ("xeon-phi-flat", 1, "cpuinfo says model 87"),
        ("a64fx", 0, "midr_el1 says 0x00000000461f0010"),
        ("memory-mode", 1, "memory_side_cache/index1/size says 103079215104"),
        ("power9", 255, "gpus/0004:04:00.0/numa_status says Node: 255"),
        ("superchip", 1, "0009:01:00.0 is of class 0x030200"),
        ("generic-initiator", 1, "dax0.0 is on an NVDIMM bus, driver kmem, target_node 1"),
        ("memory-beside-cpus", 2, "No node has both CPUs and memory"),
        ("slow-tier", 1, "memory_tier22/nodelist says 1: the kernel takes it for slower than DRAM"),
        ("fast-tier", 1, "memory_tier2/nodelist says 1: the kernel takes it for faster than DRAM"),
        ("cxl-by-firmware", 1, "iomem says 400000000-7ffffffff : CXL Window 0"),
        ("cxl-region", 1, "region0/resource says 0x400000000"),
        ("soft-reserved", 1, "400000000-7ffffffff : Soft Reserved"),
        ("hbm-nvm-unknown", 1, "soft reserved), driver kmem, target_node 1, and lends 16GiB"),
        ("lent-in-part", 1, "lend less than its 16GiB"),
    ],
)
def test_evidence_names_the_file_and_what_it_says(capture: Capture, shape: str, node: int, said: str) -> None:
    assert any(said in sentence for sentence in read_topology(*capture(shape)).node(node).evidence)


def test_hmat_of_cpus_comes_before_that_of_a_device(capture: Capture) -> None:
    node = read_topology(*capture("generic-initiator")).node(1)
    assert (node.read_gbps, node.write_gbps, node.read_latency_ns, node.initiators) == (
        28.0,
        9.0,
        240.0,
        (0,),
    )


def test_hmat_of_a_device_alone_says_nothing_of_cpus(captures: ModuleType, capture: Capture) -> None:
    figures = {"read_latency": 7, "read_bandwidth": 500_000}
    machine = captures.Machine(
        [
            captures.CapturedNode(0, "0-1", distance="10 20 20"),
            captures.CapturedNode(1, distance="20 10 20", hmat={"access0": figures}),
            captures.CapturedNode(2, distance="20 20 10", **captures.ABSENT),
        ],
        files=captures._initiators(1, 2, access="access0"),
    )
    topology = read_topology(*capture(machine))
    assert topology.node(1).read_gbps is None
    assert any("is seen from node 2, which has no CPU" in said for said in topology.notes)


def test_notes_say_what_a_region_is_in_memory_mode(capture: Capture) -> None:
    notes = read_topology(*capture("memory-mode")).notes
    assert any(
        "Node 0 has a memory-side cache of 96GiB" in said and "only as far as it fits there" in said
        for said in notes
    )


def test_memory_that_is_lent_whole_is_not_mixed(capture: Capture) -> None:
    notes = read_topology(*capture("hbm-nvm-unknown")).notes
    assert any("Node 1 has CPUs, and all of its memory is lent by dax1.0" in said for said in notes)
    assert not any("mixed" in said for said in notes)


def test_gpu_memory_is_not_called_unknown(capture: Capture) -> None:
    notes = read_topology(*capture("power9")).notes
    assert any("Node 255 is the memory of a GPU" in said for said in notes)
    assert not any("unknown" in said for said in notes)


def test_hbm_that_no_node_shows_is_told_of(capture: Capture) -> None:
    notes = read_topology(*capture("xeon-phi-cache")).notes
    assert any("Xeon Phi has HBM on its package, and no node shows it" in said for said in notes)


@pytest.mark.parametrize(
    ("shape", "cpus_of", "home", "ratio"),
    [
        ("optane", 0, 0, (0, 2)),
        ("optane", 1, 1, (1, 3)),
        ("memory-beside-cpus", 1, 1, (3, 5)),
        ("hbm-nvm-unknown", 1, 1, (0, 7)),
    ],
)
def test_the_nodes_nearest_to_the_cpus_that_are_used(
    capture: Capture,
    every_cpu: Callable[..., None],
    shape: str,
    cpus_of: int,
    home: int,
    ratio: tuple[int, ...],
) -> None:
    topology = read_topology(*capture(shape))
    every_cpu(topology, cpus_of)
    assert home_node(topology).id == home
    assert find_ratio(topology) == ratio
    every_cpu(topology)
    assert find_ratio(topology, cpu_node=cpus_of) == ratio


def test_hmat_comes_before_distance(captures: ModuleType, capture: Capture) -> None:
    """SLIT calls node 1 nearer, HMAT node 2."""
    machine = captures.Machine(
        [
            captures.CapturedNode(0, "0-1", distance="10 12 30"),
            captures.CapturedNode(1, distance="12 10 30"),
            captures.CapturedNode(2, distance="30 30 10"),
        ],
        dax=[captures.CapturedDax(n, captures.CXL_DAX, n) for n in (1, 2)],
        files=captures._initiators(2, 0),
    )
    topology = read_topology(*capture(machine))
    assert near_slow(topology, 0) == 2


def test_named_nodes_override(capture: Capture, every_cpu: Callable[..., None]) -> None:
    topology = read_topology(*capture("power9"))
    every_cpu(topology)
    assert find_ratio(topology, slow="255") == (0, 255)
    assert find_ratio(topology, dram="8", slow="254") == (8, 254)
    # The slow side is the DRAM that would be taken: the DRAM is the next one.
    assert find_ratio(topology, slow="0") == (8, 0)
    assert find_ratio(topology, far_dram=True) == (0, 8)
    assert find_ratio(topology, emulated=2) == (0, 2)
    for wrong in ("1", "x", "٢", "-1", "9" * 5000):
        with pytest.raises(ParameterError, match=r"slow .* is not a node with memory"):
            find_ratio(topology, slow=wrong)
    with pytest.raises(ParameterError, match="node 8 is the DRAM of the ratio already"):
        find_ratio(topology, dram="8", slow="8")
    with pytest.raises(ParameterError, match="is not the emulated node"):
        find_ratio(topology, slow="8", emulated=2)


def test_a_node_that_may_not_be_used_is_not_chosen(capture: Capture, every_cpu: Callable[..., None]) -> None:
    sys_root, proc_root = capture("optane")
    (proc_root / "self").mkdir()
    (proc_root / "self/status").write_text("Mems_allowed_list:\t1-2\n")
    topology = read_topology(sys_root, proc_root)
    every_cpu(topology)
    assert find_ratio(topology) == (1, 2)
    with pytest.raises(ParameterError, match="Mems_allowed_list: 1-2"):
        find_ratio(topology, dram="0")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("has_memory", "0-1"),
        ("has_normal_memory", "0-1"),
        # Node 0 is not online, and may hold the rest.
        ("possible", "0-1"),
    ],
)
def test_the_machines_total_is_not_one_nodes(
    captures: ModuleType, capture: Capture, name: str, text: str
) -> None:
    machine = captures.Machine(
        [captures.CapturedNode(1, "1,3", distance="21 10")],
        possible="1",
        total_kb=30 * captures.GIB_KB,
        files={captures.NODE + name: text},
    )
    topology = read_topology(*capture(machine))
    assert topology.node(1).total_bytes == 16 * GIB
    assert topology.node(1).free_bytes <= 13 * GIB
    assert any("the node's own figure is used" in said for said in topology.notes)


def test_blocks_of_memory_say_how_large_a_node_is(captures: ModuleType, capture: Capture) -> None:
    def machine(blocks: int) -> Any:
        return captures.Machine(
            [captures.CapturedNode(0, "0-1")],
            total_kb=32 * captures.GIB_KB,
            files={captures.BLOCKS: "40000000", **captures._blocks(0, 0, blocks)},
        )

    assert read_topology(*capture(machine(16))).node(0).total_bytes == 16 * GIB


def test_enough_blocks_of_memory_do_not_contradict(captures: ModuleType, capture: Capture) -> None:
    files = {captures.BLOCKS: "40000000", **captures._blocks(0, 0, 32)}
    machine = captures.Machine([captures.CapturedNode(0, "0-1")], total_kb=32 * captures.GIB_KB, files=files)
    assert read_topology(*capture(machine)).node(0).total_bytes == 32 * GIB


def test_a_node_that_hides_its_size_may_have_the_rest(capture: Capture) -> None:
    sys_root, proc_root = capture("two-sockets")
    (sys_root / "devices/system/node/node1/meminfo").unlink()
    assert read_topology(sys_root, proc_root).node(0).total_bytes == 16 * GIB


def test_cpus_by_mask_or_by_links(capture: Capture) -> None:
    """Older kernels, and captures of them, have no cpulist."""
    sys_root, proc_root = capture("two-sockets")
    for node in (0, 1):
        (sys_root / f"devices/system/node/node{node}/cpulist").unlink()
    (sys_root / "devices/system/node/node0/cpumap").write_text("00000001,0000000f\n")
    for cpu in (4, 5):
        (sys_root / f"devices/system/node/node1/cpu{cpu}").mkdir()
    topology = read_topology(sys_root, proc_root)
    assert [node.cpus for node in topology.nodes] == [(0, 1, 2, 3, 32), (4, 5)]


def test_files_padded_with_null_bytes(capture: Capture) -> None:
    sys_root, proc_root = capture("optane")
    for path in (sys_root / "devices/system/node").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().ljust(4096, b"\0"))
    assert [node.kind.value for node in read_topology(sys_root, proc_root).nodes] == [
        "dram", "dram", "nvm", "nvm",
    ]  # fmt: skip


DAMAGES = ("missing", "empty", "garbage", "binary", "denied", "huge number", "loop", "folder", "negative")


def damage(path: Path, way: str, noise: bytes) -> None:
    """Damage one file of a tree."""
    if path.is_symlink() or way in ("missing", "loop", "folder"):
        path.unlink()
    match way:
        case "loop":
            path.symlink_to(path)
        case "folder":
            path.mkdir()
        case "missing":
            pass
        case "denied":
            path.symlink_to("/proc/self/mem") if not path.exists() else path.chmod(0)
        case _:
            contents = {"empty": b"", "garbage": b"\xff rubbish \x00 -: 0-,", "negative": b"-7"}
            path.write_bytes(contents.get(way, b"9" * 6000 if way == "huge number" else noise))


@settings(
    max_examples=settings().max_examples * 3 // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_damage_is_more_than_an_error(
    captures: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is damaged: a topology, or an error of ours that says what is wrong."""
    shape = data.draw(st.sampled_from(sorted([*captures.MACHINES, *captures.KNOWN])))
    sys_root, proc_root = captures.write_capture(shape, tmp_path_factory.mktemp("machine"))
    files = sorted(
        path
        for root in (sys_root, proc_root)
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    )
    for path in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=4, unique=True)):
        if path.is_symlink() or path.is_file():
            damage(path, data.draw(st.sampled_from(DAMAGES)), data.draw(st.binary(max_size=60)))
    try:
        topology = read_topology(sys_root, proc_root)
    except HmexpError as error:
        note(str(error))
        return
    topology.as_records()
    topology._repr_html_()
    if topology.memory_nodes:
        nodes = find_ratio(topology, far_dram=True)
        assert len(nodes) == len(set(nodes))


KIND = st.sampled_from(
    [NodeKind.DRAM, NodeKind.NVM, NodeKind.CXL, NodeKind.HBM, NodeKind.GPU, NodeKind.UNKNOWN]
)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Machines with any nodes, distances and initiators, on the CPUs of this process or others."""
    from hmexp.system.limits import AllowedNodes, Limits
    from hmexp.system.topology import Node

    ids = draw(st.lists(st.integers(0, 1023), min_size=1, max_size=6, unique=True).map(sorted))
    mine = iter(cpus.allowed_cpus())
    nodes = tuple(
        Node(
            node,
            draw(KIND),
            (next(mine, 9000 + node),) if draw(st.booleans()) else (),
            size := draw(st.sampled_from([0, GIB, 64 * GIB])),
            size,
            {other: draw(st.integers(10, 254)) for other in ids} if draw(st.booleans()) else {},
            read_latency_ns=draw(st.none() | st.floats(1, 1000)),
            initiators=tuple(draw(st.lists(st.sampled_from(ids), unique=True, max_size=3))),
        )
        for node in ids
    )
    usable = draw(st.lists(st.sampled_from(ids), unique=True, min_size=1))
    limits = Limits(nodes=(AllowedNodes(tuple(sorted(usable)), Path("/x"), "x"),))
    return Topology(nodes, limits=limits if draw(st.booleans()) else Limits())


@given(topology=topologies())
def test_a_ratio_is_of_dram_and_slow_memory_that_may_be_used(topology: Topology) -> None:
    if not topology.memory_nodes:
        return
    nodes = find_ratio(topology)
    assert len(nodes) == len(set(nodes))
    kinds = [topology.node(node).kind for node in nodes]
    assert not topology.dram_nodes or kinds[0] is NodeKind.DRAM
    assert all(node in {one.id for one in topology.usable_nodes} for node in nodes)
    if topology.dram_nodes and topology.slow_nodes:
        assert len(nodes) == 2
        assert kinds[1] in (NodeKind.NVM, NodeKind.CXL, NodeKind.UNKNOWN)
        known = any(node.kind is not NodeKind.UNKNOWN for node in topology.slow_nodes)
        assert not known or kinds[1] is not NodeKind.UNKNOWN
    assert near_dram(topology) == nodes[0]


def test_records_without_evidence_are_read() -> None:
    import msgspec

    assert msgspec.json.decode(b'{"id": 0, "kind": "dram"}', type=NodeRecord).evidence == ()


def test_links_are_not_followed_for_ever(tmp_path: Path) -> None:
    from hmexp.system.dax import read_dax_memory

    devices = tmp_path / "bus/dax/devices"
    devices.mkdir(parents=True)
    (devices / "dax0.0").symlink_to(devices / "dax1.0")
    (devices / "dax1.0").symlink_to(devices / "dax0.0")
    assert read_dax_memory(tmp_path) == ()


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        ((), ""),
        (("It has the CPUs 0-1, and nothing else.",), "it has the CPUs 0-1, and nothing else."),
        (
            ("/sys/x is on a CXL bus.", "Its memory is mixed. They lend less.", "By HMAT 1.5 GB/s."),
            "/sys/x is on a CXL bus; its memory is mixed; they lend less; by HMAT 1.5 GB/s.",
        ),
        (("NVIDIA says It is.", "Italy."), "NVIDIA says It is; Italy."),
    ],
)
def test_evidence_reads_as_one_sentence(evidence: tuple[str, ...], sentence: str) -> None:
    assert join_evidence(evidence) == sentence
