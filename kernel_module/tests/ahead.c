// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pages that come before they are touched: in a sequence, in their place, and
 * nowhere else; and threads that want the last pages of a node at once.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "region.h"

#define WINDOW	16UL
#define PARAMETER "/sys/module/hybridmem/parameters/ahead"

static int a, b;
static const int *abb;

/* At the start of a page table, which no window crosses. */
static char *aligned_map(int fd, unsigned long len, int flags,
			 unsigned long offset)
{
	char *room = mmap(NULL, len + 2 * MIB, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)room + 2 * MIB - 1) & -(2 * MIB));

	if (room == MAP_FAILED ||
	    mmap(at, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
		 offset) != at)
		bail_out("mmap %lu bytes: %s", len, strerror(errno));
	return at;
}

static long minor_faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt;
}

/* Touch in order; the pages that came ahead. */
static long sequence(int fd, char *at, unsigned long len)
{
	long before = fdinfo(fd, "ahead");

	touch(at, len);
	return fdinfo(fd, "ahead") - before;
}

static void in_order(unsigned int shift)
{
	unsigned long len = 16 * MIB, pages = len / PAGE;
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, shift);
	char *at = aligned_map(fd, len, MAP_SHARED, 0);
	long faults = minor_faults(), all = stat_event("ahead"), n;

	/* Two faults begin; then there is one to a window. */
	n = sequence(fd, at, len);
	faults = minor_faults() - faults;
	ok(n == (long)(pages - 2 - pages / WINDOW),
	   "shift %u: %ld of %lu pages came ahead", shift, n, pages);
	ok(faults < (long)(pages / 8), "by %ld faults", faults);
	ok(stat_event("ahead") == all + n, "counted in sysfs too");
	ok(!misplaced(at, pages, 0, abb, shift), "every page in its place");
	ok(fdinfo(fd, "fallbacks") == 0 && fdinfo(fd, "refused") == 0,
	   "none fell back, none was refused");
	ok(fdinfo(fd, "shared_pages") == (long)pages &&
	   fdinfo_node(fd, a) + fdinfo_node(fd, b) == (long)pages,
	   "the counters know each page once");
	ok(touched(at, len), "the data is there");
	munmap(at, len);

	/* Reads, of what was freed. */
	region_punch(fd, 0, len);
	at = aligned_map(fd, len, MAP_SHARED, 0);
	n = fdinfo(fd, "ahead");
	ok(all_zero(at, len) && fdinfo(fd, "ahead") - n > (long)(pages * 9 / 10),
	   "reads in order are zero and come ahead");
	ok(!misplaced(at, pages, 0, abb, shift), "every page in its place");
	munmap(at, len);
	close(fd);
}

