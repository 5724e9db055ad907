#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# inject.sh [MODULE.ko]: the same code when memory is refused to it.  Allocations
# of the test programs fail at random (failslab, fail_page_alloc) once they run;
# the module is loaded and unloaded, patterns and faults keep working.
# TESTS, STRESS, PARAMETERS and PATIENCE (120) as in run.sh.  Needs a kernel with fault injection: see
# debug-kernel.sh.
set -u

here=$(cd "$(dirname "$0")" && pwd)
ko=${1:-$here/../hybridmem.ko}

# A root on a network file system (the lab's is 9p) does not survive failing
# allocations, so all that is needed moves to memory first.
if [ -z "${HM_INJECT_ROOT:-}" ] && [ -x /bin/busybox ]; then
	root=/dev/shm/hybridmem-inject
	mkdir -p $root/bin $root/tests $root/proc $root/sys $root/dev $root/tmp
	cp /bin/busybox $root/bin
	$root/bin/busybox --install $root/bin 2>/dev/null	# links, in one process
	for t in abi layout sharing huge stress load; do
		cp "$here/$t" $root/tests
	done
	ldd "$here/stress" | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$root$(dirname "$lib")"
		cp -L "$lib" "$root$lib"
	done
	cp "$0" $root/tests
	cp "$ko" $root/hybridmem.ko
	for at in proc sys dev; do
		mount --rbind /$at $root/$at
	done
	HM_INJECT_ROOT=1 OUT=/tmp PATH=/bin exec /bin/busybox chroot $root \
		/bin/sh /tests/inject.sh /hybridmem.ko
fi
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
n=0 bad=0
result() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}

inject 1	# a load has some hundred allocations
"$here/load" "$ko" 200 >"${OUT:-/tmp}/load.tap"
result $? "loading: never half there"
sed 's/^/# /' "${OUT:-/tmp}/load.tap"
inject 0
insmod "$ko" ${PARAMETERS-}
result $? "loads when memory is there"
inject 2
# What a refusal does to the test's own assumptions does not count: a splat, a
# leak or a page left behind does, and the last lines look for them.  The stress
# expects refusals, and must pass.
for t in ${TESTS-abi layout sharing huge}; do
	[ -x "$here/$t" ] || continue
	HM_FAIL=1 timeout "${PATIENCE:-120}" "$here/$t" >/dev/null 2>&1
	echo "# $t: exit $?"
done
inject 1
HM_FAIL=1 timeout "$((300 + ${STRESS:-20}))" "$here/stress" "${STRESS:-20}" 4 \
	>"${OUT:-/tmp}/inject-stress.tap"
result $? "stress: data and refusals as they must be, and nothing left"
sed 's/^/# /' "${OUT:-/tmp}/inject-stress.tap"
inject 0
# A child of a test that died by a refusal may still be on its way out.
waited=0
while
	left=$(sed 's/N[0-9]*=//g' /sys/class/misc/hybridmem/stats/resident |
		awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s + 0 }')
	regions=$(cat /sys/class/misc/hybridmem/stats/regions)
	{ [ "$left" != 0 ] || [ "$regions" != 0 ]; } && [ $waited -lt 10 ]
do
	sleep 1
	waited=$((waited + 1))
done
[ "$left" = 0 ] && [ "$regions" = 0 ]
result $? "nothing is left ($left pages, $regions regions, $waited s)"
rmmod hybridmem
result $? "unloads"
complaints=$(dmesg | grep -E 'BUG:|WARNING:|KASAN:|Oops')
[ -z "$complaints" ]
result $? "the kernel's log has no complaint"
[ -z "$complaints" ] || echo "$complaints" | sed 's/^/# /'
echo "1..$n"
exit $bad
