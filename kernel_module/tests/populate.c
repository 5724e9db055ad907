// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * populate [MiB] [rounds]: what a page costs, through the module, as ordinary
 * anonymous memory, and as the kernel's own shared memory (which has a page
 * cache to keep too), by turns in one run so that what disturbs one disturbs the
 * other.  For each granule and way of touching: the median of the rounds, and
 * its ratio to anonymous memory, which comes in huge pages where the granule is
 * as large as one, and else in small ones.
 *
 * In [ns]; in instructions where the lab says that its clocks count those.
 */
#include <sys/resource.h>
#include <linux/membarrier.h>

#include "region.h"

#ifndef MADV_NOHUGEPAGE
#define MADV_HUGEPAGE 14
#define MADV_NOHUGEPAGE 15
#endif

#define WINDOW		16UL
#define ROUNDS		64
#define NO_SUCH_WAY	(-1.0)

enum { ANON, SHMEM, SHARED, ALONE, PRIVATE, KINDS };
enum { TOUCH, SPARSE, POPULATE, WAYS };

static const char * const kinds[] = {
	"anonymous", "shared anonymous", "shared", "shared, none ahead",
	"private",
};

static const char * const ways[] = {
	"touch", "touch of one page in 16", "MADV_POPULATE_WRITE",
};

static const struct {
	unsigned int shift;
	const char *name;
} granules[] = {
	{ 0, "4 KiB" }, { 2, "16 KiB" }, { 4, "64 KiB" }, { 8, "1 MiB" },
	{ 9, "2 MiB" },
};

static unsigned long len = 64 * MIB;
static bool counting;		/* instructions, not time */
static int pattern[4];		/* nodes ended by -1 */

/* The counter of the CPU itself is exact; the kernel's clock is derived from it. */
static double now(void)
{
#ifdef __x86_64__
	if (counting)
		return __builtin_ia32_rdtsc();
#endif
	return seconds() * 1e9;
}

static void touch_all(char *at)
{
	unsigned long i;

	for (i = 0; i < len; i += PAGE)
		*(volatile char *)(at + i) = 1;
}

/* One page of each window, at random. */
static void touch_some(char *at)
{
	unsigned int seed = 15;
	unsigned long i;

	for (i = 0; i < len / PAGE; i += WINDOW) {
		seed = seed * 1103515245 + 12345;
		*(volatile char *)(at + (i + (seed >> 8) % WINDOW) * PAGE) = 1;
	}
}

static unsigned long resident(char *at)
{
	unsigned char there[512];
	unsigned long i, k, n = 0;

	for (i = 0; i < len; i += sizeof(there) * PAGE) {
		if (mincore(at + i, sizeof(there) * PAGE, there))
			bail_out("mincore: %s", strerror(errno));
		for (k = 0; k < sizeof(there); k++)
			n += there[k] & 1;
	}
	return n;
}

/*
 * Wait until what was let go is free: its callbacks would run while the next is
 * counted, and small pages before it leave more of them than huge ones.
 */
static void settle(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);	/* a grace period */
	usleep(10000);
}

/* What a touch costs, and the pages that it brings. */
static double cost(int kind, int way, unsigned int shift, double *pages)
{
	static const int flags_of[] = {
		MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
		MAP_SHARED, MAP_SHARED, MAP_PRIVATE,
	};
	int fd = kind < SHARED ? -1 :
		region_with(pattern, kind == ALONE ? HYBRIDMEM_F_NO_AHEAD : 0,
			    shift);
	unsigned long touches = len / PAGE / (way == SPARSE ? WINDOW : 1);
	char *at = aligned_map(fd, len, flags_of[kind], 0);
	bool possible = true;
	double t;

	if (kind < SHARED)
		madvise(at, len, shift < 9 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	settle();
	t = now();
	if (way == POPULATE)
		possible = !madvise(at, len, MADV_POPULATE_WRITE);
	else if (way == SPARSE)
		touch_some(at);
	else
		touch_all(at);
	t = now() - t;
	*pages = (double)resident(at) / touches;
	munmap(at, len);
	if (fd >= 0)
		close(fd);
	return possible ? t / touches : NO_SUCH_WAY;
}

static int by_value(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

static void row(const char *name, unsigned int shift, int way, int rounds)
{
	double took[KINDS][ROUNDS], pages[KINDS], median[KINDS];
	int r, kind;

	/*
	 * Each follows itself: what was let go before is what there is to take,
	 * and many small pages are another thing to find than few huge ones.
	 */
	for (r = 0; r < rounds; r++)
		for (kind = 0; kind < KINDS; kind++) {
			cost(kind, way, shift, &pages[kind]);
			took[kind][r] = cost(kind, way, shift, &pages[kind]);
		}
	for (kind = 0; kind < KINDS; kind++) {
		qsort(took[kind], rounds, sizeof(double), by_value);
		median[kind] = took[kind][rounds / 2];
	}
	if (median[ANON] < 0) {
		skip(ways[way], "not in this kernel");
		return;
	}
	for (kind = 0; kind < KINDS; kind++)
		diag("granule %s, %s, %s: %.0f %s a page (%.0f .. %.0f), ratio %.3f, %.2f pages",
		     name, ways[way], kinds[kind], median[kind],
		     counting ? "instructions" : "ns", took[kind][0],
		     took[kind][rounds - 1], median[kind] / median[ANON],
		     pages[kind]);
	ok(median[SHARED] > 0 && median[PRIVATE] > 0,
	   "granule %s, %s: ratio %.3f shared, %.3f private", name, ways[way],
	   median[SHARED] / median[ANON], median[PRIVATE] / median[ANON]);
}

int main(int argc, char **argv)
{
	const char *told = getenv("HMEXP_LAB_INSTRUCTIONS");
	int rounds, way;
	unsigned int i;

	counting = told && !strcmp(told, "1");
	if (counting)
		len = 16 * MIB;
	rounds = counting ? 3 : 9;
	if (argc > 1)
		len = atol(argv[1]) * MIB & -(2 * MIB);
	if (argc > 2)
		rounds = atoi(argv[2]);
	if (len < 2 * MIB || rounds < 1 || rounds > ROUNDS)
		bail_out("populate [MiB, at least 2] [rounds, 1 to %d]", ROUNDS);
	/* Two nodes in turn, which is what the module is for, if there are two. */
	if (two_nodes(&pattern[0], &pattern[1], 96 * MIB)) {
		pattern[2] = pattern[1];
		pattern[3] = -1;
	} else {
		pattern[0] = nodes[0];
		pattern[1] = -1;
	}
	diag("%s, %lu MiB, the middle of %d rounds, init_on_alloc %s",
	     counting ? "instructions" : "ns", len / MIB, rounds,
	     cmdline_has("init_on_alloc=0") ? "off" :
	     cmdline_has("init_on_alloc=1") ? "on" : "as built");
	for (i = 0; i < ARRAY(granules); i++)
		for (way = 0; way < WAYS; way++)
			row(granules[i].name, granules[i].shift, way, rounds);
	return done();
}
