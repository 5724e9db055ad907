"""How many loads and stores each loop really makes, counted by callgrind, against what its table claims.

The loops are compiled alone, with the flags of the package. Valgrind knows no AVX-512: 64, 128 and 256 bits.

    .venv/bin/python benchmarks/loop_counts.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hmexp.native import OPERATIONS, Operation, vector_bits

NATIVE = Path(__file__).resolve().parents[1] / "hmexp" / "native"
FLAGS = ("-D_GNU_SOURCE", "-std=gnu11", "-O2", "-fno-tree-loop-distribute-patterns", "-fno-tree-vectorize")
BYTES = 1 << 20
#: Loads and stores outside the loop: saved registers, the sums.
AROUND = 200
HARNESS = f"""
#include "operations.c"
#include <stdlib.h>
int main(int argc, char **argv)
{{
	char *memory = aligned_alloc(4096, 4u * {BYTES});
	char *streams[4];
	struct hm_loops loops;

	if (argc < 3 || !memory || hm_choose_loops(&loops, atoi(argv[1]), atoi(argv[2])))
		return 1;
	for (int i = 0; i < 4; i++)
		streams[i] = memory + (size_t)i * {BYTES};
	return loops.run(streams, {BYTES}, 1) == 12345;
}}
"""


def count(program: Path, operation: Operation, bits: int) -> tuple[int, int]:
    """Loads and stores that the loop made."""
    out = program.parent / "callgrind.out"
    done = subprocess.run(
        [
            "valgrind", "--tool=callgrind", "--cache-sim=yes", f"--callgrind-out-file={out}",
            f"--toggle-collect={operation.name}_run_{bits}", program, str(operation.number), str(bits),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"valgrind failed on {operation.name} at {bits} bits: {done.stderr[-500:]}")
    text = out.read_text(encoding="utf-8")
    events, totals = (
        re.search(rf"^{name}: (.*)$", text, re.MULTILINE) for name in ("events", "totals|summary")
    )
    if events is None or totals is None:
        raise SystemExit(f"callgrind counted nothing for {operation.name} at {bits} bits")
    counted = dict(zip(events[1].split(), map(int, totals[1].split()), strict=False))
    return counted["Dr"], counted["Dw"]


def main() -> None:
    """Count every loop, exit with 1 if one does something else than it claims."""
    for command in ("valgrind", "gcc"):
        if not shutil.which(command):
            sys.exit(f"{command} is not installed: apt-get install {command}")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "loops"
        source = Path(folder) / "loops.c"
        source.write_text(HARNESS, encoding="utf-8")
        subprocess.run(["gcc", *FLAGS, f"-I{NATIVE}", source, "-o", program], check=True)
        for operation in OPERATIONS.values():
            for bits in (64, 128, 256):
                if bits > vector_bits() or (bits == 64 and operation.nontemporal):
                    continue
                loads, stores = count(program, operation, bits)
                each = BYTES * 8 // bits
                # Callgrind counts a software prefetch as nothing.
                fits = (
                    operation.loads * each <= loads <= operation.loads * each + AROUND
                    and operation.stores * each <= stores <= operation.stores * each + AROUND
                )
                wrong += not fits
                mark = "" if fits else "  <- not as claimed"
                print(
                    f"{operation.name:<12}{bits:>4} bits  loads {loads:>8} of {operation.loads * each:<8} "
                    f"stores {stores:>8} of {operation.stores * each:<8}{mark}",
                    flush=True,
                )
    print(f"{wrong} loops do something else than they claim")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
