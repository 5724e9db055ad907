# Turns the memory of NVDIMMs into NUMA nodes: sh nvdimm.sh "1:movable 2:kernel"
# Runs with busybox as the shell, in the host's files, for their ndctl, daxctl and modprobe.

B=/run/hmexp-lab/busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

quietly() {
	"$@" >/run/hmexp-lab/said 2>&1 && return 0
	echo "failed: $*"
	$B cat /run/hmexp-lab/said
	return 1
}

# Up to 5.17 there are two models of the device; this one, which cannot become memory, would be taken first.
mkdir -p /etc/modprobe.d
echo "blacklist dax_pmem_compat" >/etc/modprobe.d/hmexp-lab.conf
for module in nfit nd_pmem dax_pmem device_dax kmem; do modprobe "$module" 2>/dev/null; done
# Since 6.12 daxctl refuses while the kernel brings new memory online by itself.
echo offline >/sys/devices/system/memory/auto_online_blocks

quietly ndctl disable-region all
quietly ndctl init-labels -f all || exit 1
quietly ndctl enable-region all || exit 1

for wish in $1; do
	node=${wish%%:*}
	region=
	for each in /sys/bus/nd/devices/region*; do
		# The number that the kernel gives is what counts, not the order of the devices.
		[ "$($B cat "$each/target_node" 2>/dev/null)" = "$node" ] && region=${each##*/}
	done
	if [ -z "$region" ]; then
		echo "no NVDIMM has node $node:"
		$B grep . /sys/bus/nd/devices/region*/target_node
		exit 1
	fi
	movable=
	[ "${wish#*:}" = kernel ] && movable=--no-movable
	quietly ndctl create-namespace -m devdax -r "$region" || exit 1
	# shellcheck disable=SC2086 # empty is no word
	quietly daxctl reconfigure-device --mode=system-ram $movable "--region=${region#region}" all || exit 1
	[ -d "/sys/devices/system/node/node$node" ] || { echo "node $node is not there"; exit 1; }
done
exit 0
