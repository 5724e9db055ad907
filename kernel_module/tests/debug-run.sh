#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# debug-run.sh BUILD: all tests on the debug kernel that debug-kernel.sh has built
# in BUILD, in a virtual machine (hmexp lab); then once more with allocations
# failing.  An hour or more under software emulation, with
#
#   STRESS=180   seconds of each stress
#   TESTS=..., HM_SEED=...   as for run.sh
#   HMEXP=...    the program hmexp, if it is neither in .venv nor in PATH
#
# The TAP of each test stays in BUILD/out.
set -eu

[ $# -eq 1 ] || { sed -n '4,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
hmexp=${HMEXP:-$here/../../.venv/bin/hmexp}
[ -x "$hmexp" ] || hmexp=hmexp

# A copy, without what has been built in place, maybe for another kernel.
rm -rf "$build/hybridmem" "$build/out"
mkdir -p "$build/out" "$build/hybridmem/tests"
for f in "$here"/../*.[ch] "$here"/../*.sh "$here/../Kbuild" "$here/../Makefile"; do
	case $f in */probe.h | *.mod.c) ;; *) cp "$f" "$build/hybridmem" ;; esac
done
cp "$here"/*.[ch] "$here"/*.sh "$here/Makefile" "$build/hybridmem/tests"
make -s -C "$build/hybridmem" KDIR="$build" modules tests

exec "$hmexp" lab run --kernel "$build" --topology module-tests \
	--append "init_on_alloc=0 memhp_default_state=online_movable log_buf_len=4M" \
	--writable "$build/out" --timeout "$((7200 + 2 * ${STRESS:-180}))" -- sh -c "
		export STRESS='${STRESS:-180}' OUT='$build/out'
		${TESTS+export TESTS='$TESTS'} ${HM_SEED+export HM_SEED='$HM_SEED'}
		PATIENCE=1800 '$build/hybridmem/tests/run.sh'
		status=\$?
		echo '# with allocations failing'
		PATIENCE=600 '$build/hybridmem/tests/inject.sh' || status=1
		exit \$status"
