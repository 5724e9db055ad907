#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# inject.sh [MODULE.ko]: the same code when memory is refused to it.  Allocations
# of this shell's children fail at random (failslab, fail_page_alloc); loading is
# tried until it works, patterns and faults go on, and the module unloads.
# Needs a kernel with fault injection: see debug-kernel.sh.
set -u

here=$(cd "$(dirname "$0")" && pwd)
ko=${1:-$here/../hybridmem.ko}
debug=/sys/kernel/debug
if [ ! -d $debug/failslab ] || [ ! -w /proc/self/make-it-fail ]; then
	echo "ok 1 - injection # SKIP this kernel has no fault injection"
	echo 1..1
	exit 0
fi
inject() { # PROBABILITY
	for kind in failslab fail_page_alloc; do
		echo Y >$debug/$kind/task-filter
		echo "$1" >$debug/$kind/probability
		echo 1 >$debug/$kind/interval
		echo -1 >$debug/$kind/times
		echo 0 >$debug/$kind/space
		echo 0 >$debug/$kind/verbose
		echo N >$debug/$kind/ignore-gfp-wait
	done
	echo 0 >$debug/fail_page_alloc/min-order
	echo N >$debug/fail_page_alloc/ignore-gfp-highmem
}
failing() { # COMMAND: with its allocations failing
	sh -c 'echo 1 >/proc/self/make-it-fail; exec "$@"' sh "$@"
}
n=0 bad=0
result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}

refused=0 loaded=0
inject 8
for _ in $(seq 150); do
	if failing insmod "$ko" 2>/dev/null; then
		loaded=$((loaded + 1))
		rmmod hybridmem || bad=1
	else
		refused=$((refused + 1))
	fi
	# Is it there although insmod said no?
	if grep -q '^hybridmem ' /proc/modules; then
		bad=1
		rmmod hybridmem
	fi
done
[ $bad = 0 ] && [ $refused -gt 0 ]
result $? "loading: $refused times refused, $loaded times loaded, never half"
inject 0
insmod "$ko"
result $? "loads when memory is there"
inject 2
# What a refusal does to the test's own assumptions does not count: a splat, a
# leak or a page left behind does, and run.sh and the last lines look for them.
for t in abi layout sharing huge; do
	failing timeout 120 "$here/$t" >/dev/null 2>&1
	echo "# $t: exit $?"
done
inject 1
failing timeout 300 "$here/stress" "${STRESS:-20}" 4 | sed 's/^/# /'
inject 0
left=$(sed 's/N[0-9]*=//g' /sys/class/misc/hybridmem/stats/resident |
	awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s + 0 }')
[ "$left" = 0 ] && [ "$(cat /sys/class/misc/hybridmem/stats/regions)" = 0 ]
result $? "nothing is left ($left pages)"
rmmod hybridmem
result $? "unloads"
complaints=$(dmesg | grep -E 'BUG:|WARNING:|KASAN:|Oops')
[ -z "$complaints" ]
result $? "the kernel's log has no complaint"
[ -z "$complaints" ] || echo "$complaints" | sed 's/^/# /'
echo "1..$n"
exit $bad
