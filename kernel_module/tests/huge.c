// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Huge pages where the granule allows them; the same placement where not. */
#include "cgroup.h"

#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE (2 * MIB)

static int a, b;
static const int *abb;

/* Does the kernel map this range with huge entries?  In KiB, from smaps. */
static long pmd_mapped(char *at)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256], key[32];
	bool mine = false;
	long kib = 0, n;

	snprintf(key, sizeof(key), "%lx-", (unsigned long)at);
	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && isxdigit((unsigned char)line[0]) &&
		    strchr(line, ':') > strchr(line, '-'))
			mine = !strncmp(line, key, strlen(key));
		if (mine && (sscanf(line, "FilePmdMapped: %ld", &n) == 1 ||
			     sscanf(line, "AnonHugePages: %ld", &n) == 1 ||
			     sscanf(line, "ShmemPmdMapped: %ld", &n) == 1))
			kib += n;
	}
	if (f)
		fclose(f);
	return kib;
}

static void huge_shared(unsigned int shift)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, shift);
	char *at = region_map(fd, 12 * HUGE, MAP_SHARED, 0);
	double t = seconds();

	touch(at, 12 * HUGE);
	diag("%.0f ns a page", (seconds() - t) / (12 * 512) * 1e9);
	ok(fdinfo(fd, "huge") == 12, "shift %u: 12 huge pages (%ld)", shift,
	   fdinfo(fd, "huge"));
	ok(pmd_mapped(at) == (long)(12 * HUGE / 1024),
	   "mapped as such (%ld KiB)", pmd_mapped(at));
	ok(!misplaced(at, 12 * 512, 0, abb, shift), "every page in its place");
	ok(fdinfo_node(fd, a) + fdinfo_node(fd, b) == 12 * 512,
	   "counted as small pages");
	ok(all_zero(at + 3 * HUGE + PAGE + 8, PAGE - 8), "zeroed");

	/* A hole in one of them: the rest of it stays, with its data. */
	ok(!region_punch(fd, HUGE + 5 * PAGE, 2 * PAGE), "punched inside one");
	ok(all_zero(at + HUGE + 5 * PAGE, 2 * PAGE) &&
	   at[HUGE + 4 * PAGE] == (char)((512 + 4) | 1) &&
	   at[HUGE + 7 * PAGE] == (char)((512 + 7) | 1), "the rest has its data");
	touch(at + HUGE, HUGE);
	ok(!misplaced(at, 12 * 512, 0, abb, shift), "every page in its place");
	ok(!region_punch(fd, 0, 12 * HUGE) && fdinfo(fd, "shared_pages") == 0,
	   "punched altogether");
	munmap(at, 12 * HUGE);
	close(fd);
}

static void not_suited(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 9);
	char *at = region_map(fd, HUGE - PAGE, MAP_SHARED, 0);

	touch(at, HUGE - PAGE);
	ok(fdinfo(fd, "huge") == 0 && fdinfo(fd, "shared_pages") == 511,
	   "a mapping short of a huge page gets what it maps");
	munmap(at, HUGE - PAGE);
	at = region_map(fd, 2 * HUGE, MAP_SHARED, 0);
	touch(at, 2 * HUGE);
	ok(fdinfo(fd, "huge") == 1 && !misplaced(at, 1024, 0, abb, 9),
	   "a huge page where no small page is yet");
	munmap(at, 2 * HUGE);
	close(fd);

	fd = region_with(abb, HYBRIDMEM_F_STRICT, 8);
	at = region_map(fd, 2 * HUGE, MAP_SHARED, 0);
	touch(at, 2 * HUGE);
	ok(fdinfo(fd, "huge") == 0 && !misplaced(at, 1024, 0, abb, 8),
	   "granule 1 MiB: no huge page");
	munmap(at, 2 * HUGE);
	close(fd);

	fd = region_with(abb, HYBRIDMEM_F_STRICT, 9);
	at = region_map(fd, 2 * HUGE, MAP_SHARED, 0);
	madvise(at, 2 * HUGE, MADV_NOHUGEPAGE);
	touch(at, 2 * HUGE);
	ok(fdinfo(fd, "huge") == 0 && !misplaced(at, 1024, 0, abb, 9),
	   "MADV_NOHUGEPAGE: small pages");
	munmap(at, 2 * HUGE);
	close(fd);

	spew("/sys/module/hybridmem/parameters/huge", "0");
	fd = region_with(abb, HYBRIDMEM_F_STRICT, 9);
	at = region_map(fd, 2 * HUGE, MAP_SHARED, 0);
	touch(at, 2 * HUGE);
	ok(fdinfo(fd, "huge") == 0 && !misplaced(at, 1024, 0, abb, 9),
	   "huge=0: small pages");
	spew("/sys/module/hybridmem/parameters/huge", "1");
	munmap(at, 2 * HUGE);
	close(fd);
}

