"""The lab stands beside the layers: it needs nothing of hmexp but the leaves, and no package."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import hmexp.lab

MODULES = sorted(Path(hmexp.lab.__file__).parent.glob("*.py"))
ALLOWED = {"hmexp.errors", "hmexp.units"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_only_the_lab_the_leaves_and_the_standard_library(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    strangers = {
        name
        for name in imported - ALLOWED
        if not name.startswith("hmexp.lab") and name.split(".")[0] not in sys.stdlib_module_names
    }
    assert not strangers
