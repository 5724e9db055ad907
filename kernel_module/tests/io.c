// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The region as a buffer of the kernel's: direct I/O, another process, pipes. */
#include <sys/uio.h>

#include "region.h"

static int a, b;
static const int *abb;

/* A file on a block device, for direct I/O; or on whatever accepts O_DIRECT. */
static int direct_file(char *path, size_t size)
{
	static const char * const dirs[] = { "/var/tmp", "/tmp", "/mnt/out", "/dev/shm" };
	unsigned long i;

	for (i = 0; i < ARRAY(dirs); i++) {
		int fd;

		snprintf(path, size, "%s/hybridmem-io-%d", dirs[i], getpid());
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
		if (fd >= 0) {
			diag("direct I/O on %s", path);
			return fd;
		}
		unlink(path);
	}
	return -1;
}

/* A disk in memory that does real direct I/O: pages are pinned. */
static int direct_disk(char *path, size_t size)
{
	int fd;

	if (system("modprobe -q brd rd_nr=1 rd_size=16384 2>/dev/null || "
		   "modprobe -q zram num_devices=2 2>/dev/null"))
		diag("no brd and no zram module");
	fd = open("/dev/ram0", O_RDWR | O_DIRECT);
	if (fd >= 0) {
		snprintf(path, size, "/dev/ram0");
		return fd;
	}
	spew("/sys/block/zram1/disksize", "16M");
	fd = open("/dev/zram1", O_RDWR | O_DIRECT);
	snprintf(path, size, "/dev/zram1");
	return fd;
}

static void direct_io(int flags, const char *name, unsigned int shift)
{
	unsigned long len = 4 * MIB, i;
	char path[128], *at, *copy = malloc(len);
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, shift);
	int disk = direct_disk(path, sizeof(path));
	ssize_t n;

	if (disk < 0)
		disk = direct_file(path, sizeof(path));
	if (disk < 0) {
		skip(name, "no file or disk here takes O_DIRECT");
		goto out;
	}
	diag("O_DIRECT on %s", path);
	for (i = 0; i < len; i++)
		copy[i] = i * 7 + (i >> 12);
	at = region_map(fd, len, flags, 0);
	memcpy(at, copy, len);
	n = pwrite(disk, at, len, 0);
	ok(n == (ssize_t)len, "%s: O_DIRECT write from the region (%zd)", name,
	   n);
	munmap(at, len);

	/* Into pages that are not there yet: the read itself faults them in. */
	at = region_map(fd, len, flags, len);
	n = pread(disk, at, len, 0);
	ok(n == (ssize_t)len && !memcmp(at, copy, len),
	   "%s: O_DIRECT read into the region (%zd)", name, n);
	ok(!misplaced(at, len / PAGE, len / PAGE, abb, shift),
	   "%s: every page in its place", name);
	munmap(at, len);
	close(disk);
	if (strncmp(path, "/dev/", 5))
		unlink(path);
out:
	close(fd);
	free(copy);
}

static void other_process(void)
{
	unsigned long len = 2 * MIB;
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, len, MAP_SHARED, 0), *copy = malloc(len);
	struct iovec mine = { copy, len }, theirs = { at, len };
	pid_t pid = fork();
	ssize_t n;

	if (!pid) {
		pause();
		_exit(0);
	}
	touch(at, len / 2);
	n = process_vm_readv(pid, &mine, 1, &theirs, 1, 0);
	ok(n == (ssize_t)len && touched(copy, len / 2) &&
	   all_zero(copy + len / 2, len / 2),
	   "process_vm_readv from the child (%zd)", n);
	memset(copy, 3, len);
	n = process_vm_writev(pid, &mine, 1, &theirs, 1, 0);
	ok(n == (ssize_t)len && !memcmp(at, copy, len),
	   "process_vm_writev to it (%zd)", n);
	ok(!misplaced(at, len / PAGE, 0, abb, 0), "every page in its place");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(at, len);
	close(fd);
	free(copy);
}

