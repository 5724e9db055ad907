"""Threads that read a type for the first time, at once: without a lock, msgspec ends the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Each round has types that nobody has read yet. A mistake here ends the process: it is one of its own.
READ_AT_ONCE = """
import sys, threading, types
import msgspec
from hmexp.decoding import convert, decode

ways = {"convert": convert, "decode": lambda found, wanted: decode(msgspec.json.encode(found), wanted)}
chosen = [ways[name] for name in sys.argv[1:]]
DEPTH, THREADS, ROUNDS = 12, 6, 40
found = 1
for _ in range(DEPTH):
    found = {"first": 1, "inner": found, "last": "x"}
sys.setswitchinterval(1e-5)
right = []

def read(read_as, wanted, gate):
    gate.wait()
    value = read_as(found, wanted)
    while isinstance(value, msgspec.Struct):
        assert value.last == "x"
        value = value.inner
    right.append(value)

for _ in range(ROUNDS):
    module = sys.modules["of_this_round"] = types.ModuleType("of_this_round")
    module.__dict__.update(msgspec=msgspec, T0=int)
    for number in range(1, DEPTH + 1):
        exec(
            f"class T{number}(msgspec.Struct):\\n first: 'int'\\n inner: 'T{number - 1}'\\n last: 'str'",
            module.__dict__,
        )
    gate = threading.Barrier(THREADS)
    wanted = module.__dict__[f"T{DEPTH}"]
    threads = [
        threading.Thread(target=read, args=(chosen[number % len(chosen)], wanted, gate))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert right == [1] * (THREADS * ROUNDS), right
"""


@pytest.mark.parametrize("ways", [("convert",), ("decode",), ("convert", "decode")])
def test_threads_may_read_a_type_for_the_first_time_at_once(ways: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_AT_ONCE, *ways], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
