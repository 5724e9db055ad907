"""Files that are written whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
