# Turns the memory of a CXL type 3 device into a NUMA node: sh cxl.sh "2:movable", or "raw" for its drivers alone.
# Runs with busybox as the shell, in the host's files. By sysfs: the cxl program of Debian 12 makes no regions of
# volatile memory.

B=/run/hmexp-lab/busybox
BUS=/sys/bus/cxl
BLOCKS=/sys/devices/system/memory/auto_online_blocks
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

stop() {
	echo "$*"
	$B ls "$BUS/devices"
	exit 1
}

put() { echo "$1" >"$2" || stop "could not write $1 to $2"; }

# No udev here that would load them.
for module in cxl_acpi cxl_pci cxl_port cxl_mem device_dax dax_cxl kmem; do modprobe "$module" 2>/dev/null; done
[ "$1" = raw ] && exit 0

# The drivers find the port, then the device, in their own time.
endpoint=
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	for each in "$BUS"/devices/decoder*; do [ -e "$each/dpa_size" ] && endpoint=$each && break; done
	[ -n "$endpoint" ] && break
	$B sleep 0.25
done
[ -n "$endpoint" ] || stop "no CXL memory device has come up"
root=
for each in "$BUS"/devices/decoder0.*; do [ -e "$each/create_ram_region" ] && root=$each && break; done
[ -n "$root" ] || stop "no window for volatile CXL memory"
bytes=
for each in "$BUS"/devices/mem*; do bytes=$($B cat "$each/ram/size") && break; done

# New memory comes online where it was asked for, and what comes after stays offline, as daxctl wants it.
case ${1#*:} in kernel) put online_kernel $BLOCKS ;; *) put online_movable $BLOCKS ;; esac
region=$($B cat "$root/create_ram_region")
put "$region" "$root/create_ram_region"
put 256 "$BUS/devices/$region/interleave_granularity"
put 1 "$BUS/devices/$region/interleave_ways"
put "$bytes" "$BUS/devices/$region/size"
put ram "$endpoint/mode"
put "$bytes" "$endpoint/dpa_size"
put "${endpoint##*/}" "$BUS/devices/$region/target0"
put 1 "$BUS/devices/$region/commit"
[ -e "$BUS/devices/$region/driver" ] || put "$region" $BUS/drivers/cxl_region/bind

node=/sys/devices/system/node/node${1%%:*}
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	[ -d "$node" ] && break
	$B sleep 0.25
done
put offline $BLOCKS
[ -d "$node" ] || stop "node ${1%%:*} is not there: $($B grep . /sys/bus/dax/devices/*/target_node)"
exit 0
