// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * load MODULE.ko TIMES: load and unload, with the allocations of the system call
 * failing at random (see inject.sh), and see that it is never half there.
 */
#include "region.h"

/* Opened once: while it is on, opening could fail too. */
static int knob;

static void fail(bool on)
{
	if (pwrite(knob, on ? "1" : "0", 1, 0) != 1)
		bail_out("this kernel has no fault injection");
}

int main(int argc, char **argv)
{
	long times = argc > 2 ? atol(argv[2]) : 100, i, refused = 0, half = 0;
	static char image[32 << 20];
	ssize_t n, size = 0;
	int fd;

	knob = open("/proc/self/make-it-fail", O_WRONLY);
	fd = open(argc > 1 ? argv[1] : "hybridmem.ko", O_RDONLY);
	while (fd >= 0 && (n = read(fd, image + size, sizeof(image) - size)) > 0)
		size += n;
	if (size <= 0)
		bail_out("no module");
	for (i = 0; i < times; i++) {
		long r;

		fail(true);
		r = syscall(SYS_init_module, image, size, "");
		fail(false);
		if (r) {
			refused++;
			half += !access("/sys/module/hybridmem", F_OK) ||
				!access(DEVICE, F_OK);
		} else if (syscall(SYS_delete_module, "hybridmem", O_NONBLOCK)) {
			half++;
		}
	}
	ok(refused > 0 && refused < times, "%ld of %ld times refused", refused,
	   times);
	ok(!half, "never half there, always unloaded (%ld)", half);
	return done();
}
