#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# Build a debug kernel for the lab, without root and without touching the
# system: debug-kernel.sh SOURCE BUILD
#
#   SOURCE  a version such as 6.1: the package linux-source-6.1 is downloaded;
#           or an unpacked kernel source tree, or a linux-source-*.tar.xz
#   BUILD   directory to build in (2 GB with the source); it ends with vmlinux,
#           bzImage and everything needed as KDIR to build the module
#
# Then:  debug-run.sh BUILD, or make -C kernel_module KDIR=BUILD
# JOBS= and CC= are heeded.  Needs gcc, make, flex, bison and bc.
set -eu

[ $# -eq 2 ] || { sed -n '4,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
build=$(cd "$2" && pwd)
tarball=$1
case $1 in
[0-9]*) # a version
	if [ ! -e "$1" ]; then
		tarball=$build/debian/usr/src/linux-source-$1.tar.xz
		[ -f "$tarball" ] || (
			mkdir -p "$build/debian"
			cd "$build/debian"
			apt-get -q download "linux-source-$1"
			dpkg-deb -x linux-source-"$1"_*.deb .
			rm linux-source-"$1"_*.deb
		)
	fi ;;
esac
if [ -f "$tarball" ]; then
	# Not "source": that is a link which the kernel's makefile makes.
	[ -f "$build/linux/Makefile" ] || {
		rm -rf "$build/linux.part"
		mkdir "$build/linux.part"
		tar -C "$build/linux.part" --strip-components=1 -xf "$tarball"
		mv "$build/linux.part" "$build/linux"
	}
	src=$build/linux
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
# For the list of what is built in: daxctl asks for "kmem".
k INSTALL_MOD_PATH="$build" modules_install
echo "$build: $(k kernelrelease)"
