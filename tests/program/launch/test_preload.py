"""The preload library: memory keeps its meaning for a program. The device is a stand-in; see tests/lab."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.errors import ProgramError
from hmexp.lab.errors import LabNeedError
from hmexp.lab.tools import fetch_unpacked
from hmexp.pattern import Pattern
from hmexp.program.launch import preload
from hmexp.program.launch.linkage import find_obstacle, find_program, read_linkage
from hmexp.program.launch.preload_counters import PreloadCounters, create_counters, read_counters

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "hmexp" / "native" / "preload"
BUILD = runpy.run_path(str(FOLDER / "build.py"))
Run = Callable[..., tuple[str, PreloadCounters]]
SUBJECT = Path(__file__).parent / "preload" / "subject.c"


def compile_c(to: Path, *arguments: object) -> Path:
    done = subprocess.run(["gcc", "-o", to, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return to


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library for the stand-in, and the program that it is tried on."""
    folder = tmp_path_factory.mktemp("preload")
    sources = [FOLDER / name for name in (*BUILD["SOURCES"], "standin.c")]
    compile_c(folder / "library.so", *BUILD["FLAGS"], "-shared", *sources, "-ldl")
    # The compiler may not know what malloc gives: what the program says of it is asked.
    compile_c(
        folder / "subject", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-builtin", SUBJECT,
        "-ldl", "-pthread",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def jemalloc() -> Path:
    """The distribution's allocator, installed or unpacked beside the system."""
    try:
        return preload.find_jemalloc()
    except ProgramError:
        try:
            tree = fetch_unpacked(["libjemalloc2"])
        except LabNeedError as error:
            if os.environ.get("HMEXP_LAB_REQUIRED"):
                raise
            # A developer without a network; CI sets HMEXP_LAB_REQUIRED, which makes this a failure.
            pytest.skip(f"no jemalloc here: {error.message}")
        return next(tree.glob("usr/lib/*/libjemalloc.so.2"))


@pytest.fixture
def run(built: Path, jemalloc: Path, tmp_path: Path) -> Run:
    """Run the program under the library: its output, and what was counted."""
    create_counters(tmp_path / "counters")
    files = f"{built / 'library.so'}:{jemalloc}"
    environment = os.environ | {
        "LD_PRELOAD": files,
        "HMEXP_PRELOAD_FILES": files,
        "HMEXP_PRELOAD_PATTERN": "0,2,2",
        "HMEXP_PRELOAD_GRANULE_BYTES": "4096",
        "HMEXP_PRELOAD_THRESHOLD_BYTES": "131072",
        "HMEXP_PRELOAD_COUNTERS": str(tmp_path / "counters"),
    }

    def call(*arguments: str | Path, plain: bool = True, **more: str) -> tuple[str, PreloadCounters]:
        command = [str(built / "subject"), *map(str, arguments)]
        if plain:  # the program itself is right
            alone = subprocess.run(command, capture_output=True, text=True, timeout=120)
            assert alone.returncode == 0, alone.stderr
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout, read_counters(tmp_path / "counters")

    return call


@pytest.mark.parametrize("case", ["fork", "dontneed", "mremap", "others", "locks"])
def test_calls_keep_their_meaning(run: Run, case: str) -> None:
    _, counters = run(case)
    assert counters.mappings and counters.bytes >= 4 << 20
    # One that no address space holds fails with us as it does without.
    assert counters.ordinary == 0 and counters.without_device == 0


@pytest.mark.parametrize("case", ["purge", "malloc"])
def test_the_heap_is_made_of_such_mappings(run: Run, case: str) -> None:
    _, counters = run(case)
    assert counters.bytes >= 64 << 20


def test_reservations_are_no_memory_until_they_are_committed(run: Run) -> None:
    _, counters = run("reserve")
    assert counters.reservations >= 2 and counters.ordinary == 0


@pytest.mark.parametrize("how", ["range", "from", "loop", "raw"])
def test_a_closed_descriptor_is_kept_or_opened_again_and_never_confused(run: Run, how: str) -> None:
    _, counters = run("closed", how)
    # Once, after the kernel itself was asked to close all; the first time too if that was not by libc.
    assert counters.reopened == (2 if how == "raw" else 1)
    assert counters.ordinary == 0


def test_without_a_descriptor_memory_is_ordinary_and_counted(run: Run) -> None:
    _, counters = run("exhausted")
    assert (counters.ordinary, counters.ordinary_bytes) == (1, 4 << 20)
    assert "Too many open files" in counters.notes[0] and "EMFILE" in counters.notes[0]


def test_a_filter_that_allows_three_calls_is_lived_with(run: Run) -> None:
    _, counters = run("seccomp")
    assert counters.mappings >= 20


def test_no_child_hangs_that_is_forked_amid_allocating_threads(run: Run) -> None:
    run("forks", "64", "50", plain=False)


@pytest.fixture(scope="session")
def strangers(built: Path) -> dict[str, Path]:
    """Programs that the library cannot be in, by the reason."""
    loader = read_linkage(built / "subject").loader
    assert loader is not None
    (built / "ld-other.so").symlink_to(loader)
    compile_c(
        built / "other", "-std=gnu11", SUBJECT, f"-Wl,--dynamic-linker={built / 'ld-other.so'}",
        "-ldl", "-pthread",
    )  # fmt: skip
    (built / "shown.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        'int main(void) { const char *p = getenv("LD_PRELOAD"); return puts(p ? p : "nothing") < 0; }\n'
    )
    compile_c(built / "shown", built / "shown.c", f"-Wl,--dynamic-linker={built / 'ld-other.so'}")
    compile_c(built / "static", "-std=gnu11", "-w", "-static", SUBJECT, "-pthread")
    return {
        "of another C library": built / "other",
        "static": built / "static",
    }


@pytest.mark.parametrize("how", ["spawn", "spawnp", "vfork", "execv", "execvp", "execl", "execlp", "execle",
                                 "fexecve"])  # fmt: skip
def test_a_program_that_cannot_have_it_starts_without_and_is_noted(
    run: Run, built: Path, jemalloc: Path, strangers: dict[str, Path], how: str
) -> None:
    output, counters = run("exec", built / "subject", how, plain=False)
    assert output == "device\n" and counters.processes == 2 and not counters.names
    for count, (reason, path) in enumerate(strangers.items(), start=1):
        output, counters = run("exec", path, how, plain=False)
        assert output == "ordinary\n"
        assert counters.uncovered == count and counters.names[-1] == (reason, str(path))
    assert f"{strangers['static']} (static)" in counters.notes[-1]
    if how == "execv":  # what somebody else wants to be loaded stays
        shown = built / "shown"
        ours = os.pathsep.join((str(built / "library.so"), str(jemalloc)))
        libc = "libm.so.6"
        for given, left in (
            (f"{ours}:{libc}", libc), (f"{libc}:{ours}", libc), (f"{libc}:{ours} {libc}", f"{libc}:{libc}"),
        ):  # fmt: skip
            output, _ = run("exec", shown, how, plain=False, LD_PRELOAD=given)
            assert output == f"{left}\n"


def test_a_script_is_judged_by_its_interpreter_and_its_children_see_the_callers_preloads(
    run: Run, built: Path, strangers: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "script").write_text(f"#!{strangers['of another C library']}\n")
    (tmp_path / "script").chmod(0o755)
    (tmp_path / "noisy").write_text('#!/bin/sh\necho "$LD_PRELOAD"\n')
    (tmp_path / "noisy").chmod(0o755)
    # `script` is called as "INTERPRETER script hello": the program does not know that case, and says so by 2.
    with pytest.raises(AssertionError, match="child_status"):
        run("exec", tmp_path / "script", "execv", plain=False)
    counters = read_counters(tmp_path / "counters")
    assert counters.names == (("of another C library", str(tmp_path / "script")),)
    output, _ = run("exec", tmp_path / "noisy", "execv", plain=False)
    assert output.startswith(str(built / "library.so"))


@pytest.mark.parametrize("how", ["deep", "plain"])
def test_a_library_may_free_what_the_program_gave_it(run: Run, tmp_path: Path, how: str) -> None:
    source = tmp_path / "library.c"
    source.write_text(
        "#include <stdlib.h>\n#include <string.h>\n"
        'char *give(void) { return strdup("of the library"); }\nvoid take(char *s) { free(s); }\n'
    )
    library = compile_c(tmp_path / "library.so", "-shared", "-fPIC", source)
    _, counters = run("dlopen", library, how)
    assert counters.deepbind == (how == "deep")


def test_dlopen_looks_where_its_caller_would(run: Run, built: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "library.c").write_text("int found;\n")
    compile_c(tmp_path / "hidden" / "libhidden.so", "-shared", "-fPIC", tmp_path / "library.c")
    (tmp_path / "caller.c").write_text(
        '#include <dlfcn.h>\nint main(void) { return !dlopen("libhidden.so", RTLD_NOW); }\n'
    )
    caller = compile_c(
        tmp_path / "caller", tmp_path / "caller.c", f"-Wl,-rpath,{tmp_path / 'hidden'}",
        "-Wl,--enable-new-dtags", "-ldl",
    )  # fmt: skip
    environment = {"LD_PRELOAD": str(built / "library.so"), "HMEXP_PRELOAD_PATTERN": "0"}
    assert subprocess.run([caller], env=environment).returncode == 0


def test_a_library_that_is_not_set_up_does_nothing(built: Path) -> None:
    for environment in ({}, {"HMEXP_PRELOAD_PATTERN": "0,x", "HMEXP_PRELOAD_GRANULE_BYTES": "4096"}):
        done = subprocess.run(
            [built / "subject", "hello"],
            env=environment | {"LD_PRELOAD": str(built / "library.so")}, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "ordinary\n", "")


def test_the_library_is_looked_for_in_the_process(built: Path, tmp_path: Path) -> None:
    def started(library: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "60"], env=os.environ | {"LD_PRELOAD": library})

    way = preload.Preload({}, built / "library.so", None, tmp_path, ("sleep", "60"))
    for library, expected in ((str(built / "library.so"), None), ("", "has not loaded")):
        with started(library) as process:
            if expected is None:
                way.verify(process.pid)
            else:
                with pytest.raises(ProgramError, match=expected):
                    way.verify(process.pid, 0.3)
            process.kill()
    with pytest.raises(ProgramError, match="had ended"):
        way.verify(process.pid, 0.3)


