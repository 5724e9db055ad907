"""`make setup` does what is missing, once; a step that failed or was killed never counts as done.

Run in copies of the checkout's scaffolding with a Python that only writes down what it was asked for;
tools/bare-machine.sh does the same for real.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Stands for python3 and, copied into .venv, for .venv/bin/python. It logs each step and does its trace:
#: `-m venv` makes the folder, building makes the core. FAIL and HANG name the step that fails or never ends.
FAKE_PYTHON = """#!/bin/sh
step=other
case "$*" in
    "-m venv "*) step=venv ;;
    "-m pip --version" | *"find_library"*) exit 0 ;;
    *"pip install"*--editable*) step=install ;;
    *"pip install"*) step=requirements ;;
    "setup.py "*build_ext*) step=build ;;
    *"import hmexp.native._core"*) step=load ;;
    "-m papermill "*) step=papermill ;;
esac
[ "$step" = other ] && exec "$REAL_PYTHON" "$@"
echo "$step" >>"$LOG"
[ "$step" = "$HANG" ] && { touch "$LOG.hangs"; exec sleep 60; }
[ "$step" = "$FAIL" ] && { echo "fake: $step fails" >&2; exit 7; }
case $step in
    venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    install | build) touch hmexp/native/_core.abi3.so ;;
    papermill) eval "$PAPERMILL" ;;
esac
"""

#: No test may install system packages for real. This makes the compiler that CC names, if told that it works.
FAKE_APT = """#!/bin/sh
case "$*" in
    *install*)
        echo apt-install >>"$LOG"
        [ -n "$APT_WORKS" ] || exit 100
        echo "#!/bin/sh" >"$CC" && chmod +x "$CC"
        ;;
    *update*) echo apt-update >>"$LOG" ;;