static unsigned int next(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* One page in 16 at random: by window, and anywhere; 1.10 pages a touch. */
static void at_random(bool by_window)
{
	unsigned long pages = 64 * MIB / PAGE, touches = pages / WINDOW, i;
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = aligned_map(fd, pages * PAGE, MAP_SHARED, 0);
	char *seen = calloc(pages, 1);
	unsigned int seed = 15;
	long distinct = 0, got;

	for (i = 0; i < touches; i++) {
		unsigned long page = by_window ?
			i * WINDOW + next(&seed) % WINDOW : next(&seed) % pages;

		*(volatile char *)(at + page * PAGE) = 1;
		distinct += !seen[page];
		seen[page] = 1;
	}
	got = fdinfo(fd, "shared_pages");
	ok(got * 100 <= distinct * 110, "%s: %ld pages for %ld touched (%.3f)",
	   by_window ? "one of each 16 pages" : "one in 16 pages anywhere", got,
	   distinct, (double)got / distinct);
	free(seen);
	munmap(at, pages * PAGE);
	close(fd);
}

/* Pairs of pages far from each other are no sequence. */
static void pairs(void)
{
	unsigned long pages = 16 * MIB / PAGE, i;
	int fd = region_with(abb, 0, 0);
	char *at = aligned_map(fd, pages * PAGE, MAP_SHARED, 0);

	for (i = 4; i < pages; i += 2 * WINDOW)
		touch(at + i * PAGE, 2 * PAGE);
	ok(fdinfo(fd, "ahead") == 0, "two pages in a row are no sequence");
	munmap(at, pages * PAGE);
	close(fd);
}

static void asked_not_to(void)
{
	unsigned long len = 4 * MIB;
	int fd = region_with(abb, HYBRIDMEM_F_NO_AHEAD, 0);
	struct hybridmem_config c;
	char *at = aligned_map(fd, len, MAP_SHARED, 0);

	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_CONFIG, &c) &&
	   c.flags == HYBRIDMEM_F_NO_AHEAD, "the region's setting is kept");
	ok(sequence(fd, at, len) == 0, "none for a region that wants none");
	munmap(at, len);
	region_config(fd, 0, 0);
	at = aligned_map(fd, len, MAP_SHARED, len);
	madvise(at, len, MADV_RANDOM);
	ok(sequence(fd, at, len) == 0, "none with MADV_RANDOM");
	munmap(at, len);
	at = aligned_map(fd, len, MAP_SHARED, 2 * len);
	madvise(at, len, MADV_SEQUENTIAL);
	*(volatile char *)(at + 5 * PAGE) = 1;
	ok(fdinfo(fd, "ahead") == (long)(WINDOW - 6),
	   "at once with MADV_SEQUENTIAL (%ld)", fdinfo(fd, "ahead"));
	munmap(at, len);
	at = aligned_map(fd, len, MAP_PRIVATE, 3 * len);
	ok(sequence(fd, at, len) == 0, "none for a private mapping");
	munmap(at, len);
	if (!geteuid() && !spew(PARAMETER, "0")) {
		at = aligned_map(fd, len, MAP_SHARED, 4 * len);
		ok(sequence(fd, at, len) == 0, "none with the parameter 0");
		munmap(at, len);
		spew(PARAMETER, "1000000");
		at = aligned_map(fd, len, MAP_SHARED, 6 * len);
		ok(sequence(fd, at, len) ==
		   (long)(len / PAGE - 2 - len / PAGE / WINDOW),
		   "a parameter too large is a window");
		munmap(at, len);
		spew(PARAMETER, "16");
	} else {
		skip("parameter", "cannot write " PARAMETER);
	}
	close(fd);
}

/* What is not mapped is not brought, and a page that is there stops it. */
static void within(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = aligned_map(fd, 10 * PAGE, MAP_SHARED, 3 * PAGE), *all;

	touch(at, 10 * PAGE);
	ok(fdinfo(fd, "shared_pages") == 10,
	   "no page before or behind the mapping (%ld)",
	   fdinfo(fd, "shared_pages"));
	munmap(at, 10 * PAGE);
	region_punch(fd, 0, MIB);
	all = aligned_map(fd, MIB, MAP_SHARED, 0);
	all[6 * PAGE] = 7;
	touch(all, 3 * PAGE);
	ok(fdinfo(fd, "shared_pages") == 7 && all[6 * PAGE] == 7,
	   "as far as a page that is there (%ld)", fdinfo(fd, "shared_pages"));
	ok(!misplaced(all, 7, 0, abb, 0), "every page in its place");
#ifdef MADV_POPULATE_WRITE
	if (!madvise(all, MIB, MADV_POPULATE_WRITE)) {
		ok(fdinfo(fd, "shared_pages") == (long)(MIB / PAGE) &&
		   all[6 * PAGE] == 7 &&
		   !misplaced(all, MIB / PAGE, 0, abb, 0),
		   "MADV_POPULATE_WRITE");
	} else {
		skip("MADV_POPULATE_WRITE", "not in this kernel");
	}
#endif
	munmap(all, MIB);
	close(fd);
}

/* ------------------------------------------- threads at the last pages -- */

