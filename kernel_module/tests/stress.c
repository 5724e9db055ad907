// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * stress [seconds] [threads]: everything at once, on few pages.
 *
 * Threads write patterns (short and long, bytes and 16 bits), change the
 * configuration, fault shared and private pages, punch, migrate, split with
 * mprotect, map again, drop, and fork children that write.  What it looks for is
 * in the kernel's log; here it checks that data is either what was written or
 * zero (punched), that placement is never outside of the pattern's nodes when
 * strict, and that nothing is left when it ends.
 *
 * It also runs with its allocations failing (inject.sh).  Then munmap(2) fails at
 * times, and a fault may end a turn in its middle: a thread keeps account of what
 * it has mapped, for a mapping that is left holds the region.
 */
#include <pthread.h>

#include "region.h"

#define REGION	(16 * MIB)
#define PATIENCE 10	/* seconds until nothing may be left */

static int a, b, fd, seconds_to_run = 20;
static char *base;
static volatile bool stop, is_child;
static volatile unsigned long bad_data, did[16];

static const char * const what[] = {
	"patterns", "16-bit patterns", "configurations", "shared pages",
	"private pages", "punches", "migrations", "mappings", "forks",
	"protections", "reads",
};

/* The mapping that a thread has for the moment; volatile, for a signal looks. */
static __thread char * volatile mine;
static __thread volatile unsigned long mine_len;
static volatile unsigned long cut_short, refused_munmaps;

static bool map_mine(unsigned long len, int flags, unsigned long offset)
{
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, offset);

	if (at == MAP_FAILED)
		return false;
	mine = at;
	mine_len = len;
	return true;
}

/* munmap() may be refused memory, and changes nothing then. */
static void unmap(char *at, unsigned long len)
{
	while (munmap(at, len)) {
		if (errno != ENOMEM)
			bail_out("munmap: %s", strerror(errno));
		refused_munmaps++;
	}
}

static void unmap_mine(void)
{
	unmap(mine, mine_len);
	mine = NULL;
}

static unsigned int next(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* Page i holds i in every word, or zero. */
static void put(char *at, unsigned long i)
{
	*(volatile unsigned long *)(at + i * PAGE + i % 512 * 8) = i;
}

static void check(char *at, unsigned long i)
{
	unsigned long v = *(volatile unsigned long *)(at + i * PAGE + i % 512 * 8);

	if (v && v != i)
		bad_data++;
}

static void one(unsigned int *seed, int action)
{
	unsigned long pages = REGION / PAGE, i = next(seed) % pages, n, k;
	static unsigned char shorts[600];
	static uint16_t longs[20000];

	switch (action) {
	case 0:
		n = 1 + next(seed) % sizeof(shorts);
		if (write(fd, shorts, n) < 0 && errno != ENOMEM)
			bad_data++;
		break;
	case 1: {
		struct hybridmem_pattern p = {
			.nodes = (uintptr_t)longs,
			.len = 1 + next(seed) % ARRAY(longs),
		};

		if (ioctl(fd, HYBRIDMEM_IOC_SET_PATTERN, &p) && errno != ENOMEM)
			bad_data++;
		break;
	}
	case 2:
		region_config(fd, next(seed) & 5, next(seed) % 3 ? 0 : 9);
		break;
	case 3:
		for (k = 0; k < 64; k++)
			put(base, (i + k) % pages);
		break;
	case 4: {
		char *at;

		if (!map_mine(MIB, MAP_PRIVATE, i / 256 * MIB))
			break;
		at = mine;
		for (k = 0; k < 256; k += 1 + next(seed) % 16) {
			unsigned long page = i / 256 * 256 + k;

			if (next(seed) & 1)
				*(volatile unsigned long *)(at + k * PAGE +
							    page % 512 * 8);
			*(volatile unsigned long *)(at + k * PAGE +
						    page % 512 * 8) = page;
		}
		unmap_mine();
		break;
	}
	case 5:
		n = 1 + next(seed) % 700;
		region_punch(fd, i * PAGE, n * PAGE);
		break;
	case 6: {
		void *address[64];
		int to[64], status[64];

		for (k = 0; k < 64; k++) {
			address[k] = base + (i + k) % pages * PAGE;
			to[k] = next(seed) & 1 ? a : b;
		}
		syscall(SYS_move_pages, 0, 64L, address, to, status, 2);
		break;
	}
	case 7:
		if (!map_mine(REGION, MAP_SHARED, 0))
			break;
		for (k = 0; k < 512; k++)
			check(mine, (i + k) % pages);
		madvise(mine + i * PAGE, PAGE, MADV_DONTNEED);
		unmap_mine();
		break;
	case 8: {
		pid_t pid = fork();

		if (!pid) {
			is_child = true;
			for (k = 0; k < 300; k++)
				put(base, (i + k) % pages);
			_exit(0);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
		break;
	}
	case 9:
		mprotect(base + i * PAGE, PAGE, PROT_READ);
		mprotect(base + i * PAGE, PAGE, PROT_READ | PROT_WRITE);
		break;
	default:
		for (k = 0; k < 64; k++)
			check(base, (i + k) % pages);
	}
	did[action]++;
	for (k = 0; action == 1 && k < 16; k++) {
		longs[next(seed) % ARRAY(longs)] = next(seed) & 1 ? a : b;
		shorts[next(seed) % sizeof(shorts)] = next(seed) & 1 ? a : b;
	}
}

/* A write to a page that mprotect() has closed for a moment, or a failed fault. */
static __thread sigjmp_buf again;

static void fault(int signal)
{
	(void)signal;
	if (is_child)
		_exit(0);
	siglongjmp(again, 1);
}

/* Long patterns wait for a grace period, so they come less often. */
static int pick(unsigned int *seed)
{
	int action = next(seed) % ARRAY(what);

	return action == 1 && next(seed) % 16 ? 0 : action;
}

static void *run(void *arg)
{
	unsigned int seed = (uintptr_t)arg * 7919 + 1;

	while (!stop) {
		if (sigsetjmp(again, 1) && mine) {
			cut_short++;
			unmap_mine();
		}
		if (stop)
			break;
		one(&seed, pick(&seed));
	}
	return NULL;
}

static long node_sum(void)
{
	return stat_node("resident", a) + stat_node("resident", b);
}

/* What holds a region of this process beside a file descriptor. */
static void show_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "hybridmem"))
			diag("still mapped: %.40s", line);
	if (f)
		fclose(f);
}

