/*
 * A stand-in for the device, for tests of everything but placement on a machine
 * without the module: a file in memory.  Its pages are on no node in particular;
 * hmexp.program.launch.preload refuses a library that is built with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload.h"

HM_EXPORT const char hm_device_mark[] = "hmexp-preload-device=stand-in";

int hm_device_open(void)
{
	int fd = memfd_create("hmexp-stand-in", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, 1L << 57)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}
