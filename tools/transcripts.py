"""Run the commands that a page of the documentation shows, and put what they print below them.

    .venv/bin/python tools/transcripts.py docs/tutorials/researcher.md

Every line that begins with `$ ` in a block of the language `console` is run in the checkout. A comment before
a block, `% 12 lines`, keeps the first 12 lines of what each of its commands prints. The path of the checkout
becomes `~/hmexp`. A page is left as it was if one of its commands fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?:^% (\d+) lines\n)?^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(command: str, lines: int | None) -> str:
    """The command and what it prints, standard error included."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", command], check=False, cwd=ROOT, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command} failed with exit status {done.returncode}:\n{done.stdout}")
    printed = [line.rstrip() for line in done.stdout.replace(str(ROOT), "~/hmexp").splitlines()]
    if lines is not None and len(printed) > lines:
        printed = [*printed[:lines], "..."]
    return "\n".join([f"$ {command}", *printed]) + "\n"


def refresh(text: str) -> str:
    """The page with what its commands print today."""

    def renew(found: re.Match[str]) -> str:
        lines = None if found[1] is None else int(found[1])
        commands = re.findall(r"^\$ ((?:.*\\\n)*.*)$", found[2], re.MULTILINE)
        head = "" if lines is None else f"% {lines} lines\n"
        return f"{head}```console\n{''.join(run(command, lines) for command in commands)}```"

    return BLOCK.sub(renew, text)


def main() -> None:
    """Renew every page that is named."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refresh(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
