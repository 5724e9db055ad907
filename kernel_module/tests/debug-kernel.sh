#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Build a debug kernel for the lab, without root and without touching the
# system: debug-kernel.sh SOURCE BUILD
#
#   SOURCE  an unpacked kernel source tree, or Debian's linux-source-*.tar.xz
#   BUILD   directory to build in (4 GB); it ends with vmlinux, bzImage and
#           everything needed as KDIR to build the module
#
# Then:  make -C kernel_module KDIR=BUILD
set -eu

[ $# -eq 2 ] || { sed -n '4,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
build=$(cd "$2" && pwd)
if [ -f "$1" ]; then
	mkdir -p "$build/source"
	[ -f "$build/source/Makefile" ] ||
		tar -C "$build/source" --strip-components=1 -xf "$1"
	src=$build/source
else
	src=$(cd "$1" && pwd)
fi
k() {
	make -s -C "$src" O="$build" ${CC:+CC="$CC"} "$@"
}

k tinyconfig
"$src/scripts/kconfig/merge_config.sh" -m -O "$build" \
	"$build/.config" "$here/debug.config" >"$build/merge.log"
k olddefconfig
# An option that the source does not know, or will not grant, is named here.
while IFS='=' read -r option value; do
	case $option in CONFIG_*) ;; *) continue ;; esac
	grep -qx "$option=$value" "$build/.config" ||
		echo "debug-kernel: $option is not $value in this source" >&2
done <"$here/debug.config"
k -j"${JOBS:-$(nproc)}" vmlinux bzImage modules
echo "$build: $(k kernelrelease)"
