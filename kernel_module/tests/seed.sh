#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# seed.sh SEED: the first hybridmem's own test program, taken out of its
# description and compiled unmodified, runs on this module.  It maps 1 GiB with
# the pattern 0,2,2, fills it for ever and is stopped from outside.
#
# TAP on standard output.  Needs nodes 0 and 2 with 400 and 750 MiB free.
set -u

seed=${1:-${HM_SEED:-}}
n=0
result() { # GOOD NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}
skip() {
	echo "ok 1 - seed # SKIP $*"
	echo 1..1
	exit 0
}
free() { # NODE: MiB
	awk '$3 == "MemFree:" { print int($4 / 1024) }' \
		"/sys/devices/system/node/node$1/meminfo" 2>/dev/null || echo 0
}

[ -n "$seed" ] && [ -r "$seed" ] || skip "no seed: give its file, or HM_SEED"
command -v "${CC:=cc}" >/dev/null || skip "no C compiler"
free0=$(free 0) free2=$(free 2)
[ "${free0:-0}" -ge 400 ] && [ "${free2:-0}" -ge 750 ] ||
	skip "nodes 0 and 2 need 400 and 750 MiB free (they have ${free0:-0} and ${free2:-0})"

dir=$(mktemp -d) || exit 1
pid=
trap '[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
bad=0
# The lines between +++code and ---code after the line "test.c".
awk '/^test\.c$/ { here = 1; next }
     here && /^\+\+\+code/ { on = 1; next }
     on && /^---code/ { exit }
     on' "$seed" >"$dir/test.c"
"$CC" -o "$dir/test" "$dir/test.c"
result $? "test.c of the seed compiles as it is ($(wc -l <"$dir/test.c") lines)"

"$dir/test" &
pid=$!
line=
for _ in $(seq 600); do
	line=$(grep 'file=/dev/hybridmem' "/proc/$pid/numa_maps" 2>/dev/null)
	total=$(echo "$line" | grep -o 'N[0-9]*=[0-9]*' | cut -d= -f2 |
		awk '{ s += $1 } END { print s + 0 }')
	[ "$total" = 262144 ] && break
	kill -0 "$pid" 2>/dev/null || break
	sleep 0.5
done
echo "# $line"
kill -0 "$pid" 2>/dev/null
result $? "it runs"
[ "$total" = 262144 ]
result $? "1 GiB is resident ($total pages)"
n0=$(echo "$line" | sed -n 's/.* N0=\([0-9]*\).*/\1/p')
n2=$(echo "$line" | sed -n 's/.* N2=\([0-9]*\).*/\1/p')
# 262144 = 3 * 87381 + 1, and the one is entry 0 of the pattern.
[ "${n0:-0}" = 87382 ] && [ "${n2:-0}" = 174762 ]
result $? "N0:N2 = 1:2 (N0=${n0:-0} N2=${n2:-0})"
"$(dirname "$0")/where" "$pid" /dev/hybridmem 0 2 2 >"$dir/where"
result $? "page by page: $(cat "$dir/where")"
kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
echo "1..$n"
exit $bad
