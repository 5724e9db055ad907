"""Damage stored lines at random and read them: each is read, or refused with a StoreError, and nothing else.

    .venv/bin/python benchmarks/mutated_lines.py [--lines 1000000] [--seed N] [--show 10]

Lines of every schema that hmexp reads are taken from the fixtures of the store's tests and changed: bytes,
numbers, types, names and nesting. Unchanged lines must be read. Exit status: 0 if so, 1 if a line
raised anything else.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hmexp.errors import StoreError
from hmexp.store.reader import POINTS, RUN, each_record, read_points, read_run, read_statuses
from hmexp.store.records import LaunchRecord, PointRecord
from hmexp.store.writer import encode, encode_run

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "tests" / "store" / "fixtures"
RUNS = (FIXTURES / "schema-1", FIXTURES / "schema-2", FIXTURES / "study-1")
#: What stands where something else should: most types, the ends of ranges, and what only Python calls JSON.
ODD = (
    b"null", b"true", b"-1", b"0", b"1e999", b"-0.0", b"99999999999999999999", b"1.5", b"NaN", b"-Infinity",
    b'""', b'"\\ud800"', b'"x"', b"[]", b"{}", b"[[]]", b'{"kind":"loop"}', b'{"kind":7}', b'"loop"',
    b"[" * 2000, b'{"a":' * 2000, b"\xff", b"\x00", b'{"1":1}', b"[null]", b"1" * 5000,
)  # fmt: skip


def originals() -> list[bytes]:
    """Lines of schemas 1 and 2 and of a study, the same in today's schema, and the descriptions of runs."""
    lines = []
    for run in RUNS:
        lines += (run / POINTS).read_bytes().splitlines()
        lines += [encode(record) for record in read_points(run / POINTS).values()]
        lines.append(json.dumps(json.loads((run / RUN).read_bytes()), separators=(",", ":")).encode())
        lines.append(json.dumps(json.loads(encode_run(read_run(run)))).encode())
    return lines


def change_bytes(line: bytes, chance: random.Random) -> bytes:
    """Replace, remove or add bytes anywhere."""
    at = chance.randrange(len(line))
    return line[:at] + chance.randbytes(chance.randrange(3)) + line[at + chance.randrange(4) :]


def cut(line: bytes, chance: random.Random) -> bytes:
    """Leave out what is behind a place, or between two."""
    start, end = sorted(chance.randrange(len(line)) for _ in range(2))
    return line[:start] if chance.random() < 0.5 else line[:start] + line[end:]


def replace_value(line: bytes, chance: random.Random) -> bytes:
    """Put something odd in the place of one value."""
    ends = [at for at, byte in enumerate(line) if byte in b",}]"] or [len(line)]
    end = chance.choice(ends)
    start = max(line.rfind(mark, 0, end) for mark in (b":", b",", b"[", b"{")) + 1
    return line[:start] + chance.choice(ODD) + line[end:]


def swap_names(line: bytes, chance: random.Random) -> bytes:
    """Give a field the name of another, or one that nobody knows."""
    parts = line.split(b'"')
    if len(parts) < 5:
        return line
    one, other = (chance.randrange(1, len(parts), 2) for _ in range(2))
    parts[one] = chance.choice([parts[other], b"unknown", b"kind", b"schema", b"2"])
    return b'"'.join(parts)


def replace_branch(line: bytes, chance: random.Random) -> bytes:
    """Change the type of a branch anywhere in the tree, or drop it, and write the tree again."""
    tree: object = json.loads(line)
    holder = tree
    while isinstance(holder, dict | list) and holder:
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.3:
            if isinstance(holder, dict) and chance.random() < 0.3:
                del holder[key]
            else:
                holder[key] = chance.choice(
                    [None, [], {}, "x", -1, 2**70, 1e300, float("nan"), True, [inner], {"kind": inner}]
                )
            break
        holder = inner
    return json.dumps(tree, separators=(",", ":")).encode()


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    change_bytes, cut, replace_value, swap_names, replace_branch,
)  # fmt: skip


def mutations(lines: list[bytes], count: int, chance: random.Random) -> Iterator[bytes]:
    """Changed lines: one change in most, up to three in some."""
    for _ in range(count):
        line = chance.choice(lines)
        changes = chance.choice((1, 1, 1, 2, 3))
        for change in chance.sample(CHANGES, changes):
            try:
                line = change(line, chance) or b"{"
            except (ValueError, RecursionError):
                break  # an earlier change left no JSON, or too much of it
            if len(line) > 100_000:
                break
        yield line.replace(b"\n", b" ")


def read_every_way(folder: Path, line: bytes) -> str:
    """Read a line as a point, a launch, a status and a run; `read`, `refused` or what else happened."""
    points, run = folder / POINTS, folder / RUN
    points.write_bytes(line + b"\n")
    run.write_bytes(line)
    outcome = "refused"
    for read in (
        lambda: list(each_record(points, PointRecord)),
        lambda: list(each_record(points, LaunchRecord)),
        lambda: read_statuses(points),
        lambda: read_run(folder),
    ):
        try:
            read()
            outcome = "read"
        except StoreError:
            pass
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            return f"{type(error).__name__}: {str(error)[:100]}"
    return outcome


def main(arguments: list[str]) -> int:
    """Count what became of every line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000, help="how many lines (default: 1000000)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="of the changes")
    parser.add_argument("--show", type=int, default=10, help="how many of the wrong ones to print")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    lines, found, shown = originals(), Counter[str](), 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        unread = [line for line in lines if read_every_way(folder, line) != "read"]
        for line in unread:
            print(f"an unchanged line is not read: {line[:200]!r}")
        for line in mutations(lines, options.lines, random.Random(options.seed)):
            outcome = read_every_way(folder, line)
            found[outcome] += 1
            if outcome not in ("read", "refused") and shown < options.show:
                shown += 1
                print(f"{outcome}: {line[:2000]!r}", flush=True)
    for outcome, count in found.most_common():
        print(f"{count:9} {outcome}")
    return 1 if unread or set(found) - {"read", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
