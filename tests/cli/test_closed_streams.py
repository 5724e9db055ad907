"""Commands whose standard streams were closed by whoever started them, as some services do."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_bug(closed: str) -> None:
    for command in ("nodes", "presets --help", "nodes --bananas"):
        words = f'exec "$0" -m hmexp {command} {closed}'
        done = subprocess.run(
            ["sh", "-c", words, sys.executable], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == (2 if "bananas" in command else 0), (command, done.stderr)
        assert "Traceback" not in done.stderr
        assert ("node " in done.stdout) == (command == "nodes" and ">&-" not in closed.replace("2>&-", ""))
