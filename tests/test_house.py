"""How the house is kept: no class of one name twice, modules and functions that fit on a few screens."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MODULES: Final = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "hmexp").rglob("*.py")
}
#: What is still too long, or has a name of something else. Only ever shortened.
LONG_MODULES: Final = frozenset[str]()
LONG_FUNCTIONS: Final = {("hmexp/lab/runner.py", "run")}
SAME_NAMES: Final = frozenset[str]()


@cache
def nodes_of(text: str) -> list[ast.stmt]:
    """The functions and classes of a module."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]


def test_modules_have_less_than_300_lines() -> None:
    found = {name for name, text in MODULES.items() if len(text.splitlines()) >= 300}
    assert found <= LONG_MODULES


def test_functions_have_at_most_60_lines() -> None:
    found = set()
    for name, text in MODULES.items():
        for node in nodes_of(text):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= 60:
                    found.add((name, node.name))
    assert found <= LONG_FUNCTIONS


def test_a_public_class_has_a_name_of_its_own() -> None:
    modules = defaultdict(set)
    for name, text in MODULES.items():
        for node in nodes_of(text):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].add(name)
    assert {name for name, where in modules.items() if len(where) > 1} <= SAME_NAMES
