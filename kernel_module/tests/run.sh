#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# run.sh [MODULE.ko]: load the module, run every test, look for complaints in
# the kernel's log, unload it.  As root, on a machine (better: a virtual one)
# with nothing to lose: some tests fill a node or take memory offline.
#
#   TESTS="abi layout"   only these
#   STRESS=120           seconds of stress (20)
#   FUZZ=1000000         operations of the fuzzer, in all (10000)
#   FUZZ_SEED=1000       its first seed (1)
#   FUZZ_SECONDS=600     ends it after so long, whatever is done
#   FUZZ_PROCESSES=8     and its processes, with a seed each (4)
#   PATIENCE=1800        seconds for each test, beside stress and FUZZ (600)
#   HM_SEED=FILE         the description with the first module's test program
#   PARAMETERS="..."     for the module, such as ahead=0: every test is to hold without pages ahead, too
#   OUT=DIR              where to leave the TAP of each test
#
# Exits 0 if nothing failed.  What could not run is listed with its reason.
set -u

here=$(cd "$(dirname "$0")" && pwd)
ko=${1:-$here/../hybridmem.ko}
out=${OUT:-$(mktemp -d)}
tests=${TESTS:-"abi programs layout ahead sharing io huge limits quota movement defects seed.sh stress fuzz populate"}
splat='BUG:|WARNING:|Oops|KASAN:|general protection|INFO: lockdep|INFO: task|INFO: rcu|possible (recursive|circular|irq)|inconsistent lock state|held lock freed|still has locks held|suspicious RCU|Bad page|unreferenced object|stack guard|refcount_t'
failed=0

if [ ! -x "$here/abi" ]; then
	make -s -C "$here" || exit 1
fi
dmesg >"$out/before" 2>/dev/null
if ! grep -q '^hybridmem ' /proc/modules; then
	insmod "$ko" ${PARAMETERS-} || exit 1
fi
echo "# $(uname -r), $(cat /sys/module/hybridmem/srcversion 2>/dev/null || echo no srcversion)"
for t in $tests; do
	case $t in
	stress) set -- "${STRESS:-20}" ;;
	fuzz) set -- "${FUZZ:-10000}" "${FUZZ_SEED:-1}" "${FUZZ_PROCESSES:-4}" ;;
	*) set -- ;;
	esac
	began=$(date +%s)
	timeout "$((${PATIENCE:-600} + ${STRESS:-20} + ${FUZZ:-0} / 200))" "$here/$t" "$@" >"$out/$t.tap" 2>"$out/$t.err"
	status=$?
	good=$(grep -c '^ok' "$out/$t.tap")
	skips=$(grep -c '# SKIP' "$out/$t.tap")
	verdict=passed
	if [ $status -ne 0 ] || ! grep -q '^1\.\.' "$out/$t.tap" ||
	   grep -q '^not ok' "$out/$t.tap"; then
		verdict="FAILED (exit $status)"
		failed=1
	fi
	echo "$t: $verdict, $((good - skips)) ok, $(grep -c '^not ok' "$out/$t.tap") not ok, $skips skipped, $(($(date +%s) - began)) s"
	grep -E '^not ok|# SKIP|Bail out' "$out/$t.tap" | sed 's/^/    /'
	case $t in
	populate | seed.sh | stress | fuzz) grep -E '^#|^ok' "$out/$t.tap" | sed 's/^/    /' ;;
	esac
	[ "$verdict" = passed ] || { tail -n 20 "$out/$t.tap"; cat "$out/$t.err"; } | sed 's/^/    | /'
done
if [ -w /sys/kernel/debug/kmemleak ]; then
	# Twice: an object must stay unreferenced between two scans.
	echo scan >/sys/kernel/debug/kmemleak
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	grep -A12 unreferenced /sys/kernel/debug/kmemleak >"$out/leaks"
	if grep -q hybridmem "$out/leaks"; then
		echo "leaks: FAILED"
		cat "$out/leaks"
		failed=1
	else
		echo "leaks: none of ours ($(grep -c unreferenced "$out/leaks") in all)"
	fi
fi
# Lock checking turns itself off with its first complaint.
if [ -r /proc/lockdep_stats ]; then
	if grep -q 'debug_locks: *1$' /proc/lockdep_stats; then
		echo "lock checking: on to the end"
	else
		echo "lock checking: FAILED, it has turned itself off"
		failed=1
	fi
fi
if rmmod hybridmem; then
	echo "unload: passed"
else
	echo "unload: FAILED"
	failed=1
fi
dmesg 2>/dev/null | tail -n +"$(($(wc -l <"$out/before") + 1))" >"$out/log"
if grep -E "$splat" "$out/log" >"$out/splats"; then
	echo "kernel log: FAILED"
	head -n 40 "$out/splats" | sed 's/^/    /'
	failed=1
else
	echo "kernel log: clean ($(wc -l <"$out/log") lines)"
fi
exit $failed