def test_a_program_that_would_not_load_it_is_refused_before_it_starts(
    built: Path, strangers: dict[str, Path], tmp_path: Path
) -> None:
    def obstacle(path: Path) -> str | None:
        return find_obstacle(read_linkage(find_program([str(path)])))

    assert obstacle(built / "subject") is None
    assert "linked statically" in (obstacle(strangers["static"]) or "")
    musl = tmp_path / "musl"
    data = (built / "subject").read_bytes()
    loader = (read_linkage(built / "subject").loader or "").encode()
    musl.write_bytes(data.replace(loader, b"/lib/ld-musl.so.1".ljust(len(loader), b"\0")))
    musl.chmod(0o755)
    assert "another C library" in (obstacle(musl) or "")
    narrow = tmp_path / "narrow"
    narrow.write_bytes(data[:4] + b"\1" + data[5:])
    narrow.chmod(0o755)
    assert "32-bit" in (obstacle(narrow) or "")
    asan = tmp_path / "asan"
    libraries = read_linkage(built / "subject").libraries
    assert "libc.so.6" in libraries
    asan.write_bytes(data.replace(b"\0libc.so.6\0", b"\0libasan.8\0"))
    asan.chmod(0o755)
    assert "sanitizer" in (obstacle(asan) or "")
    (tmp_path / "script").write_text(f"#!/usr/bin/env {strangers['static']}\n")
    (tmp_path / "script").chmod(0o755)
    assert "linked statically" in (obstacle(tmp_path / "script") or "")
    with pytest.raises(ProgramError, match="not found"):
        find_program([str(tmp_path / "nothing")])


def test_prepare_refuses_with_another_way(built: Path, strangers: dict[str, Path]) -> None:
    pattern = Pattern.parse("0")
    for command, options, reason in (
        ([strangers["static"]], {}, "linked statically"),
        ([built / "subject"], {"library": built / "library.so"}, "stand-in"),
        ([built / "subject"], {"library": built / "nothing.so"}, "cannot be read"),
        ([built / "subject"], {"pattern": Pattern((0,) * 5000)}, "5000 entries"),
    ):
        chosen = options.pop("pattern", pattern)
        with pytest.raises(ProgramError, match=reason) as caught:
            preload.prepare(chosen, 4096, 131072, [str(word) for word in command], **options)
        assert "--via follow" in (caught.value.remedy or "")
    if not Path("/dev/hybridmem").exists():
        with pytest.raises(ProgramError, match="not loaded"):
            preload.prepare(pattern, 4096, 131072, [str(built / "subject")])


def test_the_interface_of_the_device_is_the_modules() -> None:
    assert (FOLDER / "hybridmem.h").read_bytes() == (ROOT / "kernel_module" / "hybridmem.h").read_bytes()
