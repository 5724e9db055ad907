// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One test for each defect of the first hybridmem module, which bound pages by
 * inserting unmanaged ones.  Those of its defects that need a cgroup or memory
 * that goes offline differ from the others by their SKIP reasons.
 *
 * This program uses the first module's interface alone (open, write, mmap), so
 * that it can be run against that module too: each test must then fail.
 */
#include <pthread.h>

#include "region.h"

static int a, b;

/* Not region_with(): that needs an ioctl of ours. */
static int open_with(const int *pattern)
{
	unsigned char bytes[8];
	int fd = open(DEVICE, O_RDWR), n;

	for (n = 0; pattern[n] >= 0; n++)
		bytes[n] = pattern[n];
	if (fd < 0 || write(fd, bytes, n) != n)
		bail_out("%s: %s", DEVICE, strerror(errno));
	return fd;
}

/* "information leak: pages not zeroed" */
static void zeroed(void)
{
	unsigned long len = 64 * MIB, i, old = 0;
	char *dirt = mmap(NULL, 4 * len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_with(PATTERN(a, b));
	char *at = region_map(fd, len, MAP_SHARED, 0);

	if (!cmdline_has("init_on_alloc=0")) {
		skip("zeroed", "the kernel zeroes for itself: boot with init_on_alloc=0");
		goto out;
	}
	memset(dirt, 0xa5, 4 * len);
	munmap(dirt, 4 * len);
	for (i = 0; i < len; i += PAGE)
		old += !all_zero(at + i, PAGE);
	ok(!old, "zeroed: fresh pages hold no old data (%lu of %lu do)", old,
	   len / PAGE);
out:
	munmap(at, len);
	close(fd);
}

static int child_writes(void *arg)
{
	char *at = arg;

	at[0] = 42;
	at[PAGE] = 43;
	return 0;
}

/* "MAP_SHARED is not shared" */
static void shared(void)
{
	int fd = open_with(PATTERN(a, b));
	char *at = region_map(fd, MIB, MAP_SHARED, 0), *again;

	at[0] = 1;
	in_child(child_writes, at);
	ok(at[0] == 42 && at[PAGE] == 43, "shared: with a child after fork");
	again = region_map(fd, MIB, MAP_SHARED, 0);
	ok(again[0] == 42, "shared: with a second mapping");
	madvise(at, MIB, MADV_DONTNEED);
	ok(at[0] == 42 && at[PAGE] == 43, "shared: kept by MADV_DONTNEED");
	munmap(at, MIB);
	munmap(again, MIB);
	close(fd);
}

/* "wrong phase: indexes by virtual address, not file offset" */
static void phase(void)
{
	const int *p = PATTERN(a, b);
	int fd = open_with(p);
	char *room = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	long bad = 0;
	int shift;

	for (shift = 0; shift < 2; shift++) {
		char *at = mmap(room + shift * PAGE, 64 * PAGE,
				PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				fd, 64 * PAGE);

		touch(at, 64 * PAGE);
		bad += misplaced(at, 64, 0, p, 0);
	}
	ok(!bad, "phase: the file offset decides, not the address");
	munmap(room, MIB);
	close(fd);
}

/* "not strict, invisible: numa_maps says default" */
static void visible(void)
{
	int fd = open_with(PATTERN(b));
	char *at = region_map(fd, MIB, MAP_SHARED, 0);

	touch(at, MIB);
	ok(*numa_maps(at) && !strstr(numa_maps(at), " default"),
	   "visible: numa_maps shows a policy");
	munmap(at, MIB);
	close(fd);
}

/* "node check: online is not 'has memory'; only at fault time" */
static void node_check(void)
{
	unsigned char bad[2] = { 255, 60 };
	int fd = open(DEVICE, O_RDWR);

	ok(write(fd, bad, 1) == -1 && errno == EINVAL,
	   "node check: 255 is refused by write");
	ok(write(fd, bad + 1, 1) == -1 && errno == EINVAL,
	   "node check: so is a node without memory");
	close(fd);
}

/* "unbounded kmalloc, EIO for EFAULT, private and read-only mappings refused" */
static void errnos(void)
{
	int fd = open(DEVICE, O_RDWR);
	char *big = calloc(1, 64 * MIB);
	void *nowhere = mmap(NULL, PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;

	errno = 0;
	ok(write(fd, nowhere, 3) == -1 && errno == EFAULT,
	   "errno: EFAULT for a bad address (%s)", strerror(errno));
	memset(big, a, 64 * MIB);
	errno = 0;
	ok(write(fd, big, 64 * MIB) == -1 && errno == E2BIG,
	   "errno: E2BIG for 64 Mi entries (%s)", strerror(errno));
	at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ok(at != MAP_FAILED, "private mappings");
	close(fd);
	free(big);
}

/* "blocks ZONE_MOVABLE": what migration cannot move, hot-remove cannot either */
static void movable(void)
{
	int fd = open_with(PATTERN(a)), to[256], status[256], i, moved = 0;
	char *at = region_map(fd, MIB, MAP_SHARED, 0);
	void *address[256];

	touch(at, MIB);
	for (i = 0; i < 256; i++) {
		address[i] = at + i * PAGE;
		to[i] = b;
	}
	syscall(SYS_move_pages, 0, 256L, address, to, status, 2);
	page_nodes(at, 256, status);
	for (i = 0; i < 256; i++)
		moved += status[i] == b;
	ok(moved == 256 && touched(at, MIB), "movable: %d of 256 pages", moved);
	munmap(at, MIB);
	close(fd);
}

/* "no memcg charge": what a task takes shows as file memory of its cgroup */
static void charged(void)
{
	long before, after;
	char *line;
	int fd;
	char *at;

	fd = open_with(PATTERN(a, b));
	at = region_map(fd, 32 * MIB, MAP_SHARED, 0);
	line = strstr(slurp("/proc/meminfo"), "Unevictable:");
	before = line ? atol(line + 12) : 0;
	touch(at, 32 * MIB);
	usleep(300000);	/* batches on their way to the LRU */
	touch(mmap(NULL, MIB, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MIB);
	line = strstr(slurp("/proc/meminfo"), "Unevictable:");
	after = line ? atol(line + 12) : 0;
	ok(after - before > 30 << 10,
	   "accounted: %ld KiB more of unevictable memory", after - before);
	munmap(at, 32 * MIB);
	close(fd);
}

/* "use after free, oops in seconds; two writers double-free" */
static int race_fd;
static volatile bool race_stop;
static volatile unsigned long race_writes;

static void *race_writer(void *unused)
{
	unsigned char p[512];
	unsigned int n = 1;

	(void)unused;
	memset(p, b, sizeof(p));
	while (!race_stop) {
		n = n * 7 % 509;
		p[0] = a;
		if (write(race_fd, p, n + 1) != (ssize_t)n + 1)
			break;
		race_writes++;
	}
	return NULL;
}

static void *race_faulter(void *wrong)
{
	unsigned long len = 4 * MIB;

	while (!race_stop) {
		int fd = race_fd;
		char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
				fd, 0);

		if (at == MAP_FAILED)
			break;
		touch(at, len);
		munmap(at, len);
	}
	(void)wrong;
	return NULL;
}

static void race(void)
{
	pthread_t t[4];
	int i;

	race_fd = open_with(PATTERN(a, b));
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i < 2 ? race_writer : race_faulter,
			       NULL);
	sleep(4);
	race_stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ok(race_writes > 100, "race: %lu patterns written under faults",
	   race_writes);
	close(race_fd);
}

int main(void)
{
	if (!two_nodes(&a, &b, 64 * MIB)) {
		skip("defects", "needs two nodes with 64 MiB free each");
		return done();
	}
	zeroed();
	shared();
	phase();
	visible();
	node_check();
	errnos();
	movable();
	charged();
	race();
	return done();
}
