"""The layers of ARCHITECTURE.md hold: an import goes down, or stays in its layer without a circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hmexp"

#: From the top down. A name is a module or a package right under ``hmexp``.
LAYERS = (
    ("__init__", "__main__", "cli", "notebook"),
    ("campaign",),
    ("progress",),
    ("fleet",),
    ("report",),
    ("program",),
    ("machine",),
    ("study",),
    ("sweep",),
    ("experiment",),
    ("measure",),
    ("memory",),
    ("system",),
    ("fork_server",),
    ("process",),
    ("native",),
    ("store",),
    ("lab",),
    ("pattern", "ratio", "units", "errors", "closing", "decoding", "markup"),
)
#: The same within ``hmexp.program``.
PROGRAM = (
    ("redis",),
    ("__init__", "experiment", "parameters", "placement", "point", "predict", "slowdown"),
    ("workload",),
    ("launch",),
    ("move",),
    ("pages",),
    ("look",),
    ("client",),
)


def heights(layers: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {name: len(layers) - depth for depth, layer in enumerate(layers) for name in layer}


#: Height by name, of ``hmexp`` itself and of each package that has layers of its own.
HEIGHTS = {"hmexp": heights(LAYERS), "hmexp.program": heights(PROGRAM)}


def find_modules(package: Path) -> dict[str, Path]:
    """Return every module of a package by its dotted name below the package (``__init__`` for itself)."""
    modules = {}
    # A compiled module shows by its stub.
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.pyi")]):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        modules[".".join(parts)] = path
    return modules


def is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def find_imports(name: str, path: Path, modules: dict[str, Path]) -> list[tuple[int, str]]:
    """Return (line, module of ours) for each import in a file, those inside functions too."""
    found = []

    def add(line: int, dotted: str) -> None:
        inner = dotted.removeprefix("hmexp").removeprefix(".") or "__init__"
        # `from hmexp.system import topology` names a module, `... import Topology` does not.
        while inner not in modules and "." in inner:
            inner = inner.rpartition(".")[0]
        found.append((line, inner))

    package = ["hmexp"] if name == "__init__" else ["hmexp", *name.split(".")]
    if not is_package(path):
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "hmexp":
                    add(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            if base.split(".")[0] != "hmexp":
                continue
            for alias in node.names:
                inside = f"{base}.{alias.name}".removeprefix("hmexp.")
                # From the top package, a name that is no module is one that `hmexp/__init__.py` lifts up.
                add(node.lineno, f"hmexp.{inside}" if inside in modules else base)
    return found


def find_violations(package: Path) -> list[str]:
    """Return one line for each module without a layer and each import that goes up."""
    modules = find_modules(package)
    violations = []
    for name, path in modules.items():
        where = path.relative_to(package.parent)
        places = places_of(name)
        for layered, own in places.items():
            if own not in HEIGHTS[layered]:
                known = sorted(HEIGHTS[layered])
                violations.append(
                    f"{where}: hmexp.{name} belongs to no layer of {layered}; known are {known}"
                )
        for line, target in find_imports(name, path, modules):
            for layered, other in places_of(target).items():
                height, own = HEIGHTS[layered], places.get(layered)
                if own in height and height.get(other, 0) > height[own]:
                    violations.append(f"{where}:{line}: {own} (lower) imports hmexp.{target} (higher)")
    return violations


def places_of(name: str) -> dict[str, str]:
    """Return the part of each package with layers that a module is in: ``look`` of ``hmexp.program``, say."""
    parts = ["hmexp", *name.split(".")]
    packages = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return {
        each: ([*parts, "__init__"])[depth] for depth, each in enumerate(packages, start=1) if each in HEIGHTS
    }


def find_cycle(package: Path) -> list[str]:
    """Return the modules of one circle of imports, or an empty list.

    A package counts as importing what its ``__init__`` does; that a module of it causes the
    ``__init__`` to run is left out, for Python does that with every package.
    """
    modules = find_modules(package)
    graph = {
        name: {target for _, target in find_imports(name, path, modules) if target != name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_module_has_a_layer_and_imports_only_go_down() -> None:
    assert find_modules(PACKAGE), f"no modules under {PACKAGE}"
    violations = find_violations(PACKAGE)
    assert not violations, "\n" + "\n".join(violations)


def test_no_circle_of_imports() -> None:
    cycle = find_cycle(PACKAGE)
    assert not cycle, " -> ".join(cycle)


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("memory/region.py", "from hmexp.experiment import plan", "imports hmexp.experiment"),
        ("memory/region.py", "def late():\n    import hmexp.report.tables", "region.py:2: memory (lower)"),
        ("memory/region.py", "from ..report.tables import write", "imports hmexp.report.tables"),
        ("memory/region.py", "from .. import cli", "imports hmexp.cli"),
        ("memory/region.py", "from hmexp import allocate", "imports hmexp.__init__"),
        ("pattern.py", "from hmexp.native import core", "pattern (lower) imports hmexp.native"),
        ("utils.py", "", "belongs to no layer of hmexp;"),
        (
            "program/look/scan.py",
            "from hmexp.program.pages import wish",
            "look (lower) imports hmexp.program.p",
        ),
        (
            "program/look/scan.py",
            "from hmexp.program import point",
            "look (lower) imports hmexp.program.point",
        ),
        ("program/look/scan.py", "from hmexp.program import mover", "imports hmexp.program (higher)"),
        ("program/tools.py", "", "belongs to no layer of hmexp.program;"),
    ],
)
def test_a_violation_is_found(tmp_path: Path, module: str, source: str, expected: str) -> None:
    package = tmp_path / "hmexp"
    there = ("cli.py", "experiment/plan.py", "report/tables.py", "native/core.py")
    for name in (*there, "program/pages/wish.py", "program/point.py", module):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        for folder in path.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
    (package / module).write_text(source, encoding="utf-8")
    violations = find_violations(package)
    assert len(violations) == 1
    assert expected in violations[0]


def test_imports_down_and_beside_are_fine(tmp_path: Path) -> None:
    package = tmp_path / "hmexp"
    for name, source in {
        "__init__.py": "from hmexp.memory.region import Region",
        "memory/__init__.py": "from hmexp.memory.region import Region",
        "memory/region.py": "from . import proof\nfrom hmexp import errors\nimport hmexp.system",
        "memory/proof.py": "from hmexp.errors import HmexpError",
        "system/__init__.py": "",
        "errors.py": "class HmexpError(Exception): ...",
        "program/__init__.py": "",
        "program/point.py": "from hmexp.program.launch import ways",
        "program/launch/__init__.py": "from hmexp.program.look import scan",
        "program/launch/ways.py": "from hmexp.program.launch import request",
        "program/launch/request.py": "",
        "program/look/__init__.py": "",
        "program/look/scan.py": "from hmexp.system import topology",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source, encoding="utf-8")
    assert find_violations(package) == []
    assert find_cycle(package) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    package = tmp_path / "hmexp"
    (package / "memory").mkdir(parents=True)
    (package / "memory" / "__init__.py").touch()
    (package / "memory" / "region.py").write_text("from hmexp.memory import proof", encoding="utf-8")
    (package / "memory" / "proof.py").write_text("from hmexp.memory.region import Region", encoding="utf-8")
    assert set(find_cycle(package)) == {"memory.region", "memory.proof"}
