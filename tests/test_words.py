"""The English that a person reads: messages, help, docstrings, comments, the documentation and the notebooks.

Each phrase below reads as if it were translated. The value is what a native writer would put.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: A regular expression (whole words, any case), and what to write instead.
FORBIDDEN = {
    r"(?:is|are|was|were|be|been) told": "`gets`, `receives`, `reports` or `shows`",
    r"told apart": "`distinguish`, `separate`",
    r"tells? apart": "`distinguishes`, `separates`",
    r"told": "`reported`, `said` or `shown`",
    r"lacks?": "`has no` or `is missing`",
    r"(?:not )?to be had": "`this CPU has no ...`, `this machine has no ...`",
    r"had back": "`restored`",
    r"gone on with": "`resumed`",
    r"(?:goes|go|going) on with": "`resumes` or `continues with`",
    r"and there is none": "name what is missing: `--load-pattern needs --loaded`",
    r"and says so": "what it says: `marks its results EMULATED`",
    r"of its own accord": "`by itself`",
    r"cannot be said": "`is unknown`",
    r"nothing is said of": "`there is no ... for`",
    r"tells? more": "`gives details`",
    r"run anew": "`run again`",
    r"not ours to": "`this user may not`",
    r"is absurd": "`is out of range`",
    r"is no (?:TOML|address|notebook|table|text|list|range|memory policy)\b": "`is not a ...`",
}
_ANY = re.compile(
    "|".join(rf"(?P<p{number}>\b(?:{phrase})\b)" for number, phrase in enumerate(FORBIDDEN)), re.IGNORECASE
)
_ADVICE = list(FORBIDDEN.values())

#: The table of DESIGN and this list name the phrases in order to forbid them.
_NAMES_THEM = {Path(__file__)}

Text = tuple[int, str]


def python_texts(source: str) -> Iterator[Text]:
    """Every text of a Python file with its line: literals, the literal parts of f-strings, comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def c_texts(source: str) -> Iterator[Text]:
    """Every string literal and comment of a C file with its line."""
    for match in re.finditer(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', source, re.DOTALL):
        yield source.count("\n", 0, match.start()) + 1, match[0]


def markdown_texts(source: str) -> Iterator[Text]:
    """Give a page as one text."""
    yield 1, source


def notebook_texts(source: str) -> Iterator[Text]:
    """Every cell of a notebook by its number: prose, and comments in the code beside it."""
    for number, cell in enumerate(json.loads(source)["cells"], start=1):
        yield number, "".join(cell["source"])


_READERS = {
    ".py": python_texts,
    ".c": c_texts,
    ".h": c_texts,
    ".md": markdown_texts,
    ".4": markdown_texts,
    ".sh": markdown_texts,
    ".ipynb": notebook_texts,
}


def complaints(path: Path) -> list[str]:
    """Each forbidden phrase of a file, with its place and what to write instead."""
    found = []
    for line, text in _READERS[path.suffix](path.read_text(encoding="utf-8")):
        # A phrase may be broken over lines, and over the markers of a comment.
        flat = re.sub(r"\s*\n\s*(?:[#*]+ )?", " ", text)
        for match in _ANY.finditer(flat):
            advice = next(_ADVICE[int(name[1:])] for name, value in match.groupdict().items() if value)
            found.append(f"{path}:{line}: {match[0]!r}: write {advice}")
    return found


def _files() -> Iterator[Path]:
    for folder in ("hmexp", "tools", "benchmarks", "kernel_module", "docs", "notebooks"):
        for path in sorted((ROOT / folder).rglob("*")):
            hidden = any(part.startswith((".", "_build")) for part in path.relative_to(ROOT).parts)
            if path.suffix in _READERS and path.is_file() and not hidden and "generated" not in path.parts:
                yield path
    yield from sorted(ROOT.glob("*.md"))


def test_nothing_a_person_reads_sounds_translated() -> None:
    """The whole list is in the failure, so that one run is enough."""
    found = [complaint for path in _files() if path not in _NAMES_THEM for complaint in complaints(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", '"""512-bit vectors are not to be had here."""\n'),
        (".py", "x = 1\nraise ValueError(f'{x} lacks the number')\n"),
        (".py", "# The caller is told\n# what happens.\n"),
        (".py", 'raise ValueError("the run is gone "\n    "on with")\n'),
        (".c", 'int f(void) { return puts("the rest goes on with it"); }\n'),
        (".c", "/* The headers of newer kernels\n * lack it. */\n"),
        (".md", "Their intervals overlap: they are not\ntold apart.\n"),
        (".ipynb", json.dumps({"cells": [{"source": ["Where it fails, the text is\n", "told."]}]})),
    ],
)
def test_a_phrase_is_found_wherever_it_stands(tmp_path: Path, suffix: str, text: str) -> None:
    """In strings, f-strings and comments, also broken over lines; and the advice comes with it."""
    path = tmp_path / f"sample{suffix}"
    path.write_text(text, encoding="utf-8")
    [complaint, *_] = complaints(path)
    assert f"{path}:" in complaint and "write `" in complaint


def test_code_is_not_prose(tmp_path: Path) -> None:
    """A name in code, or a similar word, is no complaint."""
    path = tmp_path / "sample.py"
    path.write_text('lack_of_room = 1\nblack = "slack, black and going on"\n', encoding="utf-8")
    assert not complaints(path)


def test_every_folder_has_texts() -> None:
    """A moved folder must not leave the test without work."""
    folders = {path.relative_to(ROOT).parts[0] for path in _files()}
    assert {"hmexp", "tools", "benchmarks", "kernel_module", "docs", "notebooks", "README.md"} <= folders
