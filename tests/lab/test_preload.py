"""Programs under the preload library, on real nodes: exact, unharmed, and honest about what is not placed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hmexp.lab import LabResult

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler"),
]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("preload_in_guest.py")
SUBJECT = ROOT / "tests" / "program" / "launch" / "preload" / "subject.c"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
ALLOCATORS = {
    "tcmalloc": "libtcmalloc.so.4", "mimalloc": "libmimalloc.so.2.0", "jemalloc": "libjemalloc.so.2",
}  # fmt: skip
#: What the guest runs, and a file that each package brings.
PACKAGES = {
    "redis-server": "/usr/bin/redis-server",
    "stress-ng": "/usr/bin/stress-ng",
    "libgoogle-perftools4": str(LIBRARIES / ALLOCATORS["tcmalloc"]),
    "libmimalloc2.0": str(LIBRARIES / ALLOCATORS["mimalloc"]),
    "libjemalloc2": str(LIBRARIES / ALLOCATORS["jemalloc"]),
}
SOURCES = {
    # A library that frees what its caller gave, and gives what its caller frees.
    "gives": '#include <stdlib.h>\n#include <string.h>\nchar *give(void) { return strdup("given"); }\n'
    "void take(char *s) { free(s); }\n",
    "tls": "#include <stdlib.h>\n#include <string.h>\n"
    'static __thread __attribute__((tls_model("initial-exec"))) char kept[1024] = "x";\n'
    "char *give(void) { return strdup(kept); }\nvoid take(char *s) { kept[1023] = *s; free(s); }\n",
    "audit": "unsigned int la_version(unsigned int v) { return v; }\n",
}
HOLD = (
    "public class Hold { public static void main(String[] a) throws Exception {"
    ' System.out.println("ready"); System.in.read(); } }\n'
)


def _compile(to: Path, *arguments: object) -> None:
    done = subprocess.run(["gcc", "-o", to, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def packages(lay_over: Callable[[Mapping[str, str]], tuple[Path, str]]) -> tuple[Path, str]:
    """The root of the packages, and the command that lays them over the guest's files."""
    return lay_over(PACKAGES)


@pytest.fixture(scope="module")
def programs(packages: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guest tries the library on."""
    folder = tmp_path_factory.mktemp("programs")
    subject = ["-std=gnu11", "-O1", "-Wall", "-Werror", "-fno-builtin", SUBJECT, "-ldl", "-pthread"]
    _compile(folder / "subject", *subject)
    for name, library in ALLOCATORS.items():
        # The allocator needs libraries that are where it is.
        folders = [packages[0] / LIBRARIES.relative_to("/"), LIBRARIES]
        path = next(each / library for each in folders if (each / library).exists())
        needs = [f"-Wl,-rpath-link,{each}" for each in folders]
        _compile(folder / f"subject-{name}", *subject, "-Wl,--no-as-needed", path, *needs)
    for name, text in SOURCES.items():
        (folder / f"{name}.c").write_text(text)
        _compile(folder / f"lib{name}.so", "-shared", "-fPIC", folder / f"{name}.c")
    if shutil.which("javac"):
        (folder / "Hold.java").write_text(HOLD)
        subprocess.run(["javac", "-d", folder, folder / "Hold.java"], check=True)
    return folder


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(("refusals", "module", "meaning", "heap", "allocators", "java"), id="meaning"),
        pytest.param(("redis", "rewrite", "full"), id="redis"),
        pytest.param(("unharmed",), id="unharmed"),
    ],
)
def test_programs_keep_their_meaning_and_get_their_pattern(
    guest: Callable[..., LabResult],
    built: Path,
    packages: tuple[Path, str],
    programs: Path,
    parts: tuple[str, ...],
) -> None:
    """A boot for each, of some minutes: `preload_in_guest.py` has the parts."""
    script = shlex.join([sys.executable, str(SCRIPT), str(built), str(programs), *parts])
    result = guest(
        f"{packages[1]} && {script}",
        topology="module-tests",
        directory=ROOT,
        timeout_seconds=1800,
    )
    print(result.text)
    assert result.status == 0, result.text + result.stderr.decode(errors="replace")
    assert result.splats == ()
    assert "\n0 not ok" in result.text
