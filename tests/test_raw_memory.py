"""No test pokes at memory by its address in the process of the tests."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hmexp.native import PAGE_BYTES, PageMapping

TESTS = Path(__file__).resolve().parent
#: What reads, writes or drops memory at an address that the caller made up.
POKES = {"madvise", "munmap", "mprotect", "mremap", "memmove", "memset", "from_address", "string_at", "cast"}
#: Its own module; and programs that run alone, in a virtual machine or as the process that is looked at.
ALLOWED = {
    TESTS / "raw_memory.py",
    TESTS / "program" / "look" / "target.py",
    *(TESTS / "lab").glob("*_in_guest.py"),
}


def find_pokes(source: str) -> list[str]:
    """Return the calls of a test module that take a raw address."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in POKES:
            owner = ast.unparse(node.func.value)
            # A method of a mapping of Python's own stays within it, and typing.cast casts nothing.
            if not (owner in {"area", "typing", "np"} and node.func.attr in {"madvise", "cast"}):
                found.append(f"{node.lineno}: {ast.unparse(node.func)}")
    return found


def test_only_one_module_pokes_at_memory() -> None:
    files = [path for path in TESTS.rglob("*.py") if path not in ALLOWED]
    assert len(files) > 50
    found = {str(path.relative_to(TESTS)): find_pokes(path.read_text(encoding="utf-8")) for path in files}
    assert {name: pokes for name, pokes in found.items() if pokes} == {}


@pytest.mark.parametrize(
    "source", ["libc.madvise(start, 4096, 4)", "ctypes.memmove(a, b, 8)", "(c_char * 8).from_address(a)"]
)
def test_a_poke_is_found(source: str) -> None:
    assert len(find_pokes(source)) == 1


@pytest.mark.skipif("HMEXP_TEST_CHILD" in os.environ, reason="this is such a child")
def test_outside_of_a_child_it_is_refused(raw_memory: ModuleType) -> None:
    mapping = PageMapping(4 * PAGE_BYTES)
    try:
        with pytest.raises(RuntimeError, match="in_child"):
            raw_memory.drop(mapping, 0, 1)
    finally:
        mapping.close()


@pytest.mark.in_child
def test_beyond_the_mapping_it_is_refused(raw_memory: ModuleType) -> None:
    mapping = PageMapping(4 * PAGE_BYTES)
    try:
        # In one child: each costs the start of a pytest.
        for first, pages in ((-1, 1), (0, 5), (4, 1), (3, 2), (0, 0)):
            with pytest.raises(ValueError, match="are not all in a mapping of 4 pages"):
                raw_memory.drop(mapping, first, pages)
    finally:
        mapping.close()


def test_a_child_that_dies_fails_its_test(pytester_folder: Path) -> None:
    """Also after its last test has passed: that is how such damage shows."""
    (pytester_folder / "conftest.py").write_text((TESTS / "conftest.py").read_text(encoding="utf-8"))
    (pytester_folder / "test_dies.py").write_text(
        "import atexit, os, signal, pytest\n\n\n"
        "@pytest.mark.in_child\ndef test_it():\n"
        "    atexit.register(os.kill, os.getpid(), signal.SIGSEGV)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HMEXP_TEST_CHILD"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", str(pytester_folder)],
        capture_output=True, text=True, env=environment, cwd=pytester_folder,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the child ended with status -11" in done.stdout


def test_a_child_that_skips_is_not_a_pass(pytester_folder: Path) -> None:
    (pytester_folder / "conftest.py").write_text((TESTS / "conftest.py").read_text(encoding="utf-8"))
    (pytester_folder / "test_skips.py").write_text(
        "import pytest\n\n\n@pytest.mark.in_child\ndef test_it():\n    pytest.skip('not here')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HMEXP_TEST_CHILD"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(pytester_folder)],
        capture_output=True, text=True, env=environment, cwd=pytester_folder,
    )  # fmt: skip
    assert done.returncode == 0
    assert "1 skipped" in done.stdout and "passed" not in done.stdout


@pytest.fixture
def pytester_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    folder.mkdir()
    return folder
