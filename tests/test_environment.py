"""What pyproject.toml, environment.yml and the code say of other people's packages is the same."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

#: In environment.yml alone: what a virtual environment gets from the system or the build.
CONDA_ONLY = {"python", "pip", "c-compiler", "setuptools"}

#: Needed, though nothing imports them: used as commands, or by Jupyter.
NOT_IMPORTED = {
    "ipykernel": "the kernel that runs the notebook",
    "jupyterlab": "where a person opens the notebook",
    "papermill": "the command that `make sweep` runs",
}


def read_pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def parse(requirements: list[str]) -> dict[str, str]:
    """Return name -> range, both in their canonical form."""
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(item.name): str(item.specifier) for item in parsed}


def read_environment() -> tuple[dict[str, str], dict[str, str]]:
    """Return what environment.yml takes from conda, and from pip."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = [entry for entry in entries if isinstance(entry, str)]
    pip = [text for entry in entries if isinstance(entry, dict) for text in entry["pip"]]
    return parse(conda), parse(pip)


def find_imports() -> dict[str, str]:
    """Return each top-level package imported by hmexp or a notebook -> where it is."""
    found: dict[str, str] = {}

    def add(source: str, where: str) -> None:
        for node in ast.walk(ast.parse(source, filename=where)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names = [str(item.value) for item in node.args if isinstance(item, ast.Constant)]
            else:
                continue
            for name in names:
                found.setdefault(name.split(".")[0], f"{where}:{node.lineno}")

    for path in sorted((ROOT / "hmexp").rglob("*.py")):
        add(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                # Magics are not Python.
                add(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE), f"{path.name}, cell {number}")
    own = {"hmexp", "__future__"}
    return {name: where for name, where in found.items() if name not in sys.stdlib_module_names | own}


def test_environment_has_the_names_and_ranges_of_pyproject() -> None:
    project = read_pyproject()["project"]
    # The environment can do all that hmexp can: with fleets.
    runtime = parse([*project["dependencies"], *project["optional-dependencies"]["fleet"]])
    conda, pip = read_environment()
    assert not conda.keys() & pip.keys()
    assert {name: text for name, text in (conda | pip).items() if name not in CONDA_ONLY} == runtime


def test_environment_has_the_python_and_the_setuptools_of_pyproject() -> None:
    described = read_pyproject()
    conda, _ = read_environment()
    assert conda["python"] == described["project"]["requires-python"]
    assert conda["setuptools"] == parse(described["build-system"]["requires"])["setuptools"]


def test_the_build_takes_the_cffi_that_runs() -> None:
    described = read_pyproject()
    runtime = parse(described["project"]["dependencies"])
    assert parse(described["build-system"]["requires"])["cffi"] == runtime["cffi"]


def test_every_range_has_both_ends() -> None:
    described = read_pyproject()["project"]
    extras = [text for extra in described["optional-dependencies"].values() for text in extra]
    for name, text in parse([*described["dependencies"], *extras]).items():
        if name != "hmexp":
            assert ">=" in text, f"{name}: no lower bound"
            assert "<" in text, f"{name}: no upper bound"


def test_every_runtime_dependency_is_used() -> None:
    distributions = packages_distributions()
    used = {canonicalize_name(item) for name in find_imports() for item in distributions.get(name, [])}
    runtime = parse(read_pyproject()["project"]["dependencies"])
    unused = runtime.keys() - used - NOT_IMPORTED.keys()
    assert not unused, f"in pyproject.toml, but imported nowhere in hmexp/ or notebooks/: {sorted(unused)}"


def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    project = read_pyproject()["project"]
    runtime = parse(project["dependencies"])
    fleet = parse(project["optional-dependencies"]["fleet"])
    for name, where in find_imports().items():
        providers = {canonicalize_name(item) for item in distributions.get(name, [])}
        # An extra is for those who ask for it: nothing else may need it.
        declared = runtime.keys() | (fleet.keys() if where.startswith("hmexp/fleet/") else set())
        assert providers & declared, f"{where}: {name} is imported but not in pyproject.toml"


def test_the_tests_have_what_a_fleet_needs() -> None:
    extras = read_pyproject()["project"]["optional-dependencies"]
    assert parse(extras["fleet"]).items() <= parse(extras["test"]).items()


def test_what_is_not_imported_is_declared() -> None:
    assert NOT_IMPORTED.keys() <= parse(read_pyproject()["project"]["dependencies"]).keys()
