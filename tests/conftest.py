"""For all tests: patient property tests, signals as a terminal has them, children for what is dangerous."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

#: Set in a child that runs one test which pokes at memory by its address.
CHILD = "HMEXP_TEST_CHILD"

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("busy"), max_examples=25)
settings.load_profile("busy")

# A shell in the background, or nohup, has the tests ignore Ctrl-C or the end of the terminal,
# which every program that they start would inherit: tests of what it does to one would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
for ignored in (signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, lambda _number, _frame: None)


#: The marks of our tests: here, since a run of one folder alone knows them too.
MARKS = (
    "in_child: runs in a process of its own; a slip there hurts nobody else",
    "slow: takes many seconds of a CPU; `make test SLOW=yes` and continuous integration run it",
    "lab: boots a virtual machine (a few seconds each)",
    "one_boot: a test of the lab that `make test` runs, too",
    "long: minutes in the lab; continuous integration has no time for it",
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks; without the slow tests, a property has a quarter of its examples, too.

    A property that costs much takes a part of `settings().max_examples`, read when its module is imported.
    """
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    if "not slow" in config.option.markexpr:
        settings.load_profile("few")


#: The processes of pytest-xdist, by name.
_WORKERS: dict[str, subprocess.Popen[bytes]] = {}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: WorkerController) -> None:
    """Remember the process of a worker of pytest-xdist: how it ends is looked at."""
    _WORKERS[node.gateway.id] = node.gateway._io.popen


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Give workers time to end: on a busy machine xdist killed them after its 10 s, and we blamed them."""
    from xdist.workermanage import NodeManager

    NodeManager.EXIT_TIMEOUT = 120


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail if a worker of pytest-xdist died, even after its last test: xdist itself does not see that."""
    yield
    # xdist has ended its workers by now.
    for name, process in _WORKERS.items():
        status = process.wait(timeout=60)
        if status != 0:
            print(f"\nworker {name} of pytest-xdist ended with status {status}", file=sys.stderr)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is marked `in_child` alone in another pytest; its exit status is the result."""
    if pyfuncitem.get_closest_marker("in_child") is None or CHILD in os.environ:
        return None
    # Not of the node id: pytest-xdist appends "@group" to that of a test with the mark `xdist_group`.
    names = [node.name for node in pyfuncitem.listchain() if isinstance(node, pytest.Class | pytest.Function)]
    file = "::".join([str(pyfuncitem.path), *names])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-p",
        "no:randomly",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, file],
        env=os.environ | {CHILD: str(os.getpid())},
        capture_output=True,
        text=True,
        timeout=300,
    )
    # The status counts, not only what was printed: a damaged process dies after its last test.
    if done.returncode != 0:
        pytest.fail(
            f"the child ended with status {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False
        )
    # A child that skips ends with status 0, too: that is not a pass.
    if "1 skipped" in done.stdout:
        _, _, reason = done.stdout.partition("SKIPPED [1] ")
        pytest.skip(f"in its child: {reason.splitlines()[0] if reason else 'without a reason'}")
    if "1 passed" not in done.stdout:
        pytest.fail(f"the child passed no test\n{done.stdout}\n{done.stderr}", pytrace=False)
    return True


@pytest.fixture
def machine_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], None]]:
    """Have this machine's weights of weighted interleave alone, among the processes of these tests.

    They are one setting for all: a test that compares them before and after must not meet another's.
    """
    # Each process of pytest-xdist has its own base folder, next to those of the others.
    path = tmp_path_factory.getbasetemp().parent / "weights.lock"
    with path.open("w") as file:
        # Closing the file releases it.
        yield lambda: fcntl.flock(file, fcntl.LOCK_EX)


@pytest.fixture
def need_placer(machine_weights: Callable[[], None]) -> Callable[[str], None]:
    """Skip a test whose placer cannot work on this machine, with the placer's own reason.

    Asked for as the test begins, not to choose parameters: a probe of the machine may answer one process
    otherwise than the next, and all of pytest-xdist's processes have to collect the same tests.
    """
    from hmexp.memory.placers import PLACERS

    def need(name: str) -> None:
        if name == "weighted":
            machine_weights()
        obstacle = PLACERS[name].unavailable()
        if obstacle is not None:
            # The lab runs each placer on a kernel that has it.
            pytest.skip(f"placer {name} cannot work here: {obstacle.reason}")

    return need


@cache
def blank_picture() -> bytes:
    """A PNG file of a figure with nothing in it."""
    from matplotlib.figure import Figure

    from hmexp.report.figures import gallery

    return gallery.png_bytes(Figure((4, 3)))


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PNG files blank: the same figures are drawn as SVG, and to draw them twice is half of a report."""
    from hmexp.report.figures import gallery

    blank = blank_picture()
    monkeypatch.setattr(gallery, "png_bytes", lambda _figure, _dpi=0: blank)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, for the words of a page; what they show of such a run is tested with them."""
    from hmexp.report.figures import gallery

    monkeypatch.setattr(gallery, "wanted_figures", lambda _results: {})


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def run_hmexp(
    blank_pictures: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Done]]:
    """Run a command with these words in an empty folder and this process.

    A process of its own, with all that it imports, costs a second of a CPU: it is for what only it can show.
    """
    from hmexp.cli.main import main

    logger = logging.getLogger("hmexp")
    before = logger.level, logger.propagate, list(logger.handlers)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    yield run
    logger.level, logger.propagate, logger.handlers = before


@pytest.fixture(scope="session")
def raw_memory() -> ModuleType:
    """What pokes at memory by its address: `tests/raw_memory.py`, for tests that are marked `in_child`."""
    path = Path(__file__).with_name("raw_memory.py")
    spec = importlib.util.spec_from_file_location("raw_memory", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def redis_here() -> None:
    """Skip a test where Redis or hiredis is missing: nothing else of hmexp needs them."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt-get install redis-server)")
    # Its own imports are for those tests alone.
    from hmexp.program.client.build import ClientBuildError, build_client

    try:
        build_client()
    except ClientBuildError as error:
        if "hiredis" not in error.message:
            raise
        pytest.skip(f"{error.message} (apt-get install libhiredis-dev)")
