// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * populate [MiB] [rounds]: what a page costs, through the module, as ordinary
 * anonymous memory, and as the kernel's own shared memory (which has a page
 * cache to keep too), by turns in one run so that what disturbs one disturbs the
 * other.  Reports the median of the rounds [ns per 4 KiB page] and the ratio.
 */
#include <sys/resource.h>

#include "region.h"

#ifndef MADV_NOHUGEPAGE
#define MADV_NOHUGEPAGE 15
#endif

enum { ANON, SHMEM, SHARED, PRIVATE, KINDS };
enum { TOUCH, SPARSE, POPULATE, WAYS };

static const char * const kinds[] = {
	"anonymous", "shared anonymous", "shared", "private",
};

static const char * const ways[] = {
	"touch", "touch of one page in 16", "MADV_POPULATE_WRITE",
};

static unsigned long len = 64 * MIB;

static double cost(int kind, int way, int node, unsigned int shift)
{
	static const int flags_of[] = {
		MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
		MAP_SHARED, MAP_PRIVATE,
	};
	int fd = kind < SHARED ? -1 : region_with(PATTERN(node), 0, shift);
	int flags = flags_of[kind];
	char *at = region_map(fd, len, flags, 0);
	unsigned long i, touches = len / PAGE;
	unsigned int seed = 15;
	double t;

	if (!shift)
		madvise(at, len, MADV_NOHUGEPAGE);
	else if (kind == ANON)
		madvise(at, len, MADV_HUGEPAGE);
	t = seconds();
	if (way == POPULATE) {
		if (madvise(at, len, MADV_POPULATE_WRITE))
			t = 1e18;
	} else if (way == SPARSE) {
		touches /= 16;
		for (i = 0; i < touches; i++) {
			seed = seed * 1103515245 + 12345;
			*(volatile char *)(at + (i * 16 + (seed >> 8) % 16) * PAGE) = 1;
		}
	} else {
		for (i = 0; i < len; i += PAGE)
			*(volatile char *)(at + i) = 1;
	}
	t = seconds() - t;	/* < 0: no such advice */
	munmap(at, len);
	if (fd >= 0)
		close(fd);
	return t < 0 ? -1 : t / touches * 1e9;
}

static int by_value(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 9, r, kind, way, node;
	double ns[KINDS][64], median[KINDS];
	unsigned int shift;

	if (argc > 1)
		len = atol(argv[1]) * MIB;
	if (rounds > 64)
		rounds = 64;
	find_nodes();
	node = nodes[0];	/* where an anonymous page comes from too */
	for (shift = 0; shift <= 9; shift += 9) {
		for (way = 0; way < WAYS; way++) {
			for (r = -1; r < rounds; r++)	/* one to warm up */
				for (kind = 0; kind < KINDS; kind++)
					ns[kind][r < 0 ? 0 : r] =
						cost(kind, way, node, shift);
			for (kind = 0; kind < KINDS; kind++) {
				qsort(ns[kind], rounds, sizeof(double), by_value);
				median[kind] = ns[kind][rounds / 2];
			}
			if (median[ANON] < 0) {
				skip(ways[way], "not in this kernel");
				continue;
			}
			for (kind = 0; kind < KINDS; kind++)
				diag("granule %s, %s, %s: %.0f ns a page (%.0f .. %.0f), ratio %.2f",
				     shift ? "2 MiB" : "4 KiB", ways[way],
				     kinds[kind], median[kind], ns[kind][0],
				     ns[kind][rounds - 1],
				     median[kind] / median[ANON]);
			ok(median[SHARED] > 0, "granule %s, %s: ratio %.2f shared, %.2f private",
			   shift ? "2 MiB" : "4 KiB", ways[way],
			   median[SHARED] / median[ANON],
			   median[PRIVATE] / median[ANON]);
		}
	}
	return done();
}
