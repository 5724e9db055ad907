// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Two threads of a process that change its mappings at once.
 *
 * In the arena nobody knows what is mapped just then.  But its page i, in both of
 * its halves, is page i of the common region or a private copy of that, and all
 * that is ever written there is i + 1: so it reads as i + 1, as zero, or not at all.
 */
#include "fuzz.h"

#define ARENA_BASE	0x3000000000UL
#define ARENA_HALF	(64 * MIB)
#define ARENA_PAGES	128UL

/*
 * The second thread does half as many operations as the first; so many of them in
 * a row, for an emulator pays much for a switch.
 */
#define BURST		64
#define REST		4000	/* us */

static char *arena(unsigned long half, unsigned long page)
{
	return (char *)ARENA_BASE + (half & 1) * ARENA_HALF + page * PAGE;
}

/* None of these changes what a page holds for those who may have it. */
static const int harmless[] = {
	MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_HUGEPAGE,
	MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, 20 /* COLD */, MADV_PAGEOUT,
	MADV_MERGEABLE, MADV_UNMERGEABLE, 22 /* POPULATE_READ */, 25 /* COLLAPSE */,
};

/* Nor do these in the arena, where old zeroes and new ones are the same. */
static const int arena_advices[] = {
	MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_POPULATE_WRITE,
	MADV_FREE, MADV_REMOVE, 24 /* DONTNEED_LOCKED */, 102, 103, /* GUARD_* */
	MADV_DONTFORK, MADV_DOFORK,
};

static const int protections[] = {
	PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
	PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_READ,
	PROT_NONE,
};

static int touch_arena(unsigned long half, unsigned long first, unsigned long n,
		       bool write)
{
	unsigned long i;
	bool torn;

	for (i = first; i < first + n; i++) {
		if (!write)
			common_check(arena(half, i), i);
		else if (poke(arena(half, i), middle_of(i), i + 1, &torn))
			break;	/* a signal takes as long as many pages */
	}
	return 0;
}

/* One thing in the arena; what it is follows from the number alone. */
static int race_once(unsigned long x)
{
	unsigned long first = x % ARENA_PAGES, n = 1 + (x >> 7 & 7);
	unsigned long half = x >> 10 & 1, len;
	int prot = protections[x >> 11 & 7];
	int flags = (x >> 14 & 1 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED;
	char *at = arena(half, first);

	if (n > ARENA_PAGES - first)
		n = ARENA_PAGES - first;
	len = n * PAGE;
	switch (x >> 15 & 15) {
	case 0:
	case 1:
	case 2:
		return mmap(at, len, prot, flags, common_fd, first * PAGE) ==
			       MAP_FAILED ? -errno : 0;
	case 3:
		return result(munmap(at, len));
	case 4:
	case 5:
		return result(mprotect(at, len, prot));
	case 6:
		return result(madvise(at, len,
				      harmless[(x >> 19) % ARRAY(harmless)]));
	case 7:
		return result(madvise(at, len,
				      arena_advices[(x >> 19) % ARRAY(arena_advices)]));
	case 8:
		return mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
			      (x >> 19 & 4), arena(!half, first)) ==
			       MAP_FAILED ? -errno : 0;
	case 9:
		return result(x >> 19 & 1 ? mlock(at, len) : munlock(at, len));
	case 10:
		return region_punch(common_fd, first * PAGE, len);
	default:
		return touch_arena(half, first, n, x >> 19 & 1);
	}
}

int op_race(void)
{
	return race_once(draw());
}

/* Look at a page of a view, or give advice on some: that changes none of them. */
static void disturb_view(unsigned long x)
{
	const volatile struct view *v = &views[x & (VIEWS - 1)];
	unsigned long pages = v->pages, page, value;
	char *at = v->at;
	bool torn;

	if (!v->used || !pages)
		return;
	page = (x >> 8) % pages;
	if (x >> 40 & 3) {
		peek(at + page * PAGE, 1, &value, &torn);
		return;	/* it proves nothing: not counted */
	}
	madvise(at + page * PAGE, (1 + (x >> 42 & 7)) * PAGE,
		harmless[(x >> 48) % ARRAY(harmless)]);
	tally->by_thread++;
}

void *other_thread(void *stop)
{
	volatile bool *over = stop;
	unsigned long x = seed, i, next = 0;

	while (!*over) {
		for (i = 0; i < BURST; i++) {
			x = x * 6364136223846793005UL + 1442695040888963407UL;
			if (x >> 63) {
				race_once(mix(x));
				tally->by_thread++;
			} else {
				disturb_view(mix(x));
			}
		}
		next += 2 * BURST;
		do {
			usleep(REST);
		} while (!*over &&
			 *(volatile unsigned long *)&tally->total < next);
	}
	return NULL;
}