esac
"""
FAKE_SUDO = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""

ALL_STEPS = ["venv", "requirements", "install", "load"]
REBUILD = ["build", "load"]


@dataclass
class Checkout:
    """A copy of what make needs, and a log of the steps that were taken in it."""

    path: Path
    log: Path
    environment: dict[str, str]

    def command(self, *targets: str) -> list[str]:
        return ["make", "--no-print-directory", "-j4", *targets]

    def make(self, *targets: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | variables
        return subprocess.run(
            self.command(*targets), cwd=self.path, env=environment, capture_output=True, text=True
        )

    def start(self, *targets: str, **variables: str) -> subprocess.Popen[bytes]:
        """Run make in a process group of its own, without waiting for it."""
        return subprocess.Popen(
            self.command(*targets),
            cwd=self.path,
            env=self.environment | variables,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def steps_of(self, *targets: str, **variables: str) -> list[str]:
        """Run make, which must end well, and return the steps that it took."""
        self.log.write_text("")
        result = self.make(*targets, **variables)
        assert result.returncode == 0, result.stdout + result.stderr
        return self.log.read_text().split()

    def is_ready(self) -> bool:
        check = [str(self.path / "tools" / "bootstrap.sh"), "--check"]
        return subprocess.run(check, env=self.environment, capture_output=True).returncode == 0


def write_command(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, Path]:
    """A checkout that was set up once, and a copy of its folder."""
    folder = tmp_path_factory.mktemp("installed") / "there"
    folder.mkdir()
    made = make_checkout(folder)
    assert made.steps_of("setup") == ALL_STEPS
    return made, shutil.copytree(folder, folder.with_name("kept"), symlinks=True)


@pytest.fixture
def ready(installed: tuple[Checkout, Path]) -> Checkout:
    """A checkout that is set up, at the path where that was done, whatever a test did to it since."""
    made, kept = installed
    folder = kept.with_name("there")
    shutil.rmtree(folder)
    shutil.copytree(kept, folder, symlinks=True)
    return replace(made, environment=dict(made.environment))


def make_checkout(tmp_path: Path) -> Checkout:
    path = tmp_path / "a checkout"
    (path / "hmexp" / "native").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "setup.py", "tools/bootstrap.sh", "tools/sweep.sh"):
        (path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    for name in ("build_core.py", "core.c", "core.h"):
        (path / "hmexp" / "native" / name).write_text("one\n")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, text in {"python3": FAKE_PYTHON, "apt-get": FAKE_APT, "sudo": FAKE_SUDO}.items():
        write_command(commands / name, text)
    log = tmp_path / "log"
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))
    }
    # `make test TEST=...` hands its variables on to every make below it.
    for name in ("SWEEP", "TEST"):
        kept.pop(name, None)
    search = os.pathsep.join([str(commands), os.environ["PATH"]])
    # A compiler that is always content: whether the machine has one is not the question here.
    answers = {"PATH": search, "CC": "true", "LOG": str(log), "REAL_PYTHON": sys.executable}
    return Checkout(path, log, kept | answers | {"FAIL": "", "HANG": "", "APT_WORKS": ""})


def test_a_fresh_checkout_takes_every_step_once(checkout: Checkout) -> None:
    assert not checkout.is_ready()
    assert checkout.steps_of("setup") == ALL_STEPS
    assert checkout.is_ready()
    assert checkout.steps_of("setup") == []


@pytest.mark.parametrize("step", ALL_STEPS)
def test_a_step_that_failed_is_not_done(checkout: Checkout, step: str) -> None:
    failed = checkout.make("setup", FAIL=step)
    assert failed.returncode != 0
    assert "hmexp setup: error:" in failed.stderr
    assert not checkout.is_ready()
    taken = checkout.steps_of("setup")
    assert taken[-2:] == ["install", "load"] or taken == REBUILD
    assert checkout.is_ready()


def test_a_failed_install_keeps_what_pip_did_but_not_as_done(checkout: Checkout) -> None:
    checkout.make("setup", FAIL="requirements")
    assert checkout.steps_of("setup") == ["requirements", "install", "load"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_install_that_was_killed_is_begun_anew(checkout: Checkout, how: signal.Signals) -> None:
    process = checkout.start("setup", HANG="requirements")
    hangs = checkout.log.with_name("log.hangs")
    deadline = time.monotonic() + 30
    while not hangs.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, how)
    assert process.wait(timeout=30) != 0
    assert not checkout.is_ready()
    assert checkout.steps_of("setup") == ALL_STEPS


@pytest.mark.parametrize("name", ["core.c", "core.h", "build_core.py"])
def test_a_changed_source_of_the_core_is_rebuilt_and_nothing_else(ready: Checkout, name: str) -> None:
    (ready.path / "hmexp" / "native" / name).write_text("two\n")
    assert ready.steps_of("setup") == REBUILD
    assert ready.steps_of("setup") == []


def test_a_removed_or_added_source_is_rebuilt(ready: Checkout) -> None:
    (ready.path / "hmexp" / "native" / "more.c").write_text("three\n")
    assert ready.steps_of("setup") == REBUILD
    (ready.path / "hmexp" / "native" / "more.c").unlink()
    assert ready.steps_of("setup") == REBUILD


def test_a_touched_source_is_not_rebuilt(ready: Checkout) -> None:
    os.utime(ready.path / "hmexp" / "native" / "core.c")
    assert ready.steps_of("setup") == []


def test_a_core_that_is_gone_is_rebuilt(ready: Checkout) -> None:
    (ready.path / "hmexp" / "native" / "_core.abi3.so").unlink()
    assert ready.steps_of("setup") == REBUILD


def test_a_build_that_failed_is_repeated(ready: Checkout) -> None:
    (ready.path / "hmexp" / "native" / "core.c").write_text("wrong\n")
    assert ready.make("setup", FAIL="build").returncode != 0
    # Even if the change is taken back: the old core may be half overwritten.
    (ready.path / "hmexp" / "native" / "core.c").write_text("one\n")
    assert ready.steps_of("setup") == REBUILD


def test_a_changed_pyproject_is_installed_again(ready: Checkout) -> None:
    pyproject = ready.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "\n# changed\n")
    assert ready.steps_of("setup") == ["requirements", "install", "load"]


def test_a_moved_checkout_gets_a_new_environment(ready: Checkout) -> None:
    ready.path = ready.path.rename(ready.path.with_name("moved checkout"))
    assert ready.steps_of("setup") == ALL_STEPS


@pytest.mark.parametrize("trouble", ["emptied", "dangling", "no stamps"])
def test_a_broken_environment_is_made_anew(ready: Checkout, trouble: str) -> None:
    python = ready.path / ".venv" / "bin" / "python"
    if trouble == "emptied":
        shutil.rmtree(python.parent)
    elif trouble == "dangling":
        python.unlink()
        python.symlink_to("python-of-last-year")
    else:
        shutil.rmtree(ready.path / ".venv" / ".stamps")
    assert ready.steps_of("setup") == ALL_STEPS


def test_another_active_environment_changes_nothing(ready: Checkout) -> None:
    elsewhere = {"VIRTUAL_ENV": "/elsewhere", "PYTHONPATH": "/elsewhere", "PIP_USER": "1"}
    assert ready.steps_of("setup", **elsewhere) == []


def test_two_makes_at_once_install_once(checkout: Checkout) -> None:
    both = [checkout.start("setup") for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert checkout.log.read_text().split() == ALL_STEPS


def test_a_python_that_is_not_there_or_too_old_is_told(checkout: Checkout, tmp_path: Path) -> None:
    missing = checkout.make("setup", PYTHON="no-such-python")
    assert missing.returncode != 0
    assert "no-such-python is not installed" in missing.stderr
    old = tmp_path / "old-python"
    write_command(old, '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    wording = checkout.make("setup", PYTHON=str(old))
    assert wording.returncode != 0
    assert "Python 3.9.2; hmexp needs 3.11 or newer" in wording.stderr


def test_only_what_is_missing_is_installed_and_once(checkout: Checkout, tmp_path: Path) -> None:
    missing = {"CC": str(tmp_path / "compiler"), "APT_WORKS": "yes"}
    assert checkout.steps_of("setup", **missing) == ["venv", "apt-update", "apt-install", *ALL_STEPS[1:]]
    assert checkout.steps_of("setup", **missing) == []


def test_an_apt_that_fails_is_told_and_leaves_nothing_done(checkout: Checkout, tmp_path: Path) -> None:
    result = checkout.make("setup", CC=str(tmp_path / "compiler"))
    assert result.returncode != 0
    assert "apt-get could not install gcc" in result.stderr
    assert not checkout.is_ready()


def hide(checkout: Checkout, *hidden: str) -> None:
    """Let the checkout find every command of the machine but these."""
    folder = Path(checkout.environment["PATH"].split(os.pathsep)[0])
    for place in os.environ["PATH"].split(os.pathsep):
        for command in Path(place).glob("*") if os.access(place, os.R_OK | os.X_OK) else []:
            if not os.path.lexists(folder / command.name):
                (folder / command.name).symlink_to(command)
    for name in hidden:
        (folder / name).unlink(missing_ok=True)
    checkout.environment["PATH"] = str(folder)


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ("apt-get", ["not a Debian-like system", "Fedora"]),
        ("sudo", ["needs root, and there is no sudo", "apt-get install gcc"]),
    ],
)
def test_what_is_missing_is_named_where_it_cannot_be_installed(
    checkout: Checkout, hidden: str, expected: list[str]
) -> None:
    hide(checkout, "id", hidden)
    write_command(Path(checkout.environment["PATH"]) / "id", "#!/bin/sh\necho 1000\n")
    result = checkout.make("setup", CC="no-such-compiler")
    assert result.returncode != 0
    assert "not installed: a C compiler" in result.stderr
    for text in expected:
        assert text in result.stderr
    assert checkout.log.read_text().split() == ["venv"]
    assert not checkout.is_ready()


RUNNER = (
    "mkdir -p results/RUN && ln -sfn RUN results/latest && touch results/RUN/report.html results/sweep.ipynb"
)


def test_sweep_puts_the_notebook_into_the_run_and_names_the_report(ready: Checkout) -> None:
    result = ready.make("sweep", PAPERMILL=RUNNER)
    assert result.returncode == 0, result.stderr
    assert "results/RUN/report.html" in result.stdout
    assert (ready.path / "results" / "RUN" / "sweep.ipynb").exists()
    assert not (ready.path / "results" / "sweep.ipynb").exists()


def test_sweep_hands_its_arguments_to_papermill_as_a_shell_would(ready: Checkout) -> None:
    result = ready.make(
        "sweep", 'SWEEP=-p size 64MiB -y \'patterns: ["0", "0,2"]\'', PAPERMILL='printf "<%s>" "$@"'
    )
    assert '<-p><size><64MiB><-y><patterns: ["0", "0,2"]>' in result.stdout


def test_a_sweep_that_failed_at_once_leaves_older_runs_alone(ready: Checkout) -> None:
    ready.make("sweep", PAPERMILL=RUNNER)
    older = ready.path / "results" / "RUN" / "sweep.ipynb"
    older.write_text("of the older run")
    # What was written in the past has an older time than what the next sweep begins with.
    for path in older.parent.iterdir():
        os.utime(path, (1, 1))
    failed = ready.make("sweep", PAPERMILL="echo failed >results/sweep.ipynb; exit 3")
    assert failed.returncode != 0
    assert "Error 3" in failed.stderr
    assert "nothing was written" in failed.stderr
    assert older.read_text() == "of the older run"
    assert not (ready.path / "results" / "sweep.ipynb").exists()


def test_a_sweep_that_ended_early_leaves_its_notebook_in_its_run(ready: Checkout) -> None:
    failed = ready.make("sweep", PAPERMILL=f"{RUNNER} && exit 3")
    assert "Error 3" in failed.stderr
    assert "measures only what is missing in results/RUN" in failed.stderr
    assert (ready.path / "results" / "RUN" / "sweep.ipynb").exists()


def test_a_sweep_that_writes_elsewhere_leaves_older_runs_alone(ready: Checkout) -> None:
    ready.make("sweep", PAPERMILL=RUNNER)
    older = ready.path / "results" / "RUN"
    for path in older.iterdir():
        os.utime(path, (1, 1))
    result = ready.make("sweep", PAPERMILL="echo elsewhere >results/sweep.ipynb")
    assert result.returncode == 0, result.stderr
    assert "results/sweep.ipynb" in result.stdout
    assert (older / "sweep.ipynb").read_text() == ""


def test_help_names_every_target(checkout: Checkout) -> None:
    text = checkout.make("help").stdout
    for target in ("sweep", "test", "lab-test", "lab-debug", "lint", "setup", "clean", "help"):
        assert f"make {target}" in text


def test_clean_leaves_results(ready: Checkout) -> None:
    ready.steps_of("sweep", PAPERMILL=RUNNER)
    (ready.path / "tests").mkdir()
    assert ready.make("clean").returncode == 0
    assert not (ready.path / ".venv").exists()
    assert not list((ready.path / "hmexp").rglob("*.so"))
    assert (ready.path / "results" / "RUN" / "report.html").exists()
