"""How many loads and stores each loop really makes, counted by callgrind, against what its table claims.

The loops are compiled alone, with the flags of the package. Valgrind knows no AVX-512: 64, 128 and 256 bits.
Every shape is counted: the plain loop, and those that tuning may choose in its place.
Of the chase it is one load a hop, and what else is executed per hop, which must be no more than hides behind
the load; the same of the chase that it is compared with (latency_peers.py).

    .venv/bin/python benchmarks/loop_counts.py [--shapes plain places4] [--operations read copy] [--bits 256]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

from hmexp.native import OPERATIONS, PLAIN, SHAPES, Operation, Shape, vector_bits

NATIVE = Path(__file__).resolve().parents[1] / "hmexp" / "native"
PEER = Path(__file__).parent / "peer" / "offset_chase.c"
FLAGS = ("-D_GNU_SOURCE", "-std=gnu11", "-O2", "-fno-tree-loop-distribute-patterns", "-fno-tree-vectorize")
BYTES = 1 << 20
#: Loads and stores outside the loop: saved registers, the sums.
AROUND = 200
#: Of places: no part of the bytes, so that blocks and what is left of the last are both walked.
DISTANCE = 34_048
HARNESS = f"""
#include <stdlib.h>
#include "operations.h"
#include "shapes.h"

/* So that a loop has one name for callgrind, whichever it is. */
__attribute__((noinline))
uint64_t counted(struct hm_loops *loops, hm_shaped shaped, char **streams, uint64_t bytes)
{{
	return shaped ? shaped(streams, bytes, 1, {DISTANCE}) : loops->run(streams, bytes, 1);
}}

int main(int argc, char **argv)
{{
	char *memory = aligned_alloc(4096, 4u * {BYTES});
	char *streams[4];
	struct hm_loops loops;
	hm_shaped shaped;
	uint64_t bytes = {BYTES}, block;
	int shape;

	if (argc < 4 || !memory || hm_choose_loops(&loops, atoi(argv[1]), atoi(argv[2])))
		return 1;
	shape = atoi(argv[3]);
	if (hm_choose_shape(&shaped, atoi(argv[1]), atoi(argv[2]), shape))
		return 1;
	block = (uint64_t)hm_shape(shape)->places * {DISTANCE};
	if (hm_shape(shape)->places > 1)
		bytes = bytes / block * block;
	for (int i = 0; i < 4; i++)
		streams[i] = memory + (size_t)i * {BYTES};
	return counted(&loops, shaped, streams, bytes) == 12345;
}}
"""

HOPS, RING_LINES = 100_000, 1024
#: Instructions of a hop: the load, the count, the branch, and one to spare.
HOP_INSTRUCTIONS = 4
CHASE = f"""
#include "chase.h"
int main(void)
{{
	static struct hm_line lines[{RING_LINES}];

	for (int i = 0; i < {RING_LINES}; i++)
		lines[i].next = &lines[(i + 7) % {RING_LINES}];
	return hm_plain_hops(lines, {HOPS}) == NULL;
}}
"""

#: The other chase over a mebibyte, compiled with its own source; how many hops is its argument.
PEER_CHASE = """
#include <stdint.h>
#include <stdlib.h>

int64_t chase_lay(char *memory, uint64_t at, uint64_t bytes, uint64_t spacing, uint64_t window,
		uint64_t random);
int64_t chase_follow(const char *memory, uint64_t at, uint64_t hops, uint64_t *where);