static int child_sees(void *arg)
{
	char *at = arg;

	if (!touched(at, 2 * HUGE))
		return 1;
	at[HUGE + PAGE] = 8;
	return misplaced(at, 1024, 0, abb, 9) != 0;
}

static void huge_life(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 9);
	char *at = region_map(fd, 4 * HUGE, MAP_SHARED, 0), *off;

	touch(at, 2 * HUGE);
	ok(!in_child(child_sees, at) && at[HUGE + PAGE] == 8, "fork shares them");
	touch(at, 2 * HUGE);
	ok(!mprotect(at + PAGE, PAGE, PROT_READ) && touched(at, 2 * HUGE) &&
	   !mprotect(at + PAGE, PAGE, PROT_READ | PROT_WRITE),
	   "mprotect of one small page in it");
	ok(!madvise(at, 2 * HUGE, MADV_DONTNEED) && touched(at, 2 * HUGE),
	   "MADV_DONTNEED loses nothing");
	off = region_map(fd, HUGE, MAP_SHARED, PAGE);
	ok(off[0] == at[PAGE] && off[HUGE - PAGE] == at[HUGE],
	   "a mapping that is not aligned shows them");
	munmap(off, HUGE);
	at = mremap(at, 4 * HUGE, 8 * HUGE, MREMAP_MAYMOVE);
	touch(at, 8 * HUGE);
	ok(touched(at, 8 * HUGE) && !misplaced(at, 8 * 512, 0, abb, 9),
	   "mremap");
	munmap(at, 8 * HUGE);
	close(fd);
}

/* Linux makes the copies of a file's pages one by one: none of them is huge. */
static void private_pages(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 9);
	char *at = region_map(fd, 4 * HUGE, MAP_PRIVATE, 0);

	ok(!madvise(at, 4 * HUGE, MADV_HUGEPAGE), "private: MADV_HUGEPAGE");
	touch(at, 4 * HUGE);
	ok(pmd_mapped(at) == 0 && !misplaced(at, 4 * 512, 0, abb, 9),
	   "changes nothing: small pages, each in its place");
	ok(madvise(at, 4 * HUGE, MADV_COLLAPSE) == -1 && errno == EINVAL,
	   "MADV_COLLAPSE is EINVAL");
	ok(touched(at, 4 * HUGE) && !misplaced(at, 4 * 512, 0, abb, 9),
	   "and the pages stay as they are");
	munmap(at, 4 * HUGE);

	at = region_map(fd, HUGE, MAP_SHARED, 0);
	madvise(at, HUGE, MADV_NOHUGEPAGE);
	touch(at, HUGE);
	madvise(at, HUGE, MADV_HUGEPAGE);
	ok(madvise(at, HUGE, MADV_COLLAPSE) == -1 && errno == EINVAL,
	   "shared: MADV_COLLAPSE is EINVAL");
	ok(touched(at, HUGE), "and the pages stay");
	munmap(at, HUGE);
	close(fd);
}

