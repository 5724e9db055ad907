"""The guarded adapter: the real library, and everything that can be missing."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from hmexp.errors import LibnumaError
from hmexp.system.libnuma import LibNuma
from hmexp.system.topology import read_topology

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
NEEDS_NUMA = pytest.mark.skipif(
    not Path("/sys/devices/system/node").exists(), reason="this kernel has no NUMA nodes"
)


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, with folders put before the installed packages."""
    places = os.pathsep.join(str(place) for place in (*path, ROOT))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=60,
    )


SAY_WHY = """
from hmexp.errors import LibnumaError
from hmexp.system.libnuma import LibNuma
try:
    LibNuma.load()
except LibnumaError as error:
    print(error)
else:
    print("loaded")
"""


@NEEDS_NUMA
def test_agrees_with_the_kernel() -> None:
    libnuma = LibNuma.load()
    topology = read_topology(libnuma=libnuma)
    assert libnuma.node_ids() == tuple(node.id for node in topology.nodes)
    assert not any("libnuma" in note for note in topology.notes)
    for node in topology.nodes:
        assert libnuma.cpus_of(node.id) == node.cpus
        assert libnuma.distance(node.id, node.id) == 10
        assert (libnuma.node_size_bytes(node.id) > 0) == node.has_memory


@NEEDS_NUMA
def test_allowed_nodes_are_nodes_with_memory() -> None:
    libnuma = LibNuma.load()
    allowed = libnuma.allowed_memory_nodes()
    assert allowed
    assert set(allowed) <= set(libnuma.node_ids())


@NEEDS_NUMA
def test_unknown_ids_never_reach_the_library() -> None:
    # In a process of its own: without the guard, node -1 ends it with a segmentation fault.
    done = run(
        """
from hmexp.errors import LibnumaError
from hmexp.system.libnuma import LibNuma
libnuma = LibNuma.load()
good = libnuma.node_ids()[0]
calls = [
    libnuma.node_size_bytes,
    libnuma.cpus_of,
    lambda node: libnuma.distance(node, good),
    lambda node: libnuma.distance(good, node),
]
for bad in (-1, 1023, 10**6, 2**31, 2**64, -2**63, True, 0.0, "0", None):
    for call in calls:
        try:
            call(bad)
        except LibnumaError as error:
            assert "libnuma reports no node" in str(error), error
        else:
            raise SystemExit(f"{bad!r} was let through")
print("refused")
"""
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "refused", "")


@NEEDS_NUMA
def test_loading_is_quiet() -> None:
    done = run(SAY_WHY)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "loaded", "")


def test_importing_the_adapter_does_not_import_the_binding() -> None:
    done = run("import sys, hmexp.system.libnuma, hmexp.system.topology; print('numa' in sys.modules)")
    assert done.stdout.strip() == "False"


def test_missing_shared_library() -> None:
    # The binding looks the library up by find_library, as every ctypes program does.
    done = run("import ctypes.util\nctypes.util.find_library = lambda name: None\n" + SAY_WHY)
    assert done.returncode == 0, done.stderr
    assert "shared library libnuma.so.1 could not be loaded" in done.stdout
    assert "apt-get install libnuma1" in done.stdout


def test_shared_library_that_cannot_be_opened() -> None:
    done = run("import ctypes.util\nctypes.util.find_library = lambda name: 'libnuma-gone.so'\n" + SAY_WHY)
    assert "could not be loaded" in done.stdout
    assert "apt-get install libnuma1" in done.stdout


def test_a_machine_without_dev_is_told_so() -> None:
    # find_library starts programs with the null device, and finds nothing where there is none.
    done = run("import os\nos.devnull = '/nonexistent/null'\n" + SAY_WHY)
    assert "/nonexistent/null does not exist" in done.stdout
    assert "mount /dev" in done.stdout and "apt-get" not in done.stdout


def test_missing_binding() -> None:
    done = run("import sys\nsys.modules['numa'] = None\n" + SAY_WHY)
    assert "py-libnuma" in done.stdout
    assert "pip install py-libnuma" in done.stdout
    # hmexp itself needs packages: they are hidden once it is there.
    hidden = "import sys, hmexp.system.libnuma\nsys.path[:] = [p for p in sys.path if 'packages' not in p]\n"
    done = run(hidden + SAY_WHY)
    assert "py-libnuma, the Python binding of libnuma, is missing" in done.stdout
    assert "pip install py-libnuma" in done.stdout


@pytest.mark.parametrize("source", ["def available(): return True", "info = memory = utils = 1"])
def test_other_project_of_the_same_name(tmp_path: Path, source: str) -> None:
    (tmp_path / "numa.py").write_text(source)
    done = run(SAY_WHY, tmp_path)
    assert "is not py-libnuma: it has no LIBNUMA" in done.stdout
    assert "pip uninstall numa, then pip install py-libnuma" in done.stdout


