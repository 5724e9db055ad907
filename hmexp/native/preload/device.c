/* /dev/hybridmem: a region of our own, with the pattern. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hybridmem.h"
#include "preload.h"

HM_EXPORT const char hm_device_mark[] = "hmexp-preload-device=/dev/hybridmem";

/* Return a descriptor of a new region, or -1 with errno. */
int hm_device_open(void)
{
	struct hybridmem_config config = {
		.flags = HYBRIDMEM_F_SPARSE,
		.granule_shift = hm_settings.granule_shift,
	};
	struct hybridmem_pattern pattern = {
		.nodes = (uintptr_t)hm_settings.nodes,
		.len = hm_settings.length,
	};
	int fd = open("/dev/hybridmem", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &pattern) ||
	    /* The one that every version of the module has. */
	    ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG_V1, &config)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}
