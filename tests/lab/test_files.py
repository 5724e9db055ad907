"""Files that the lab makes: the cache, kernel images, archives, the guest's script, build directories."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hmexp.lab.boot import splats
from hmexp.lab.cache import built_once, cache_directory, run_directory
from hmexp.lab.errors import LabError, LabKernelError
from hmexp.lab.headers import wrap
from hmexp.lab.image import bootable, can_enter_directly, extract, release_of
from hmexp.lab.initramfs import cpio, module_files, regular
from hmexp.lab.job import guest_environment, job_files, job_script
from hmexp.lab.kernels import Kernel, find_kernel
from hmexp.lab.machine import Share
from hmexp.lab.tools import Tools, is_static
from hmexp.lab.topology import find_topology

KERNEL = Kernel("6.1.0-x", Path("/k/vmlinux"), None, "a test")


def elf(note: bytes = b"", kinds: tuple[int, ...] = ()) -> bytes:
    """Make the head of a 64-bit ELF file with a note, and other segments."""
    count = len(kinds) + 1
    header = b"\x7fELF\x02".ljust(32, b"\0") + struct.pack("<QQIHHHHHH", 64, 0, 0, 64, 56, count, 0, 0, 0)
    start = 64 + 56 * count
    segments = struct.pack("<IIQQQQQQ", 4, 0, start, 0, 0, len(note), 0, 0)
    segments += b"".join(struct.pack("<IIQQQQQQ", kind, 0, 0, 0, 0, 0, 0, 0) for kind in kinds)
    return header + segments + note


PVH = struct.pack("<III", 4, 4, 18) + b"Xen\0" + b"\0\0\0\1"


def bzimage(payload: bytes) -> bytes:
    """Make a boot image with one sector of setup, its version text, and a payload."""
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x1FE:0x200], head[0x202:0x206] = b"\x55\xaa", b"HdrS"
    head[0x20E:0x210] = struct.pack("<H", 0x300 - 0x200)
    head[0x300:0x320] = b"6.1.0-x (builder@nowhere) #1 SMP".ljust(32, b"\0")
    head[0x248:0x250] = struct.pack("<II", 16, len(payload))
    return bytes(head) + b"\0" * 16 + payload


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HMEXP_LAB_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_directory() == Path("/x/hmexp/lab")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == Path.home() / ".cache/hmexp/lab"
    monkeypatch.setenv("HMEXP_LAB_CACHE", "/elsewhere")
    assert cache_directory() == Path("/elsewhere")


def test_what_fails_half_way_leaves_nothing(cache: Path) -> None:
    target = cache / "things" / "one"

    def fails(work: Path) -> None:
        (work / "one").write_text("half")
        raise LabError("no")

    with pytest.raises(LabError):
        built_once(target, fails)
    assert not target.exists()
    built_once(target, lambda work: (work / "one").write_text("whole") and None)
    built_once(target, fails)  # it is there: nothing is made
    assert target.read_text() == "whole"
    assert sorted(path.name for path in target.parent.iterdir()) == ["one", "one.lock"]


def test_the_directory_of_a_killed_lab_is_removed_by_the_next(cache: Path) -> None:
    leftover = cache / "runs" / "run-dead"
    leftover.mkdir(parents=True)
    (leftover / "lock").touch()
    with run_directory() as first:
        with run_directory() as second:
            assert first.is_dir() and second.is_dir() and not leftover.exists()
        assert not second.exists()
    assert not first.exists()


@pytest.mark.parametrize(
    "packed",
    [
        lambda data: lzma.compress(data, check=lzma.CHECK_CRC32) + struct.pack("<I", len(data)),
        gzip.compress,
    ],
    ids=["xz", "gzip"],
)
def test_the_plain_kernel_is_taken_out_of_a_boot_image(
    tmp_path: Path, packed: Callable[[bytes], bytes]
) -> None:
    plain = elf(PVH)
    image = bzimage(packed(plain))
    path = tmp_path / "vmlinuz"
    path.write_bytes(image)
    assert release_of(path) == "6.1.0-x"
    assert extract(image) == plain
    assert extract(image[:-20]) is None
    assert bootable(path, tmp_path).read_bytes() == plain


def test_without_the_entry_for_pvh_the_boot_image_itself_is_started(tmp_path: Path) -> None:
    assert can_enter_directly(elf(PVH)) and not can_enter_directly(elf())
    assert not can_enter_directly(elf(PVH) + b"BUG: KASAN: %s in %pS")
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(lzma.compress(elf(), check=lzma.CHECK_CRC32)))
    assert bootable(path, tmp_path) == path
    path.write_bytes(elf())
    with pytest.raises(LabKernelError, match="without CONFIG_PVH or with KASAN"):
        bootable(path, tmp_path)


def test_a_static_program_is_told_from_others(tmp_path: Path) -> None:
    path = tmp_path / "program"
    for content, static in ((elf(), True), (elf(kinds=(3,)), False), (b"#!/bin/sh\n", False)):
        path.write_bytes(content)
        assert is_static(path) is static


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    tools = Tools({})
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    for request, complaint in (
        ("text", "not a kernel"),
        ("empty", "no kernel image"),
        ("gone", "cannot be read"),
    ):
        with pytest.raises(LabKernelError, match=complaint):
            find_kernel(str(tmp_path / request), tools)
    with pytest.raises(LabKernelError, match="applies only to a kernel that is given by path"):
        find_kernel("6.1", tools, modules=tmp_path)


def test_a_kernel_in_a_directory_is_found_with_its_modules(tmp_path: Path, cache: Path) -> None:
    plain = elf(PVH) + b"Linux version 6.1.0-mine (me) #1"
    modules = tmp_path / "lib/modules/6.1.0-mine"
    modules.mkdir(parents=True)
    (modules / "modules.dep").touch()
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinux-6.1.0-mine").write_bytes(plain)
    kernel = find_kernel(str(tmp_path), Tools({}))
    assert (kernel.release, kernel.modules) == ("6.1.0-mine", modules)
    assert kernel.image.read_bytes() == plain


def test_modules_are_loaded_after_those_they_need(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "k/9p.ko.xz: k/9pnet.ko.xz k/fscache.ko.xz k/netfs.ko.xz\n"
        "k/fscache.ko.xz: k/netfs.ko.xz\nk/netfs.ko.xz:\n"
        "k/9pnet.ko.xz:\nk/9pnet_virtio.ko.xz: k/9pnet.ko.xz\n"
    )
    names = [path.name for path in module_files(tmp_path, ("virtio_pci", "9pnet_virtio", "9p"))]
    assert names == ["9pnet.ko.xz", "9pnet_virtio.ko.xz", "netfs.ko.xz", "fscache.ko.xz", "9p.ko.xz"]


def test_the_archive_is_one_that_the_kernel_reads() -> None:
    archive = cpio({"a": regular(b"12345"), "dir/b": regular(b"", 0o755)})
    assert len(archive) % 4 == 0
    assert archive[:6] == b"070701" and archive[110:112] == b"a\0" and archive[112:117] == b"12345"
    second = archive[120:]
    assert second[:6] == b"070701" and int(second[14:22], 16) == 0o100755 and second[110:116] == b"dir/b\0"
    assert b"TRAILER!!!\0" in archive


@pytest.mark.parametrize(
    ("command", "status", "output"),
    [
        (["printf", "%s|", "a b", "$HOME", "'", "\\", "*"], 0, b"a b|$HOME|'|\\|*|"),
        (["sh", "-c", "exit 7"], 7, b""),
        (["sh", "-c", "kill -TERM $$"], -15, b""),
        (["printenv", "WORD"], 0, b"two words\n"),
        (["pwd"], 0, b"PWD\n"),
        (["nonsense-of-no-one"], 127, b""),
    ],
)
def test_the_script_becomes_the_command(
    tmp_path: Path, command: list[str], status: int, output: bytes
) -> None:
    place = tmp_path / "a 'strange' place"
    place.mkdir()
    script = job_script(command, place, {"WORD": "two words", "PATH": os.environ["PATH"]})
    (tmp_path / "job").write_bytes(script)
    done = subprocess.run(["sh", tmp_path / "job"], capture_output=True)
    assert (done.returncode, done.stdout) == (status, output.replace(b"PWD", str(place).encode()))


def test_the_environment_has_what_finds_programs_and_no_secret() -> None:
    host = {
        "PATH": "/venv/bin:/usr/bin",
        "VIRTUAL_ENV": "/venv",
        "TOKEN": "secret",
        "LC_ALL": "C",
        "MAKEFLAGS": "-j",
    }
    chosen = guest_environment(host, KERNEL, find_topology("sparse"), "tcg", {"MINE": "1"})
    assert chosen["PATH"].startswith("/venv/bin:/usr/bin:") and "/usr/sbin" in chosen["PATH"].split(":")
    assert (chosen["VIRTUAL_ENV"], chosen["LC_ALL"], chosen["MINE"]) == ("/venv", "C", "1")
    assert (chosen["HMEXP_LAB"], chosen["HMEXP_LAB_ACCELERATOR"], chosen["HMEXP_TIMING_VALID"]) == (
        "sparse",
        "tcg",
        "0",
    )
    assert not {"TOKEN", "MAKEFLAGS"} & set(chosen)
    assert guest_environment(host, KERNEL, find_topology("one"), "kvm", {})["HMEXP_TIMING_VALID"] == "1"


def test_the_settings_are_read_by_a_shell(tmp_path: Path) -> None:
    files = job_files(
        ["true"], kernel=KERNEL, topology=find_topology("dram-nvm"), accelerator="tcg",
        directory=tmp_path, shares=[Share("share0", Path("/a b/100%"), writable=True)],
    )  # fmt: skip
    (tmp_path / "settings").write_bytes(files["settings"])
    done = subprocess.run(
        ["sh", "-c", '. ./settings; echo "$ONLINE|$SHARES|$TOOLS"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1:movable 2:movable|share0:/a%20b/100%25|\n"


def test_a_directory_that_the_guest_cannot_see_is_refused() -> None:
    with pytest.raises(LabError, match="/proc/self is not visible in the guest"):
        job_files(
            ["true"],
            kernel=KERNEL,
            topology=find_topology("one"),
            accelerator="tcg",
            directory=Path("/proc/self"),
        )
    with pytest.raises(LabError, match="the command is empty"):
        job_files([], kernel=KERNEL, topology=find_topology("one"), accelerator="tcg", directory=Path("/"))


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox")
@pytest.mark.parametrize("name", ["init.sh", "nvdimm.sh"])
def test_the_guest_scripts_are_sound_to_the_shell_that_runs_them(name: str) -> None:
    script = Path(__file__).parents[2] / "hmexp/lab/guest" / name
    done = subprocess.run(["busybox", "sh", "-n", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_is_started_with_the_libraries_of_its_tree(tmp_path: Path) -> None:
    tree, libraries = tmp_path / "made", "usr/lib/x86_64-linux-gnu"
    (tree / libraries).mkdir(parents=True)
    (tree / "usr/bin").mkdir()
    # In the place of the loader: a program that says how it was called.
    loader = tree / libraries / "ld-linux-x86-64.so.2"
    loader.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    loader.chmod(0o755)
    (tree / "usr/bin/gcc-99").write_text("real")
    target = tmp_path / "final place"
    wrap([tree / "usr/bin/gcc-99"], tree, target)
    tree.rename(target)
    program = target / "usr/bin/gcc-99"
    said = subprocess.run([program, "a b"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [
        "--library-path", str(target / libraries), "--argv0", str(program), f"{program}.real", "a b",
    ]  # fmt: skip


def test_complaints_of_the_kernel_are_found() -> None:
    console = (
        "[1.0] all is well\n[2.0] WARNING: CPU: 0 PID: 1 at mm/x.c:1\n[3.0] BUG: KASAN: use-after-free\n"
    )
    assert len(splats(console)) == 2
    assert splats("HMEXP-LAB ready 2.3\n[0.1] DEBUGGING: fine") == ()
