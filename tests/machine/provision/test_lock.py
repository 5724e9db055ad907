"""A hmexp that is killed while a program of its own is at work: the next one waits until that has ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hmexp.machine.provision.journal import ProvisionJournal
from hmexp.machine.provision.tools import ProvisionError

HOLDER = """
import sys
from pathlib import Path
from hmexp.machine.provision.journal import ProvisionJournal
from hmexp.machine.provision.tools import InstalledTools

with ProvisionJournal(Path(sys.argv[1])).locked():
    work = "touch begun; while [ ! -e end ]; do sleep 0.05; done"
    InstalledTools().run(["sh", "-c", f"cd {sys.argv[1]}; {work}"])
"""


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"waited in vain for {path}"
        time.sleep(0.02)


def test_what_a_killed_hmexp_left_at_work_still_holds_the_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)])
    wait_for(tmp_path / "begun")
    holder.kill()
    holder.wait(60)
    journal = ProvisionJournal(tmp_path)
    with pytest.raises(ProvisionError, match="another process holds"), journal.locked():
        pass
    (tmp_path / "end").touch()
    end = time.monotonic() + 60
    while True:
        try:
            with journal.locked():
                return
        except ProvisionError:
            assert time.monotonic() < end
            time.sleep(0.05)
