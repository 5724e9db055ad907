"""The pages of the documentation hold together: links, commands, code, and what they say of the code.

`make docs` builds the site and fails on every warning; here is what can be known in seconds.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import hmexp
from hmexp.cli.main import build_parser
from hmexp.cli.parser import Parser
from hmexp.sweep.parameters import SweepParameters

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
#: `docs/reference/api/` is what a build leaves behind.
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent != DOCS / "reference" / "api")
TEXTS = [
    *PAGES,
    *sorted(ROOT.glob("*.md")),
    ROOT / "kernel_module" / "README.md",
    ROOT / "results" / "README.md",
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BLOCK = re.compile(r"^```(\w*|\{.*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def find_links(text: str) -> list[str]:
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", without_code)
    return [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]


def find_commands(text: str) -> list[list[str]]:
    """The words of every hmexp command that a page shows, also of one that runs in the virtual machine."""
    found = []
    for language, block in BLOCK.findall(text):
        if language not in ("", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            shown = line.startswith("$ ") if language == "console" else True
            words = shlex.split(line.removeprefix("$ "), comments=True) if shown and "hmexp " in line else []
            while "hmexp" in words:
                words = words[words.index("hmexp") :]
                end = next((at for at, word in enumerate(words) if word.endswith(";") or word in "|&&"), None)
                command = [word.removesuffix(";") for word in words[: None if end is None else end + 1]]
                found.append([word for word in command[1:] if word not in "|&&"])
                words = words[1:]
    return found


def find_page(path: Path) -> Path:
    """The source of a page: a notebook of the site is a copy."""
    return ROOT / "notebooks" / path.name if path.parent == DOCS / "notebooks" else path


def test_the_readme_is_one_page() -> None:
    assert len(README.read_text().splitlines()) <= 100


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in find_links(path.read_text()):
        target = (path.parent / link).resolve()
        if target.suffix == ".ipynb":
            target = find_page(target)
        assert target.exists(), f"{name(path)} links to {link}"


def test_every_page_is_in_the_table_of_contents() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        if page.suffix == ".ipynb":
            continue
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
            for entry in (line for line in tree.splitlines() if line and not line.startswith(":")):
                target = (page.parent / entry).resolve()
                paths = target.with_suffix(".md"), target.with_suffix(".ipynb")
                waiting += [path for path in paths if path in PAGES or find_page(path) in NOTEBOOKS]
    wanted = {*PAGES, *(DOCS / "notebooks" / path.name for path in NOTEBOOKS)}
    assert wanted <= reached, f"in no toctree: {sorted(map(name, wanted - reached))}"


@pytest.fixture(scope="module")
def parser() -> Parser:
    return build_parser()


@pytest.mark.parametrize("path", [*PAGES, *sorted(ROOT.glob("*.md"))], ids=name)
def test_commands_are_ones_that_hmexp_understands(
    path: Path, parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    for words in find_commands(path.read_text()):
        try:
            parser.parse_args(words)
        except SystemExit as ended:
            if ended.code:
                wrong.append(f"hmexp {' '.join(words)}: {capsys.readouterr().err}")
    assert not wrong, f"{name(path)} shows commands that fail: {wrong}"


def test_commands_are_found_where_a_page_shows_them() -> None:
    text = "```\nhmexp lab run -- hmexp nodes  # both\n```\n```console\n$ hmexp doctor; echo done\nok\n```\n"
    assert find_commands(text) == [["lab", "run", "--", "hmexp", "nodes"], ["nodes"], ["doctor"]]
    assert len(find_commands(README.read_text())) >= 4


def test_the_code_of_the_readme_runs_on_this_machine(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "all 16384 pages are in place" in done.stdout


def test_the_reference_has_every_parameter_and_its_default() -> None:
    text = (DOCS / "reference" / "parameters.md").read_text()
    record = SweepParameters().to_record()
    documented = {}
    for names, defaults in re.findall(r"^\| (`[a-z_`, ]+`) \| (.*?) \|", text, re.MULTILINE):
        values, keys = re.findall(r"`([^`]+)`", defaults), re.findall(r"`([^`]+)`", names)
        documented |= dict(zip(keys, values * len(keys) if len(values) == 1 else values, strict=True))
    assert set(documented) == set(record)
    for key, value in record.items():
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value).removesuffix(".0")
        assert documented[key] == shown, key


def test_the_reference_has_every_name_that_hmexp_exports() -> None:
    text = (DOCS / "reference" / "api.md").read_text()
    listed = re.findall(r"^   ([A-Za-z_]+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(hmexp.__all__)


def test_the_citation_is_valid_and_says_what_pyproject_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the schema demands
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["version"] == hmexp.__version__
    assert citation["license"] == project["license"]
    assert all(
        set(author) <= {"name", "given-names", "family-names", "orcid"} for author in citation["authors"]
    )


def test_notebooks_are_committed_without_outputs() -> None:
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text())["cells"]
        assert not any(cell.get("outputs") for cell in cells), name(path)
