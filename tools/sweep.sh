#!/usr/bin/env bash
# Run notebooks/sweep.ipynb by papermill, put the executed notebook into the run's own folder and say where the
# report is. Arguments go to papermill (-p name value, -y 'yaml'). The exit status is papermill's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The executed notebook stands outside of the run's folder until the end: which folder that is, the runner decides.
executed=results/sweep.ipynb
mkdir -p results
begun=$(mktemp)
# Time stamps of files are some milliseconds coarse: what is written at once would not be newer.
touch -d '1 second ago' -- "$begun"
trap 'rm -f -- "$begun"' EXIT

# Papermill shows how many cells are done, which is no help where one cell takes all the time. On a terminal the
# notebook shows its own progress instead, with the time left (hmexp/progress.py).
if [ -t 2 ] && HMEXP_TERMINAL=$(tty <&2); then
    export HMEXP_TERMINAL
    set -- --no-progress-bar "$@"
fi

status=0
.venv/bin/python -m papermill notebooks/sweep.ipynb "$executed" "$@" || status=$?

run=results/latest
# `latest` is this run only if something was written there since the start: the sweep may have failed at once, or
# written elsewhere.
if [ -d "$run" ] && [ -n "$(find "$run/" -maxdepth 1 -type f -newer "$begun" -print -quit)" ]; then
    run=results/$(basename "$(readlink -f "$run")")
    if [ -f "$executed" ]; then mv -f -- "$executed" "$run/sweep.ipynb"; fi
    for file in report.html sweep.ipynb; do
        if [ -f "$run/$file" ]; then printf 'Written: %s\n' "$run/$file"; fi
    done
    [ "$status" -eq 0 ] ||
        printf 'The sweep ended early. The same command again measures only what is missing in %s.\n' "$run" >&2
elif [ "$status" -ne 0 ]; then
    # Nothing was measured (a parameter was wrong, say): papermill's message is above, and no half result stays.
    rm -f -- "$executed"
    echo 'The sweep did not begin; nothing was written.' >&2
elif [ -f "$executed" ]; then
    # The parameters named another folder: SWEEP="-p results FOLDER".
    printf 'Written: %s\n' "$executed"
fi
exit "$status"
