"""What the lab's tests share: a private cache for the pure ones, guests for those marked ``lab``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import hmexp.lab
from hmexp.lab.errors import LabNeedError
from hmexp.lab.headers import headers_directory
from hmexp.lab.kernels import Kernel, find_kernel
from hmexp.lab.tools import Tools, ensure_tools, fetch_unpacked
from hmexp.program.client.build import build_client

ROOT = Path(__file__).resolve().parents[2]
KERNEL_VARIABLE = "HMEXP_LAB_TEST_KERNEL"
REQUIRED_VARIABLE = "HMEXP_LAB_REQUIRED"
REDIS_PACKAGES = ("redis-server", "libhiredis-dev")
#: What takes minutes, the longest first: begun last, one of these would leave the other processes idle.
BEGUN_FIRST = (
    "test_the_modules_own_suite",
    "test_every_placer",
    "test_from_raw_to_nodes_and_back",
    "test_hmexp_places_proves_and_sweeps_with_it",
    "test_the_matrix_says_that_the_firmware_is_wrong",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the longest tests begin first, also after their order was shuffled."""
    items.sort(key=lambda item: _turn(getattr(item, "originalname", item.name)))


def _turn(name: str) -> int:
    return BEGUN_FIRST.index(name) if name in BEGUN_FIRST else len(BEGUN_FIRST)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory of the test's own."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("HMEXP_LAB_CACHE", str(directory))
    return directory


# A person without a network may skip what needs it; .ci/run and `make lab-test` set HMEXP_LAB_REQUIRED, and
# then each of these is a failure.


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The programs of the lab; without them the test is skipped, unless HMEXP_LAB_REQUIRED is set."""
    try:
        return ensure_tools()
    except LabNeedError as error:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        # A developer without QEMU or a network; CI sets HMEXP_LAB_REQUIRED, which makes this a failure.
        pytest.skip(f"the lab cannot run here: {error.message}")


@pytest.fixture(scope="session")
def kernel(tools: Tools) -> Kernel:
    """The kernel under test: HMEXP_LAB_TEST_KERNEL, or the distribution's own."""
    try:
        return find_kernel(os.environ.get(KERNEL_VARIABLE, "distribution"), tools)
    except LabNeedError as error:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        # Likewise: with HMEXP_LAB_REQUIRED, as in CI, this is a failure.
        pytest.skip(f"no kernel for the lab here: {error.message}")


@pytest.fixture(scope="session")
def guest(kernel: Kernel) -> Callable[..., hmexp.lab.LabResult]:
    """`hmexp.lab.run` with the kernel under test."""

    def run(command: list[str] | str, **options: object) -> hmexp.lab.LabResult:
        return hmexp.lab.run(command, **{"kernel": kernel.release, "timeout_seconds": 120, **options})  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def built(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `kernel_module/`, built for the kernel under test without a warning at W=1."""
    if not (shutil.which("make") and shutil.which("gcc")):
        if os.environ.get(REQUIRED_VARIABLE):
            raise LabNeedError("no compiler for the module", "apt-get install make gcc")
        # make test installs one, so only a run of pytest by hand comes here.
        pytest.skip("no compiler")
    place = tmp_path_factory.mktemp("module") / "kernel_module"
    # Without what a developer may have built in place, for another kernel.
    shutil.copytree(
        ROOT / "kernel_module", place, ignore=shutil.ignore_patterns("*.ko", "*.o", ".*", "probe.h*")
    )
    try:
        directory = headers_directory(kernel.release)
    except LabNeedError as error:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        # Headers are downloaded; with HMEXP_LAB_REQUIRED, as in CI, this is a failure.
        pytest.skip(f"no headers: {error.message}")
    for target in ("check-build", "modules", "tests"):
        done = subprocess.run(
            ["make", "-s", "-C", str(place), f"KDIR={directory}", target], capture_output=True, text=True
        )
        assert done.returncode == 0, f"make {target}\n{done.stdout}\n{done.stderr}"
        assert "warning" not in done.stdout + done.stderr
    return place


@pytest.fixture(scope="session")
def lay_over() -> Callable[[Mapping[str, str]], tuple[Path, str]]:
    """Have Debian's packages that this machine may not have, without an installation.

    Given for each package a file of it, the fixture returns the root that has these files, and a command for
    the guest's shell that links them into their places there.
    """

    def lay(packages: Mapping[str, str]) -> tuple[Path, str]:
        missing = [package for package, file in packages.items() if not Path(file).exists()]
        if not missing:
            return Path("/"), "true"
        try:
            tree = fetch_unpacked(missing)
        except LabNeedError as error:
            if os.environ.get(REQUIRED_VARIABLE):
                raise
            # A developer without a network; with HMEXP_LAB_REQUIRED, as in CI, this is a failure.
            pytest.skip(f"{', '.join(missing)} cannot be had here: {error.message}")
        parts = " ".join(shlex.quote(f"{tree}/usr/{name}") for name in ("bin", "sbin", "lib"))
        return tree, f"cp -rsn {parts} /usr"

    return lay


@pytest.fixture(scope="session")
def redis_variables() -> Mapping[str, str]:
    """Where the guest finds Redis: the machine's own, or unpacked beside the system; the client is built."""
    if shutil.which("redis-server") is not None and Path("/usr/include/hiredis/hiredis.h").exists():
        build_client()
        return {}
    try:
        tree = fetch_unpacked(REDIS_PACKAGES)
    except LabNeedError as error:
        if os.environ.get(REQUIRED_VARIABLE):
            raise
        # A developer without a network; CI sets HMEXP_LAB_REQUIRED, which makes this a failure.
        pytest.skip(f"no Redis for the lab here: {error.message}")
    libraries = str(tree / "usr/lib/x86_64-linux-gnu")
    variables = {
        "PATH": f"{tree}/usr/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": libraries,
        "LIBRARY_PATH": libraries,
        "CPATH": str(tree / "usr/include"),
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(name, value)
        build_client()
    return variables