def test_other_project_that_fails_to_import(tmp_path: Path) -> None:
    (tmp_path / "numa.py").write_text("print 'for Python 2'")
    hidden = """
import importlib.metadata
def gone(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.distribution = gone
"""
    done = run(hidden + SAY_WHY, tmp_path)
    assert "is not py-libnuma" in done.stdout
    assert "pip uninstall numa" in done.stdout


class Bitmask(ctypes.Structure):
    """As the binding declares it."""

    _fields_ = (("size", ctypes.c_ulong), ("maskp", ctypes.POINTER(ctypes.c_ulong)))


class Mask:
    """A pointer to a bitmask whose bits are in Python."""

    def __init__(self, *bits: int) -> None:
        self.bits = bits
        self.contents = Bitmask(1024, None)


class FakeLibrary:
    """libnuma of a machine with nodes 0 and 2, or one that fails."""

    numa_nodes_ptr = None

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.live = 0

    def numa_available(self) -> object:
        return self.answers.get("available", 0)

    def numa_bitmask_isbitset(self, mask: Mask, bit: int) -> int:
        return int(bit in mask.bits)

    def numa_bitmask_free(self, _mask: Mask) -> None:
        self.live -= 1

    def numa_allocate_cpumask(self) -> Mask:
        self.live += 1
        return Mask(0, 3)

    def numa_get_mems_allowed(self) -> Mask | None:
        if self.answers.get("allowed", ()) is None:
            return None
        self.live += 1
        return Mask(0, 2, 7)

    def numa_node_to_cpus(self, _node: int, _mask: Mask) -> object:
        return self.answers.get("to_cpus", 0)

    def numa_node_size64(self, _node: int, _free: object) -> object:
        return self.answers.get("size", 5 << 30)

    def numa_distance(self, _a: int, _b: int) -> object:
        return self.answers.get("distance", 17)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LibNuma]:
    """Load the adapter over a library that is not there."""

    class Pointer:
        @staticmethod
        def in_dll(_library: object, _name: str) -> Mask:
            return Mask(0, 2)

    def make(**answers: object) -> LibNuma:
        binding: Any = ModuleType("numa")
        binding.LIBNUMA = FakeLibrary(**answers)
        binding.bitmask_t = Bitmask
        binding.info = binding.memory = binding.utils = ModuleType("part")
        monkeypatch.setitem(sys.modules, "numa", binding)
        monkeypatch.setattr(ctypes, "POINTER", lambda _type: Pointer)
        return LibNuma.load()

    return make


def test_sparse_ids(load: Callable[..., LibNuma]) -> None:
    libnuma = load()
    assert libnuma.node_ids() == (0, 2)
    assert libnuma.distance(0, 2) == 17
    assert libnuma.node_size_bytes(2) == 5 << 30
    assert libnuma.cpus_of(2) == (0, 3)
    assert libnuma.allowed_memory_nodes() == (0, 2)  # 7 is allowed, but is no node
    with pytest.raises(LibnumaError, match=r"libnuma reports no node 1, only 0,2"):
        libnuma.node_size_bytes(1)


def test_errors_that_the_binding_leaves_undetected(load: Callable[..., LibNuma]) -> None:
    libnuma = load(distance=0, size=-1, to_cpus=-1, allowed=None)
    with pytest.raises(LibnumaError, match="distance from node 0 to node 2"):
        libnuma.distance(0, 2)
    with pytest.raises(LibnumaError, match="size of node 2"):
        libnuma.node_size_bytes(2)
    with pytest.raises(LibnumaError, match="CPUs of node 2"):
        libnuma.cpus_of(2)
    with pytest.raises(LibnumaError, match="may allocate memory"):
        libnuma.allowed_memory_nodes()


def test_bitmasks_are_freed(load: Callable[..., LibNuma]) -> None:
    for libnuma in (load(), load(to_cpus=-1)):
        library: Any = libnuma._library
        for _ in range(3):
            libnuma.allowed_memory_nodes()
            try:
                libnuma.cpus_of(0)
            except LibnumaError:
                assert library.answers
        assert library.live == 0


def test_no_numa_support(load: Callable[..., LibNuma]) -> None:
    with pytest.raises(LibnumaError, match="no NUMA support") as caught:
        load(available=-1)
    assert "CONFIG_NUMA" in str(caught.value)


def test_library_without_a_call_we_need(
    load: Callable[..., LibNuma], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FakeLibrary, "numa_get_mems_allowed")
    with pytest.raises(LibnumaError, match="too old: it has no numa_get_mems_allowed"):
        load()