int main(int count, char **arguments)
{
	char *memory = aligned_alloc(4096, 1 << 20);
	uint64_t where = 0;

	if (!memory || chase_lay(memory, 8, 1 << 20, 64, 1 << 20, 1) < 0)
		return 1;
	return chase_follow(memory, 8, strtoull(arguments[count - 1], NULL, 10), &where) < 0;
}
"""


def count(program: Path, function: str, *arguments: str) -> dict[str, int]:
    """Events in a function of a program: ``Ir`` instructions, ``Dr`` loads, ``Dw`` stores."""
    out = program.parent / "callgrind.out"
    done = subprocess.run(
        [
            "valgrind", "--tool=callgrind", "--cache-sim=yes", f"--callgrind-out-file={out}",
            f"--toggle-collect={function}", program, *arguments,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"valgrind failed on {function}: {done.stderr[-500:]}")
    text = out.read_text(encoding="utf-8")
    events, totals = (
        re.search(rf"^{name}: (.*)$", text, re.MULTILINE) for name in ("events", "totals|summary")
    )
    if events is None or totals is None:
        raise SystemExit(f"callgrind counted nothing for {function}")
    return dict(zip(events[1].split(), map(int, totals[1].split()), strict=False))


def count_chases(folder: Path) -> int:
    """Print what a hop of each chase takes; return how many take something else than one load."""
    ours, theirs = folder / "chase", folder / "offset_chase"
    source = folder / "chase.c"
    source.write_text(CHASE, encoding="utf-8")
    parts = [NATIVE / f"{name}.c" for name in ("chase", "team", "noise", "clock", "model", "operations")]
    subprocess.run(["gcc", *FLAGS, "-pthread", f"-I{NATIVE}", source, *parts, "-o", ours, "-lm"], check=True)
    peer = folder / "peer_chase.c"
    peer.write_text(PEER_CHASE, encoding="utf-8")
    subprocess.run(["gcc", "-std=gnu11", "-O2", peer, PEER, "-o", theirs], check=True)
    wrong = 0
    for program, function in ((ours, "hm_plain_hops"), (theirs, "chase_follow")):
        counted = count(program, function, str(HOPS))
        if program == theirs:
            # It reads the clock itself, which is not a part of a hop.
            clock = count(program, function, "0")
            counted = {event: times - clock[event] for event, times in counted.items()}
        fits = (
            HOPS <= counted["Dr"] <= HOPS + AROUND
            and counted["Dw"] <= AROUND
            and counted["Ir"] <= HOP_INSTRUCTIONS * HOPS + AROUND
        )
        wrong += not fits
        print(
            f"{function:<14} per hop: {counted['Dr'] / HOPS:.3f} loads, {counted['Dw'] / HOPS:.3f} stores, "
            f"{counted['Ir'] / HOPS:.2f} instructions{'' if fits else '  <- not as claimed'}",
            flush=True,
        )
    return wrong


def count_loop(program: Path, operation: Operation, bits: int, shape: Shape) -> bool:
    """Print what a loop does; return whether it is what it claims."""
    counted = count(program, "counted", str(operation.number), str(bits), str(shape.number))
    loads, stores = counted["Dr"], counted["Dw"]
    block = shape.places * DISTANCE
    each = (BYTES if shape.places == 1 else BYTES // block * block) * 8 // bits
    # Callgrind counts a software prefetch as nothing.
    fits = (
        operation.loads * each <= loads <= operation.loads * each + AROUND
        and operation.stores * each <= stores <= operation.stores * each + AROUND
    )
    mark = "" if fits else "  <- not as claimed"
    print(
        f"{operation.name:<12}{shape.name:<11}{bits:>4} bits  "
        f"loads {loads:>8} of {operation.loads * each:<8} "
        f"stores {stores:>8} of {operation.stores * each:<8}{mark}",
        flush=True,
    )
    return fits


def main() -> None:
    """Count every loop, exit with 1 if one does something else than it claims."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--bits", nargs="+", type=int, choices=(64, 128, 256), default=[64, 128, 256])
    options = parser.parse_args()
    for command in ("valgrind", "gcc"):
        if not shutil.which(command):
            sys.exit(f"{command} is not installed: apt-get install {command}")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "loops"
        source = Path(folder) / "loops.c"
        source.write_text(HARNESS, encoding="utf-8")
        parts = [NATIVE / "operations.c", NATIVE / "shapes.c"]
        subprocess.run(["gcc", *FLAGS, f"-I{NATIVE}", source, *parts, "-o", program], check=True)
        for operation, bits, shape in product(options.operations, options.bits, options.shapes):
            if bits <= vector_bits() and SHAPES[shape].able(operation, bits):
                wrong += not count_loop(program, OPERATIONS[operation], bits, SHAPES[shape])
        if PLAIN in options.shapes:
            wrong += count_chases(Path(folder))
    print(f"{wrong} loops do something else than they claim")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
