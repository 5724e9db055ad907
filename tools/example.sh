#!/usr/bin/env bash
# Measure results/example again (`make example`): minutes, on a machine that is left alone. The old one stays unless
# everything went well, and what was written names no folder and no name of this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

most_bytes=1500000
example=results/example
old=$(mktemp -d results/.example.XXXXXX)
if [ -d "$example" ]; then mv -- "$example" "$old/example"; fi
# Until the end: whatever goes wrong, the committed example comes back. What was measured stays beside it.
rejected=results/example-rejected
restore() {
    rm -rf -- "$rejected"
    if [ -d "$example" ]; then mv -- "$example" "$rejected"; fi
    if [ -d "$old/example" ]; then mv -- "$old/example" "$example"; fi
    rmdir -- "$old"
}
trap restore EXIT

tools/sweep.sh -p run example -p size 128MiB -p launches 3 \
    -y '{operations: [read, write, "3:1", latency], threads: [1, 2]}'

# Of use while measuring only; and every figure is in the report.
rm -rf -- "$example/launches.jsonl" "$example/.lock" "$example/sweep.ipynb" "$example/figures"

# Places of this machine, and its name as a word: in no record, table, figure or report.
# The tops of the trees that this checkout, the user's files and temporary files are in.
temporary=$(dirname -- "$(mktemp -u)")
names=$(for place in "$PWD" "${HOME:?}" "$temporary"; do printf '/%s/\n' "$(cut -d/ -f2 <<<"$place")"; done | sort -u)
if grep -rnF -e "$names" "$example" || grep -rnwF -e "$(uname -n)" "$example"; then
    echo "The new example names something of this machine (above). The old one is kept; the new one is in $rejected." >&2
    exit 1
fi
bytes=$(du -sb -- "$example" | cut -f1)
if [ "$bytes" -gt "$most_bytes" ]; then
    echo "The new example has $bytes bytes, more than $most_bytes. The old one is kept; the new one is in $rejected." >&2
    exit 1
fi
trap - EXIT
rm -rf -- "$old"
echo "Written: $example, $bytes bytes. Look at $example/report.html before you commit it."