/* The region has been closed: its pages go now, or somebody holds it. */
static void nothing_left(long resident, long regions)
{
	double began = seconds(), took;
	long pages, more;

	do {
		pages = node_sum() - resident;
		more = stat_event("regions") - regions;
		took = seconds() - began;
	} while ((pages || more) && took < PATIENCE && !usleep(10000));
	if (pages || more)
		show_mappings();
	diag("%lu faults with a mapping in hand, %lu times munmap was refused",
	     cut_short, refused_munmaps);
	ok(!pages && !more, "nothing is left (%ld pages, %ld regions, %.2f s)",
	   pages, more, took);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = fault };
	long resident, regions, i, threads = argc > 2 ? atol(argv[2]) : 6;
	pthread_t t[64];

	inject(false);
	if (argc > 1)
		seconds_to_run = atoi(argv[1]);
	if (!two_nodes(&a, &b, 64 * MIB)) {
		skip("stress", "needs two nodes with 64 MiB free each");
		return done();
	}
	if (threads > (long)ARRAY(t))
		threads = ARRAY(t);
	resident = node_sum();
	regions = stat_event("regions");
	fd = region_with(PATTERN(a, b), 0, 0);
	base = region_map(fd, REGION, MAP_SHARED, 0);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	inject(true);
	for (i = 0; i < threads; i++)
		while (pthread_create(&t[i], NULL, run, (void *)(i + 1)))
			;	/* out of memory */
	sleep(seconds_to_run);
	stop = true;
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	inject(false);	/* or a refusal would look like the end */
	for (i = 0; i < (long)ARRAY(what); i++)
		diag("%8lu %s", did[i], what[i]);
	ok(!bad_data, "%d s, %ld threads: data and refusals as they must be (%lu)",
	   seconds_to_run, threads, bad_data);
	ok(fdinfo(fd, "shared_pages") <= (long)(REGION / PAGE),
	   "no page too many");
	unmap(base, REGION);
	close(fd);
	nothing_left(resident, regions);
	return done();
}
