"""Files that are written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hmexp.errors import StoreError
from hmexp.store.files import make_folder, write_atomically

WRITE = """
import resource, sys
from pathlib import Path
from hmexp.errors import StoreError
from hmexp.store.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    write_atomically(Path(sys.argv[1]), bytes(1 << 17))
except StoreError as error:
    print(error.message, error.remedy, sep="|")
"""


def test_a_full_disk_asks_for_room_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", WRITE, path], capture_output=True, text=True, check=True)
    message, _, remedy = done.stdout.strip().partition("|")
    assert message == f"{path} cannot be written: File too large"
    assert remedy == "make room there and run the same command again"
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_was_removed_does_not_come_back(tmp_path: Path) -> None:
    run = tmp_path / "results" / "run"
    for write in (
        lambda: write_atomically(run / "report.html", "new"),
        lambda: make_folder(run / "figures"),
        lambda: write_atomically(run / "figures" / "strips.svg", "new"),
    ):
        with pytest.raises(StoreError, match=f"written: {tmp_path / 'results'} does not exist") as raised:
            write()
        assert "run the same command again" in raised.value.remedy
    assert not list(tmp_path.iterdir())


def test_what_is_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for path in (tmp_path / "taken", tmp_path / "taken" / "figures"):
        with pytest.raises(StoreError, match="taken is not a folder"):
            make_folder(path)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_of_many_is_made_on_request(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", parents=True)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
