"""Papermill's command within the process of the tests, for what a notebook refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from papermill.cli import papermill
from papermill.exceptions import PapermillExecutionError


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a notebook through papermill's own command, which must fail in a cell; returns its error.

    The kernel is a process as always. Papermill is imported once for all tests of a process: that is half
    of what a notebook costs that ends at once, and one test of a whole `python -m papermill` is enough.
    """

    def run(notebook: Path, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        command = [str(notebook), "out.ipynb", "--no-progress-bar", *arguments]
        with pytest.raises(PapermillExecutionError) as caught:
            papermill.main(command, standalone_mode=False)
        return str(caught.value)

    return run
