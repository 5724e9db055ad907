"""Programs under the preload library on real nodes; run inside the lab by test_preload.py.

Arguments: the built module, a folder with the programs that the host has compiled, and names of parts to run
(all of them by default). One line is printed for each thing that was seen, `ok` or `NOT OK`; the exit status
says whether all were ok.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from hmexp.errors import ProgramError
from hmexp.pattern import Pattern
from hmexp.program.launch.preload import Preload, find_jemalloc, prepare
from hmexp.program.launch.preload_counters import PreloadCounters
from hmexp.program.look.mappings import read_mappings
from hmexp.program.look.scan import open_sight
from hmexp.program.placement import read_placement

MODULE, BUILT = Path(sys.argv[1]), Path(sys.argv[2])
CHOSEN = sys.argv[3:]
PAGE, KIB, MIB = 4096, 1 << 10, 1 << 20
PATTERN = Pattern.parse("0,2,2")
SUBJECT = str(BUILT / "subject")
WORK = Path("/tmp/preload-work")
_failed: list[str] = []
_STARTED = time.monotonic()


def say(ok: object, text: str) -> None:
    print(f"{'ok' if ok else 'NOT OK'} {text} [{time.monotonic() - _STARTED:.0f} s]", flush=True)
    if not ok:
        _failed.append(text)


@contextlib.contextmanager
def way(*command: str, pattern: Pattern = PATTERN, threshold: int = 128 * KIB) -> Iterator[Preload]:
    with prepare(pattern, pattern.granule_bytes, threshold, command) as prepared:
        yield prepared


def run(
    *command: str, pattern: Pattern = PATTERN, timeout: float = 360, **options: object
) -> tuple[subprocess.CompletedProcess[str], PreloadCounters]:
    """Run a command under the library to its end."""
    with prepare(pattern, pattern.granule_bytes, 128 * KIB, command) as prepared:
        environment = os.environ | prepared.environment | {"HMEXP_SUBJECT_PROVES": "1"}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=timeout, **options
            )  # type: ignore[call-overload]
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, -1, "", "timed out")
        counters = prepared.read_counters()
        notes = prepared.notes()
    print(f"  {' '.join(command)[:100]}: {counters.mappings} mappings, {counters.bytes >> 20} MiB; {notes}")
    if done.returncode:
        print(f"  status {done.returncode}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    return done, counters


def find_places(pid: int, pattern: Pattern = PATTERN) -> dict[str, int]:
    """Each private page of a process: on the device and in its place or not, or outside of it."""
    found = {"in place": 0, "misplaced": 0, "outside": 0, "device": 0}
    nodes = np.asarray(pattern.nodes)
    sight = open_sight(pid)
    for mapping in read_mappings(pid, numa=False):
        on_device = mapping.path == "/dev/hybridmem"
        anonymous = not mapping.path or mapping.path == "[heap]"
        if not on_device and not (anonymous and "p" in mapping.permissions):
            continue
        scan = sight.scan(mapping.start, mapping.stop)
        own = (scan.node >= 0) & ((scan.flags & 4) == 0)
        addresses = np.arange(mapping.start, mapping.stop, PAGE)
        if not on_device:
            found["outside"] += int(np.count_nonzero(own))
            continue
        expected = nodes[addresses // pattern.granule_bytes % len(nodes)]
        found["device"] += int(np.count_nonzero(own))
        found["in place"] += int(np.count_nonzero(own & (scan.node == expected)))
        found["misplaced"] += int(np.count_nonzero(own & (scan.node != expected)))
        for node in set(pattern.nodes):
            key = f"N{node}"
            found[key] = found.get(key, 0) + int(np.count_nonzero(own & (scan.node == node)))
    return found


# ------------------------------------------------------------------------- parts


def refusals() -> None:
    """What is refused before the module is there, without permission, and by rights."""
    try:
        prepare(PATTERN, PAGE, 128 * KIB, [SUBJECT])
        say(False, "refused without the module")
    except ProgramError as error:
        say("not loaded" in error.message and "--via" in (error.remedy or ""), f"refused: {error.message}")


def load() -> None:
    subprocess.run(["insmod", MODULE / "hybridmem.ko"], check=True)
    # For a user that is nobody; what is changed here is the guest's alone.
    needed = (Path(sys.executable), Path(SUBJECT), Path(__file__).parents[1], find_jemalloc())
    for path in needed:
        for folder in path.resolve().parents:
            folder.chmod(folder.stat().st_mode | 0o755)
    capable = WORK / "capable"
    shutil.copy(SUBJECT, capable)
    subprocess.run(["setcap", "cap_net_raw+ep", capable], check=False)
    code = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from hmexp.pattern import Pattern; from hmexp.program.launch.preload import prepare\n"
        "for command in sys.argv[1:]:\n"
        "    try:\n        prepare(Pattern.parse('0,2,2'), 4096, 131072, [command]); print('started')\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    for mode, expected in ((0o600, "Permission denied"), (0o666, "started")):
        Path("/dev/hybridmem").chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", code, SUBJECT, str(capable), "/usr/bin/su"], capture_output=True, text=True
        )
        print(done.stdout, done.stderr[-500:])
        lines = [line for line in done.stdout.split("\n") if line and "->" not in line]
        say(expected in lines[0], f"not root, device {mode:o}: {expected}")
        say("setcap" in lines[1], "a program with capabilities is refused")
        say("set-user-ID" in lines[2], "a set-user-ID program is refused")
    with way(SUBJECT) as prepared:
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", SUBJECT, "exec", str(capable), "execv"],
            env=os.environ | prepared.environment, capture_output=True, text=True,
        )  # fmt: skip
        say(done.stdout == "ordinary\n", "a privileged child starts without")
    try:
        prepare(Pattern.parse("0,9"), PAGE, 128 * KIB, [SUBJECT])
        say(False, "a node that is not there is refused")
    except ProgramError as error:
        say("0,9" in error.message, f"refused: {error.message}")


def module() -> None:
    for name in ("abi", "sharing"):
        done = subprocess.run([MODULE / "tests" / name], capture_output=True, text=True)
        bad = [line for line in done.stdout.split("\n") if line.startswith("not ok")]
        sparse = [line for line in done.stdout.split("\n") if "sparse" in line]
        say(done.returncode == 0 and not bad, f"the module's {name}: {bad} {sparse}")


def meaning() -> None:
    """Every call keeps its meaning, page by page in its place."""
    cases = [
        "fork", "dontneed", "purge", "mremap", "reserve", "others", "locks", "seccomp", "malloc", "uring",
        "exhausted", "closed range", "closed from", "closed loop", "closed raw", "forks 64 100",
    ]  # fmt: skip
    for case in cases:
        done, counters = run(SUBJECT, *case.split())
        say(done.returncode == 0, f"{case}: {done.stdout.strip()}")
        if case != "exhausted":
            say(not counters.ordinary and not counters.without_device, f"{case}: all given to the device")
    for granule in (64 * KIB, 2 * MIB):
        pattern = Pattern((0, 2, 2, 1), granule)
        for case in ("mremap", "dontneed"):
            done, _ = run(SUBJECT, case, pattern=pattern)
            say(done.returncode == 0, f"{case} with granules of {granule >> 10} KiB")
    for how in ("deep", "plain"):
        done, counters = run(SUBJECT, "dlopen", str(BUILT / "libgives.so"), how)
        say(done.returncode == 0 and counters.deepbind == (how == "deep"), f"dlopen {how}")
    done, _ = run(SUBJECT, "dlopen", str(BUILT / "libtls.so"), "plain")
    say(done.returncode == 0, "a library with static TLS")
    os.environ["LD_AUDIT"] = str(BUILT / "libaudit.so")
    done, _ = run(SUBJECT, "malloc")
    say(done.returncode == 0, "under LD_AUDIT")
    del os.environ["LD_AUDIT"]
    if subprocess.run(["modprobe", "-q", "brd", "rd_nr=1", "rd_size=16384"]).returncode == 0:
        done, _ = run(SUBJECT, "direct", "/dev/ram0")
        say(done.returncode == 0, "direct I/O to and from it")
    else:
        print("  no brd: no direct I/O")


@contextlib.contextmanager
def held(*command: str) -> Iterator[tuple[subprocess.Popen[str], str, Preload]]:
    """Run a command under the library up to its first line, after which it waits for one."""
    with way(*command) as prepared:
        environment = os.environ | prepared.environment
        environment |= {"HMEXP_SUBJECT_PROVES": "1", "HMEXP_SUBJECT_WAITS": "1"}
        with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
            assert process.stdout is not None
            yield process, process.stdout.readline(), prepared
            process.kill()  # if it still waits


def heap() -> None:
    """A heap of 220 MiB, proven page by page by its owner and from outside."""
    with held(SUBJECT, "heap", "220") as (process, line, prepared):
        prepared.verify(process.pid)
        found = find_places(process.pid)
        say(re.fullmatch(r"\d+ pages, 0 wrong\n", line), f"a heap, by its owner: {line.strip()}")
        say(
            found["in place"] >= 220 * 256 and not found["misplaced"] and found["outside"] < 600,
            f"a heap, from outside: {found}",
        )
        judged = read_placement(process.pid, against=PATTERN)
        device = [mapping for mapping in judged.mappings if mapping.path == "/dev/hybridmem"]
        verdicts = [mapping.verdict for mapping in device if mapping.verdict]
        agreed = (sum(v.in_place for v in verdicts), sum(v.misplaced for v in verdicts))
        say(agreed == (found["in place"], 0), f"hmexp placement agrees: {agreed}")
        share = found["N0"] / found["device"]
        say(abs(share - 1 / 3) < 0.005 / 3, f"a third of it is on node 0: {share:.5f}")
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        print(f"  {maps.count('/dev/hybridmem')} mappings of the device")
        process.communicate("\n")
        say(process.returncode == 0, "the heap's owner ends well")


def allocators() -> None:
    for name in ("tcmalloc", "mimalloc", "jemalloc"):
        program = BUILT / f"subject-{name}"
        if not program.exists():
            print(f"  no {name}")
            continue
        with way(str(program)) as prepared:
            say(prepared.allocator is None, f"{name}: it keeps its own allocator")
        for case in ("malloc", "purge", "forks 8 20", "fork"):
            done, counters = run(str(program), *case.split())
            say(done.returncode == 0 and counters.bytes > 16 * MIB, f"{name}: {case}")
        done, counters = run(str(program), "heap", "64")
        pages, wrong = (int(word) for word in re.findall(r"\d+", done.stdout))
        # gperftools takes its first 5 MiB by brk, before it reads that it shall not.
        say(wrong <= (pages // 100 if name == "tcmalloc" else 0), f"{name}: a heap: {done.stdout.strip()}")
        with held(str(program), "heap", "64") as (process, _line, prepared):
            prepared.verify(process.pid)
            found = find_places(process.pid)
            say(
                found["in place"] >= pages - wrong and not found["misplaced"] and found["outside"] >= wrong,
                f"{name}: what is elsewhere is not of the device: {found}",
            )


class Redis:
    """A server on a socket of its own, spoken to by redis-cli."""

    def __init__(self, name: str, *options: str, prepared: Preload | None = None) -> None:
        self.folder = WORK / name
        self.folder.mkdir()
        self.socket = self.folder / "socket"
        environment = os.environ | (dict(prepared.environment) if prepared else {})
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder),
                   "--save", "", "--enable-debug-command", "yes", "--daemonize", "no", *options]  # fmt: skip
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 120
        while self.call("PING") != "PONG" and time.monotonic() < end and self.process.poll() is None:
            time.sleep(0.1)

    def call(self, *words: str) -> str:
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True, text=True)
        return done.stdout.strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


def redis() -> None:
    """At least 200 MiB, 1:2 within 0.5 %, every key right, a snapshot under writes."""
    keys, size = 190_000, 1024
    plain = Redis("plain")
    plain.call("DEBUG", "POPULATE", str(keys), "key", str(size))
    expected = plain.call("DEBUG", "DIGEST")
    plain.end()
    with way("redis-server") as prepared:
        server = Redis("placed", "--rdb-key-save-delay", "-3", prepared=prepared)
        prepared.verify(server.process.pid)
        server.call("DEBUG", "POPULATE", str(keys), "key", str(size))
        found = find_places(server.process.pid)
        say(found["device"] >= 200 * 256 and not found["misplaced"], f"redis, page by page: {found}")
        say(abs(found["N0"] / found["device"] - 1 / 3) < 0.005 / 3, "redis, 1:2 within 0.5 %")
        say(found["outside"] < 0.02 * found["device"], f"redis, outside: {found['outside']} pages")
        digest = server.call("DEBUG", "DIGEST")
        say(len(digest) == 40 and digest == expected, "redis, every key is right")
        say("started" in server.call("BGSAVE"), "redis, BGSAVE")
        child = _child(server)
        # Other values while the child, which waits after every third key or so, saves: pages are copied.
        script = "for i = 0, 189999, 4 do redis.call('SETRANGE', 'key:' .. i, 100, ARGV[1]) end"
        server.call("EVAL", script, "0", "written while the child saves")
        busy = server.call("INFO", "persistence")
        say("rdb_bgsave_in_progress:1" in busy, "redis, the child still saves after the writes")
        places = find_places(child)
        say(not places["misplaced"] and places["device"] > 100 * 256, f"redis, the child: {places}")
        places = find_places(server.process.pid)
        say(not places["misplaced"], f"redis, the parent after its copies: {places}")
        while "rdb_bgsave_in_progress:1" in server.call("INFO", "persistence"):
            time.sleep(0.5)
        say("rdb_last_bgsave_status:ok" in server.call("INFO", "persistence"), "redis, the dump is written")
        dump = server.folder / "dump.rdb"
        print("  notes:", prepared.notes(), prepared.read_counters())
        server.end()
    copy = WORK / "copy"
    copy.mkdir()
    shutil.move(dump, copy / "dump.rdb")
    copy.rename(WORK / "reader.d")
    reader = Redis("reader", "--dir", str(WORK / "reader.d"))
    while "loading:1" in reader.call("INFO", "persistence"):
        time.sleep(0.5)
    say(reader.call("DEBUG", "DIGEST") == expected, "redis, the dump is the data of the moment of the fork")
    reader.end()


def rewrite() -> None:
    """The log of writes is rewritten by a child while there are more: both together are the data."""
    with way("redis-server") as prepared:
        server = Redis("logged", "--appendonly", "yes", "--rdb-key-save-delay", "-3", prepared=prepared)
        server.call("DEBUG", "POPULATE", "60000", "key", "1024")
        say("started" in server.call("BGREWRITEAOF"), "redis, BGREWRITEAOF")
        child = _child(server)
        script = "for i = 0, 59999, 2 do redis.call('SETRANGE', 'key:' .. i, 100, ARGV[1]) end"
        server.call("EVAL", script, "0", "written while the child rewrites")
        busy = server.call("INFO", "persistence")
        say("aof_rewrite_in_progress:1" in busy, "redis, the child still rewrites after the writes")
        for who, pid in (("child", child), ("parent", server.process.pid)):
            places = find_places(pid)
            say(
                places["device"] > 40 * 256 and not places["misplaced"],
                f"redis, the rewriting {who}: {places}",
            )
        while "aof_rewrite_in_progress:1" in server.call("INFO", "persistence"):
            time.sleep(0.5)
        say(
            "aof_last_bgrewrite_status:ok" in server.call("INFO", "persistence"),
            "redis, the log is rewritten",
        )
        server.call("SET", "after", "the rewrite")
        expected = server.call("DEBUG", "DIGEST")
        server.end()
    log = WORK / "log.d"
    log.mkdir()
    shutil.move(server.folder / "appendonlydir", log)
    reader = Redis("reader of the log", "--dir", str(log), "--appendonly", "yes")
    while "loading:1" in reader.call("INFO", "persistence"):
        time.sleep(0.5)
    say(reader.call("GET", "after") == "the rewrite", "redis, the log has what came after the rewrite")
    found = reader.call("GETRANGE", "key:2", "100", "131")
    say(found == "written while the child rewrites", f"redis, the log has what came meanwhile: {found}")
    say(reader.call("DEBUG", "DIGEST") == expected, "redis, rewritten log and later writes are the data")
    reader.end()


def _child(server: Redis) -> int:
    found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return int(found[0]) if found else 0


def full() -> None:
    """A slow node that is full: the program goes on, and it is said."""
    pattern = Pattern.parse("0,1,1")
    with way("redis-server", pattern=pattern) as prepared:
        server = Redis("full", prepared=prepared)
        server.call("DEBUG", "POPULATE", "450000", "key", "1024")
        found = find_places(server.process.pid, pattern)
        say(found["misplaced"] > 1000, f"full: pages went elsewhere: {found}")
        say(server.call("GET", "key:449999").startswith("value:449999"), "full: the server answers")
        notes = prepared.notes()
        say(any("which was full" in note for note in notes), f"full: {notes}")
        server.end()
    killed = subprocess.run(["dmesg"], capture_output=True, text=True).stdout.count("Out of memory")
    say(not killed, "full: nobody was killed")


def unharmed() -> None:
    """Programs give what they give without the library."""
    big = WORK / "big"
    with big.open("wb") as file:
        for n in range(60):
            block = hashlib.shake_256(str(n).encode()).hexdigest(100_000).encode()
            file.write(b"\n".join(block[at : at + 63] for at in range(0, len(block), 63)) + b"\n")
    pairs: list[tuple[str, ...]] = [
        ("sort", "-S", "64M", "--parallel=2", str(big)),
        ("grep", "-c", "-E", "(ab|cd)+e.*f", str(big)),
        ("sh", "-c", f"tar cf - {big} | sha256sum"),
    ]
    for command in pairs:
        plain = subprocess.run(command, capture_output=True, text=True)
        done, _ = run(*command)
        say((done.returncode, done.stdout) == (plain.returncode, plain.stdout), f"{command[0]}: the same")
    git = WORK / "git"
    for step in (["git", "init", "-q", str(git)],):
        subprocess.run(step, check=True)
    for n in range(40):
        (git / f"f{n}").write_bytes(hashlib.shake_256(str(n % 7).encode()).digest(60_000 + n))
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(git), "add", "."], check=True)
    subprocess.run(["git", "-C", str(git), *identity, "commit", "-qm", "x"], check=True)
    done, _ = run("git", "-C", str(git), "gc", "--aggressive", "-q")
    checked = subprocess.run(["git", "-C", str(git), "fsck", "--full", "--strict"], capture_output=True)
    say(done.returncode == 0 and checked.returncode == 0, "git gc: the repository is sound")
    for stressor in (
        ("--vm", "2", "--vm-bytes", "48M"),
        ("--mmap", "2", "--mmap-bytes", "32M"),
        ("--fork", "2"),
        ("--malloc", "2", "--malloc-bytes", "64M"),
        ("--mremap", "1", "--mremap-bytes", "16M"),
    ):
        done, _ = run("stress-ng", *stressor, "--verify", "-t", "6", "--oomable")
        say(done.returncode == 0 and "fail" not in done.stderr, f"stress-ng {stressor[0]}")
    done, _ = run(sys.executable, "-m", "test", "-q", "test_mmap", "test_memoryview", "test_array",
                  "test_fork1", timeout=600)  # fmt: skip
    say(done.returncode == 0, "python3: test_mmap, test_memoryview, test_array, test_fork1")


def java() -> None:
    if shutil.which("java") is None or not (BUILT / "Hold.class").exists():
        print("  no java")
        return
    command = ("java", "-XX:+AlwaysPreTouch", "-Xms200m", "-Xmx200m", "-XX:+UseSerialGC", "-cp", str(BUILT),
               "Hold")  # fmt: skip
    with way(*command) as prepared:
        environment = os.environ | prepared.environment
        with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
            assert process.stdout is not None
            say(process.stdout.readline() == "ready\n", "java: it runs")
            found = find_places(process.pid)
            say(found["device"] >= 190 * 256 and not found["misplaced"], f"java: {found}")
            code = [m for m in read_mappings(process.pid, numa=False) if "x" in m.permissions]
            say(all(m.path != "/dev/hybridmem" for m in code), "java: no code is on the device")
            process.communicate("\n")
            say(process.returncode == 0, "java: it ends well")
        print("  notes:", prepared.notes())


PARTS: dict[str, Callable[[], None]] = {
    part.__name__: part
    for part in (refusals, load, module, meaning, heap, allocators, redis, rewrite, full, unharmed, java)
}


def main() -> int:
    WORK.mkdir(exist_ok=True)
    for name, part in PARTS.items():
        if CHOSEN and name not in (*CHOSEN, "load"):
            continue
        print(f"-- {name}", flush=True)
        try:
            part()
        except Exception:  # noqa: BLE001 - the other parts are to be seen, too
            traceback.print_exc()
            say(False, f"{name} was broken off")
    print(f"{len(_failed)} not ok: {_failed}")
    return 1 if _failed else 0


if __name__ == "__main__":
    sys.exit(main())