static void plain_io(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0), zero, pipes[2];
	char *at = region_map(fd, MIB, MAP_SHARED, 0), got[64] = "";
	struct iovec part = { at + PAGE - 8, 16 };
	unsigned char pattern[2] = { b, a };

	zero = open("/dev/zero", O_RDONLY);
	memset(at, 1, MIB / 2);
	ok(read(zero, at, MIB) == (ssize_t)MIB && all_zero(at, MIB),
	   "read(2) into the region");
	ok(!misplaced(at, 256, 0, abb, 0), "every page in its place");
	/* The pattern itself, from and to the region it rules. */
	memcpy(at + 5 * MIB / 8, pattern, 2);
	ok(write(fd, at + 5 * MIB / 8, 2) == 2, "a pattern out of the region");
	ok(pread(fd, at + 3 * PAGE, 8, 0) == 2 &&
	   !memcmp(at + 3 * PAGE, pattern, 2), "and into it");
	memcpy(at + PAGE - 8, "0123456789abcdef", 16);
	ok(!pipe(pipes) && vmsplice(pipes[1], &part, 1, 0) == 16 &&
	   read(pipes[0], got, 16) == 16 && !memcmp(got, "0123456789abcdef", 16),
	   "vmsplice across two nodes");
	munmap(at, MIB);
	close(fd);
	close(zero);
}

/* Memory has nowhere to be written to, and that is no error. */
static void synced(void)
{
	int fd = region_with(abb, 0, 0);
	char *at = region_map(fd, MIB, MAP_SHARED, 0);

	touch(at, MIB);
	ok(!msync(at, MIB, MS_SYNC) && !msync(at, MIB, MS_ASYNC) &&
	   !msync(at, MIB, MS_SYNC | MS_INVALIDATE), "msync");
	ok(!fsync(fd) && !fdatasync(fd), "fsync, fdatasync");
	ok(touched(at, MIB), "the data is there");
	munmap(at, MIB);
	at = region_map(fd, MIB, MAP_PRIVATE, 0);
	ok(!msync(at, MIB, MS_SYNC), "msync of a private mapping");
	munmap(at, MIB);
	close(fd);
}

/* A pattern in parts is one pattern. */
static void in_parts(void)
{
	unsigned char one[1] = { a }, two[2] = { b, b }, bad[1] = { 255 };
	unsigned char got[8];
	struct iovec good[] = { { one, 1 }, { NULL, 0 }, { two, 2 } };
	struct iovec wrong[] = { { two, 2 }, { bad, 1 } };
	struct iovec fault[] = { { two, 2 }, { (void *)8, 1 } };
	int fd = region_open();

	ok(writev(fd, good, 3) == 3 && read(fd, got, 8) == 3 &&
	   got[0] == a && got[1] == b && got[2] == b,
	   "writev writes one pattern, and read begins at its start");
	ok(writev(fd, wrong, 2) == -1 && errno == EINVAL &&
	   pread(fd, got, 8, 0) == 3, "a wrong part refuses all of it");
	ok(writev(fd, fault, 2) == -1 && errno == EFAULT &&
	   pread(fd, got, 8, 0) == 3, "and so does a bad address");
	ok(pwritev(fd, good, 3, 0) == 3 && pread(fd, got, 8, 0) == 3,
	   "pwritev too");
	close(fd);
}

int main(void)
{
	if (!two_nodes(&a, &b, 64 * MIB)) {
		skip("io", "needs two nodes with 64 MiB free each");
		return done();
	}
	abb = (int[]){ a, b, b, -1 };
	direct_io(MAP_SHARED, "shared", 0);
	direct_io(MAP_PRIVATE, "private", 0);
	direct_io(MAP_SHARED, "2 MiB granules", 9);
	other_process();
	plain_io();
	synced();
	in_parts();
	return done();
}