static void counters(void)
{
	long in_a = stat_node("resident", a), in_b = stat_node("resident", b);
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 9);
	char *at = region_map(fd, 3 * HUGE, MAP_SHARED, 0);

	touch(at, 3 * HUGE);
	ok(stat_node("resident", a) == in_a + 512 &&
	   stat_node("resident", b) == in_b + 1024, "resident counts small pages");
	region_punch(fd, PAGE, PAGE);
	ok(stat_node("resident", a) == in_a + 511, "also when one is split (%ld)",
	   stat_node("resident", a) - in_a);
	munmap(at, 3 * HUGE);
	close(fd);
	ok(stat_node("resident", a) == in_a && stat_node("resident", b) == in_b,
	   "and none is left");
}

/* ------------------------------------------------------ cgroup at limit -- */

#define LIMIT		(16 * MIB)
#define GRANULES	32UL

/* The number after a word of memory.events, which has one a line. */
static long memory_event(const char *word)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), "\n%s ", word);
	at = strstr(cgroup_get("memory.events"), key);
	return at ? atol(at + strlen(key)) : -1;
}

/* A page of each granule: huge pages to the limit, and then what has room. */
static int one_page_of_each(void *arg)
{
	char pid[16], *at;
	unsigned long i;

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (cgroup_set("cgroup.procs", pid))
		return 100;
	at = region_map(*(int *)arg, GRANULES * HUGE, MAP_SHARED, 0);
	for (i = 0; i < GRANULES; i++)
		if (touch_until_sigbus(at + i * HUGE, PAGE, true) != 1)
			return 1;
	return 0;
}

static void at_the_limit(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT | HYBRIDMEM_F_NO_AHEAD, 9), r;
	long huge, hits, kills = vmstat("oom_kill"), small;
	char text[32];

	if (!cgroup2("memory")) {
		skip("huge pages at a limit", "no cgroup v2 memory controller here");
		close(fd);
		return;
	}
	snprintf(text, sizeof(text), "%lu", LIMIT);
	cgroup_set("memory.swap.max", "0");
	cgroup_set("memory.max", text);
	r = in_child(one_page_of_each, &fd);
	huge = fdinfo(fd, "huge");
	small = GRANULES - huge;
	hits = memory_event("max");
	ok(!r, "a limit with room for small pages: every granule succeeds (%d)", r);
	ok(huge > 0 && small > 0 &&
	   fdinfo(fd, "shared_pages") == huge * 512 + small,
	   "by huge pages while there is room (%ld), and small ones (%ld)", huge,
	   small);
	ok(memory_event("oom_kill") == 0 && vmstat("oom_kill") == kills,
	   "no process was killed");
	/* With all effort it would be 16 rounds of reclaim and more for each. */
	ok(hits >= 0 && hits <= 4 * small,
	   "and little was done for the huge ones (%ld times for %ld)", hits,
	   small);
	close(fd);
	rmdir(cgroup_root);
}

int main(void)
{
	int fd;
	char *at;

	if (!two_nodes(&a, &b, 96 * MIB)) {
		skip("huge", "needs two nodes with 96 MiB free each");
		return done();
	}
	abb = (int[]){ a, b, b, -1 };
	private_pages();
	fd = region_with(abb, 0, 9);
	at = region_map(fd, 8 * HUGE, MAP_SHARED, 0);
	touch(at, 8 * HUGE);
	ok(!misplaced(at, 8 * 512, 0, abb, 9),
	   "granule 2 MiB: every page in its place, huge or not");
	if (!fdinfo(fd, "huge")) {
		skip("huge", "this kernel has no large folios for files");
		return done();
	}
	munmap(at, 8 * HUGE);
	close(fd);
	huge_shared(9);
	huge_shared(10);
	not_suited();
	huge_life();
	counters();
	at_the_limit();
	return done();
}
