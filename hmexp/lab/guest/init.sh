#!/bin/busybox sh
# First process of the lab's guest: makes the host's files its root (in memory, over a read-only
# view), brings NVDIMM nodes online, runs the job, reports its exit status, powers off.
# /hmexp holds what the host asks for: settings (sourced), job (a script for the host's sh).

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
. /hmexp/settings

say() { echo "HMEXP-LAB $1 $(cut -d' ' -f1 /proc/uptime)"; }
fail() { echo "HMEXP-LAB-FAILURE $*"; poweroff -f; sleep 60; }

# insmod would say of what is already there that it exists.
while read -r module; do insmod "/modules/$module" 2>/dev/null; done </modules/order
say modules

NINEP="trans=virtio,version=9p2000.L,msize=524288"
mount -t 9p -o "ro,cache=loose,$NINEP" root /lower || fail "the host's files cannot be mounted (9p)"
# No cache: the host must see each byte when the guest has written it.
mount -t 9p -o "cache=none,$NINEP" out /out || fail "the output directory cannot be mounted (9p)"
lower=/lower
if [ -n "$TOOLS" ]; then
	mount -t 9p -o "ro,cache=loose,$NINEP" tools /tools || fail "the tools cannot be mounted (9p)"
	lower=/tools:/lower
fi
# Not from the nodes under test: what is written goes to node 0 as long as it has room.
mount -t tmpfs -o size=90%,mpol=prefer:0 rw /rw 2>/dev/null || mount -t tmpfs -o size=90% rw /rw ||
	fail "the file system in memory cannot be mounted"
mkdir /rw/upper /rw/work
mount -t overlay -o "lowerdir=$lower,upperdir=/rw/upper,workdir=/rw/work" host /host ||
	fail "the overlay cannot be mounted"
for each in proc sys dev run; do mkdir -p "/host/$each"; done
mount -t proc proc /host/proc
mount -t sysfs sys /host/sys
mount -t devtmpfs dev /host/dev
mkdir -p /host/dev/pts /host/dev/shm
ln -s /proc/self/fd /host/dev/fd
for each in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${each%:*}" "/host/dev/${each#*:}"; done
mount -t devpts -o mode=620,ptmxmode=666 pts /host/dev/pts
mount -t tmpfs shm /host/dev/shm
mount -t tmpfs run /host/run
mount -t debugfs debug /host/sys/kernel/debug 2>/dev/null
if grep -qw cgroup2 /proc/filesystems; then mount -t cgroup2 cgroup /host/sys/fs/cgroup; fi
for share in $SHARES; do
	# tag:path, the path with blanks written as %20 by the host.
	path=$(printf '%s' "${share#*:}" | sed 's/%20/ /g; s/%25/%/g')
	mkdir -p "/host$path"
	mount -t 9p -o "cache=none,$NINEP" "${share%%:*}" "/host$path" || fail "$path cannot be mounted (9p)"
done
if [ -n "$MODULES" ]; then
	release=$(uname -r)
	mkdir -p "/host/lib/modules/$release"
	mount -o bind "/lower$MODULES" "/host/lib/modules/$release" || fail "the modules cannot be mounted"
fi
ip link set lo up
hostname hmexp-lab
mkdir /host/run/hmexp-lab
cp /hmexp/* /host/run/hmexp-lab/
cp /bin/busybox /host/run/hmexp-lab/busybox
say mounted

if [ -n "$ONLINE" ]; then
	chroot /host /run/hmexp-lab/busybox sh /run/hmexp-lab/nvdimm "$ONLINE" ||
		fail "an NVDIMM node did not come online"
fi
if [ -n "$CXL" ]; then
	chroot /host /run/hmexp-lab/busybox sh /run/hmexp-lab/cxl "$CXL" || fail "the CXL memory did not come online"
fi
say ready
echo started >/out/started

if [ -n "$INTERACTIVE" ]; then
	setsid -c chroot /host /bin/sh /run/hmexp-lab/job </dev/ttyS0 >/dev/ttyS0 2>&1
	status=$?
else
	# Pipes, so that the job can open /dev/stdout again without cutting off what is there.
	mkfifo /pipes/stdout /pipes/stderr
	cat </pipes/stdout >/out/stdout &
	copies=$!
	cat </pipes/stderr >/out/stderr &
	copies="$copies $!"
	# In the background: of a job in front that dies by a signal, the shell would write so into its stderr.
	setsid chroot /host /bin/sh /run/hmexp-lab/job </host/run/hmexp-lab/stdin >/pipes/stdout 2>/pipes/stderr &
	wait $!
	status=$?
	# What the job left running may hold the pipes open: end everything but us and the copies.
	for process in /proc/[0-9]*; do
		process=${process#/proc/}
		case " 1 $copies " in *" $process "*) ;; *) kill -9 "$process" 2>/dev/null ;; esac
	done
	# A process that cannot be killed (stuck in the kernel) must not keep us.
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 $copies 2>/dev/null || break
		sleep 0.1
	done
fi
echo "$status" >/out/status
say "done"
poweroff -f
sleep 60