#define THREADS	4
#define TURNS	3000
#define PATIENCE 60	/* seconds for them */
#define STEP	512	/* pages freed when nobody has had one */

static pthread_barrier_t together;
static char *contested;
static volatile bool over;
static bool refused[THREADS];
static __thread sigjmp_buf back;

static void jump_back(int signal)
{
	siglongjmp(back, signal);
}

static void *contender(void *arg)
{
	bool *no = arg;

	for (;;) {
		pthread_barrier_wait(&together);
		if (over)
			return NULL;
		*no = true;
		if (!sigsetjmp(back, 1)) {
			*(volatile char *)contested = 1;
			*no = false;
		}
		pthread_barrier_wait(&together);	/* all have tried */
		pthread_barrier_wait(&together);	/* the next is set up */
	}
}

static void give_back(int fd, char *at, int flags, unsigned long page,
		      unsigned long pages)
{
	if (flags == MAP_SHARED)
		region_punch(fd, page * PAGE, pages * PAGE);
	else
		madvise(at + page * PAGE, pages * PAGE, MADV_DONTNEED);
}

/*
 * Threads that touch the same page at once, on to the last that a node has: one
 * that is refused while another has the page is a mistake.  Of a private
 * mapping the module does not see the page that another thread is about to map:
 * it was refused once in 3000 turns, on 6.12.
 */
static void last_pages(int flags)
{
	const char *name = flags == MAP_SHARED ? "shared" : "private";
	int tiny = tiny_node(), fd, i, t, split = 0, all = 0, none = 0;
	struct sigaction sa = { .sa_handler = jump_back }, old;
	unsigned long len, n;
	pthread_t threads[THREADS];
	double began;
	char *at;

	if (tiny < 0) {
		skip("last pages", "needs a node of at most 512 MiB beside others");
		return;
	}
	fd = region_with(PATTERN(tiny), HYBRIDMEM_F_STRICT, 0);
	len = node_meminfo(tiny, "MemTotal") + 64 * MIB;
	at = aligned_map(fd, len, flags, 0);
	n = touch_until_sigbus(at, len, true);
	ok(n && n < len / PAGE, "%s: the node is full (%lu pages)", name, n);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &old);
	pthread_barrier_init(&together, NULL, THREADS + 1);
	contested = at + n * PAGE;
	for (t = 0; t < THREADS; t++)
		pthread_create(&threads[t], NULL, contender, &refused[t]);
	over = false;
	began = seconds();
	for (i = 0; i < TURNS && seconds() - began < PATIENCE; i++) {
		int no = 0;

		pthread_barrier_wait(&together);
		pthread_barrier_wait(&together);
		for (t = 0; t < THREADS; t++)
			no += refused[t];
		*(no == 0 ? &all : no == THREADS ? &none : &split) += 1;
		/* On to the end of what the node has, or back to begin again. */
		if (no < THREADS) {
			n++;
		} else if (n > STEP) {
			n -= STEP;
			give_back(fd, at, flags, n, STEP);
		}
		contested = at + n * PAGE;
		pthread_barrier_wait(&together);
	}
	over = true;
	pthread_barrier_wait(&together);
	for (t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	pthread_barrier_destroy(&together);
	sigaction(SIGBUS, &old, NULL);
	ok(split <= (flags == MAP_SHARED ? 0 : i / 100) && all && none, "%s: no thread is refused what another has (%d had by all, %d by none, %d split)",
	   name, all, none, split);
	munmap(at, len);
	close(fd);
}

int main(void)
{
	if (!two_nodes(&a, &b, 96 * MIB)) {
		skip("ahead", "needs two nodes with 96 MiB free each");
		return done();
	}
	abb = (int[]){ a, b, b, -1 };
	in_order(0);
	in_order(4);
	at_random(true);
	at_random(false);
	pairs();
	asked_not_to();
	within();
	last_pages(MAP_SHARED);
	last_pages(MAP_PRIVATE);
	return done();
}
