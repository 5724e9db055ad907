"""What the kernel module's Makefile installs beside the module, and that uninstalling leaves none of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[1] / "kernel_module"
FILES = {
    "lib/udev/rules.d/60-hybridmem.rules",
    "usr/include/linux/hybridmem.h",
    "usr/lib/modules-load.d/hybridmem.conf",
    "usr/lib/sysusers.d/hybridmem.conf",
    "usr/share/man/man4/hybridmem.4",
}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


def make(target: str, destination: Path) -> set[str]:
    """The files in a destination after a target of the Makefile."""
    done = subprocess.run(
        ["make", "-s", "-C", str(MODULE), target, f"DESTDIR={destination}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}


def test_what_is_installed_is_uninstalled(tmp_path: Path) -> None:
    assert make("install-files", tmp_path) == FILES
    assert make("uninstall", tmp_path) == set()


def test_dkms_installs_the_same_beside_the_sources(tmp_path: Path) -> None:
    files = make("dkms", tmp_path)
    assert not FILES - files
    assert all(name.startswith("usr/src/hybridmem-") for name in files - FILES)


def test_dkms_has_all_that_the_module_is_built_from(tmp_path: Path) -> None:
    names = {Path(name).name for name in make("dkms", tmp_path) - FILES}
    objects = re.search(r"^hybridmem-y := (.+)$", (MODULE / "Kbuild").read_text(), re.MULTILINE)
    assert objects is not None
    sources = {name.removesuffix(".o") + ".c" for name in objects[1].split()}
    included = {
        header
        for name in sources
        for header in re.findall(r'^#include "(.+)"$', (MODULE / name).read_text(), re.MULTILINE)
    }
    assert sources | included | {"Kbuild", "Makefile", "probe.sh", "dkms.conf"} <= names


def test_the_module_that_is_loaded_at_boot_is_the_one_that_is_built(tmp_path: Path) -> None:
    make("install-files", tmp_path)
    lines = (tmp_path / "usr/lib/modules-load.d/hybridmem.conf").read_text().splitlines()
    built = re.search(r"^obj-m := (\w+)\.o$", (MODULE / "Kbuild").read_text(), re.MULTILINE)
    assert built is not None
    assert [line for line in lines if line and line[0] not in "#;"] == [built[1]]
