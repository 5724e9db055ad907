"""Headers that the lab fetches build a module, and the guest shows what the module does to its kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab import LabCrashError, LabResult
from hmexp.lab.errors import LabNeedError
from hmexp.lab.headers import headers_directory
from hmexp.lab.kernels import Kernel

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="no compiler"),
]

SOURCE = """
#include <linux/module.h>
static char *act = "hello";
module_param(act, charp, 0444);
static int __init breaker_init(void)
{
	volatile int *nowhere = NULL;

	pr_info("breaker: %s\\n", act);
	WARN_ON(!strcmp(act, "warn"));
	return strcmp(act, "oops") ? 0 : *nowhere;
}
static void __exit breaker_exit(void)
{
}
module_init(breaker_init);
module_exit(breaker_exit);
MODULE_DESCRIPTION("breaks the kernel that loads it");
MODULE_LICENSE("GPL");
"""


@pytest.fixture(scope="module")
def module(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module for the kernel under test that warns or oopses on request."""
    place = tmp_path_factory.mktemp("breaker")
    (place / "breaker.c").write_text(SOURCE)
    (place / "Makefile").write_text("obj-m := breaker.o\n")
    try:
        directory = headers_directory(kernel.release)
    except LabNeedError as error:
        # As in conftest.py: only where nothing requires the lab.
        if os.environ.get("HMEXP_LAB_REQUIRED"):
            raise
        # Headers are downloaded; with HMEXP_LAB_REQUIRED, as in CI, this is a failure.
        pytest.skip(f"no headers: {error.message}")
    done = subprocess.run(
        ["make", "-s", "-C", directory, f"M={place}", "W=1", "modules"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return place / "breaker.ko"


def test_a_module_built_against_the_headers_loads(guest: Callable[..., LabResult], module: Path) -> None:
    result = guest(f"insmod {module} && dmesg | grep -o 'breaker: hello' && rmmod breaker", topology="one")
    assert result.check().text == "breaker: hello\n"


def test_a_warning_of_the_kernel_is_told(guest: Callable[..., LabResult], module: Path) -> None:
    result = guest(f"insmod {module} act=warn && rmmod breaker", topology="one")
    assert result.status == 0
    assert any("breaker_init" in line for line in result.splats)


def test_an_oops_ends_the_guest_at_once(guest: Callable[..., LabResult], module: Path) -> None:
    with pytest.raises(LabCrashError, match="BUG: kernel NULL pointer") as caught:
        guest(f"insmod {module} act=oops; sleep 600", topology="one")
    assert "breaker_init" in caught.value.console
