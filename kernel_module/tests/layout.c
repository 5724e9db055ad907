// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where pages go: patterns, granules, offsets, and pages already there. */
#include <sched.h>

#include "region.h"

static int a, b;

/* Map at an offset, touch, and compare every page with the pattern. */
static long wrong(int fd, unsigned long len, int flags, unsigned long offset,
		  const int *pattern, unsigned int shift)
{
	char *at = region_map(fd, len, flags, offset);
	long bad;

	touch(at, len);
	bad = misplaced(at, len / PAGE, offset / PAGE, pattern, shift);
	munmap(at, len);
	return bad;
}

static void orders(void)
{
	const int *p[] = {
		PATTERN(a), PATTERN(b), PATTERN(a, b), PATTERN(b, a),
		PATTERN(a, b, b), PATTERN(b, b, b, a, a, b, a),
	};
	unsigned long i;

	for (i = 0; i < ARRAY(p); i++) {
		int fd = region_with(p[i], HYBRIDMEM_F_STRICT, 0);
		long bad = wrong(fd, 8 * MIB, MAP_SHARED, 0, p[i], 0);

		ok(!bad, "pattern %lu shared: every page in its place", i);
		ok(fdinfo_node(fd, a) + fdinfo_node(fd, b) == 2048 &&
		   fdinfo(fd, "shared_pages") == 2048,
		   "and the counters agree");
		close(fd);
		fd = region_with(p[i], HYBRIDMEM_F_STRICT, 0);
		bad = wrong(fd, 8 * MIB, MAP_PRIVATE, 0, p[i], 0);
		ok(!bad, "pattern %lu private: every page in its place", i);
		ok(fdinfo(fd, "private") == 2048 &&
		   fdinfo(fd, "shared_pages") == 0 &&
		   fdinfo(fd, "private_fallbacks") == 0,
		   "and the counters agree");
		close(fd);
	}
}

static void offsets(void)
{
	const int *p = PATTERN(a, b, b);
	int fd = region_with(p, HYBRIDMEM_F_STRICT, 0);
	char *low, *high;

	ok(!wrong(fd, MIB, MAP_SHARED, 17 * PAGE, p, 0),
	   "a mapping at offset 17 pages: in phase with the file");
	ok(!wrong(fd, MIB, MAP_PRIVATE, 1025 * PAGE, p, 0),
	   "so is a private one at 1025");
	ok(!wrong(fd, 64 * PAGE, MAP_SHARED, (1UL << 40) + PAGE, p, 0),
	   "and one at 1 TiB");
	low = region_map(fd, MIB, MAP_SHARED, 64 * MIB);
	high = region_map(fd, MIB, MAP_SHARED, 64 * MIB + 5 * PAGE);
	touch(low, MIB);
	ok(high[0] == low[5 * PAGE] &&
	   !memcmp(high, low + 5 * PAGE, MIB - 5 * PAGE),
	   "two mappings at different offsets show the same pages");
	ok(!misplaced(high, 251, 64 * 256 + 5, p, 0),
	   "each of them in its place");
	high[MIB - 6 * PAGE] = 42;
	ok(low[MIB - PAGE] == 42, "what one writes, the other reads");
	close(fd);
	ok(low[PAGE * 7] == (char)(7 | 1), "a mapping outlives the descriptor");
	munmap(low, MIB);
	munmap(high, MIB);
}

static void granules(void)
{
	static const struct {
		unsigned int shift;
		const char *name;
		unsigned long base, len;
	} g[] = {
		{ 0, "4 KiB", 0, 4 * MIB },
		{ 4, "64 KiB", 3 * 16 * PAGE, 4 * MIB },
		{ 9, "2 MiB", 2 * MIB, 16 * MIB },
		/* 4 MiB each side of the first three edges of 1 GiB granules */
		{ 18, "1 GiB", 1020 * MIB, 8 * MIB },
		{ 18, "1 GiB", 2044 * MIB, 8 * MIB },
		{ 18, "1 GiB", 3068 * MIB, 8 * MIB },
	};
	const int *p = PATTERN(a, b, b);
	unsigned long i;

	for (i = 0; i < ARRAY(g); i++) {
		int fd = region_with(p, HYBRIDMEM_F_STRICT, g[i].shift);

		ok(!wrong(fd, g[i].len, MAP_SHARED, g[i].base, p, g[i].shift),
		   "granule %s at %lu MiB: every page in its place", g[i].name,
		   g[i].base / MIB);
		ok(!wrong(fd, g[i].len, MAP_PRIVATE, g[i].base, p, g[i].shift),
		   "private too");
		close(fd);
	}
}

static void replace(void)
{
	const int *ab = PATTERN(a, b), *only_b = PATTERN(b);
	int fd = region_with(ab, HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, 2 * MIB, MAP_SHARED, 0);
	unsigned char byte = b;

	touch(at, MIB);
	ok(write(fd, &byte, 1) == 1, "a new pattern");
	touch(at, 2 * MIB);
	ok(!misplaced(at, 256, 0, ab, 0), "leaves resident pages alone");
	ok(!misplaced(at + MIB, 256, 256, only_b, 0), "and rules new ones");
	ok(!region_punch(fd, 0, MIB), "punched");
	touch(at, MIB);
	ok(!misplaced(at, 256, 0, only_b, 0), "it rules the first ones too");
	ok(write(fd, NULL, 0) == 0 && !region_punch(fd, 0, 2 * MIB),
	   "no pattern");
	touch(at, 2 * MIB);
	ok(touched(at, 2 * MIB), "pages come by the task's own policy");
	munmap(at, 2 * MIB);
	close(fd);
}

static void long_pattern(void)
{
	unsigned long n = 1 << 20, len = 16 * MIB, i;
	unsigned char *p = malloc(n), *got = malloc(n);
	uint16_t *wide = malloc(2 * n);
	int *want = malloc((len / PAGE + 1) * sizeof(int));
	struct hybridmem_pattern h = { .nodes = (uintptr_t)wide, .len = n };
	int fd = region_open();
	char *at;

	srand(1);
	for (i = 0; i < n; i++)
		p[i] = rand() & 64 ? a : b;
	ok(write(fd, p, n) == (ssize_t)n, "a pattern of 1 Mi entries");
	ok(pread(fd, got, n, 0) == (ssize_t)n && !memcmp(p, got, n),
	   "read back");
	ok(!ioctl(fd, HYBRIDMEM_IOC_GET_PATTERN, &h), "and in 16 bits");
	for (i = 0; i < n && wide[i] == p[i]; i++)
		;
	ok(i == n, "the same");
	/* Across its end: the last 8 MiB of it, then its beginning. */
	at = region_map(fd, len, MAP_SHARED, n * PAGE - len / 2);
	touch(at, len);
	for (i = 0; i < len / PAGE; i++)
		want[i] = p[(n - len / PAGE / 2 + i) % n];
	want[i] = -1;
	ok(!misplaced(at, len / PAGE, 0, want, 0),
	   "every page in its place, also where it begins again");
	munmap(at, len);
	close(fd);
	free(p);
	free(got);
	free(wide);
	free(want);
}

static void visible(void)
{
	int fd = region_with(PATTERN(b, a), 0, 0), mode = -1;
	char *at = region_map(fd, MIB, MAP_SHARED, 0), key[32];

	touch(at, MIB);
	diag("%s", numa_maps(at));
	snprintf(key, sizeof(key), "N%d=128", a);
	ok(strstr(numa_maps(at), key) != NULL, "numa_maps: %s", key);
	snprintf(key, sizeof(key), "N%d=128", b);
	ok(strstr(numa_maps(at), key) != NULL, "numa_maps: %s", key);
	ok(strstr(numa_maps(at), " prefer") != NULL, "and its policy: prefer");
	region_config(fd, HYBRIDMEM_F_STRICT, 0);
	ok(strstr(numa_maps(at), " bind:") != NULL, "if strict: bind");
	ok(!syscall(SYS_get_mempolicy, &mode, NULL, 0, at, 2 /* MPOL_F_ADDR */) &&
	   mode == 2 /* MPOL_BIND */, "get_mempolicy agrees");
	munmap(at, MIB);
	close(fd);
}

static void module_counters(void)
{
	long regions = stat_event("regions"), in_a = stat_node("resident", a);
	long in_b = stat_node("resident", b), ever = stat_node("allocated", b);
	int fd = region_with(PATTERN(a, b, b), 0, 0);
	char *at = region_map(fd, 3 * MIB, MAP_SHARED, 0);

	touch(at, 3 * MIB);
	ok(stat_event("regions") == regions + 1, "sysfs: one region more");
	ok(stat_node("resident", a) == in_a + 256 &&
	   stat_node("resident", b) == in_b + 512, "resident pages, by node");
	region_punch(fd, 0, 3 * PAGE);
	ok(stat_node("resident", a) == in_a + 255 &&
	   stat_node("resident", b) == in_b + 510, "fewer after a punch");
	munmap(at, 3 * MIB);
	close(fd);
	ok(stat_event("regions") == regions &&
	   stat_node("resident", a) == in_a &&
	   stat_node("resident", b) == in_b, "all gone after the close");
	ok(stat_node("allocated", b) == ever + 512, "but not forgotten");
}

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Private pages are counted where they are touched; what is read is the sum. */
static void counted_on_each_cpu(void)
{
	unsigned long pages = 0;
	int fd = region_with(PATTERN(a, b), 0, 0), cpu, cpus = 0;
	char *at = region_map(fd, 64 * MIB, MAP_PRIVATE, 0);
	cpu_set_t before;

	sched_getaffinity(0, sizeof(before), &before);
	for (cpu = 0; cpu < CPU_SETSIZE && cpus < 16; cpu++) {
		if (!CPU_ISSET(cpu, &before) || !run_on(cpu))
			continue;
		touch(at + cpus * MIB, (16 + cpu) * PAGE);
		pages += 16 + cpu;
		cpus++;
	}
	sched_setaffinity(0, sizeof(before), &before);
	ok(fdinfo(fd, "private") == (long)pages,
	   "private pages of %d CPUs: the sum (%ld)", cpus,
	   fdinfo(fd, "private"));
	munmap(at, 64 * MIB);
	close(fd);
}

static long percpu_kib(void)
{
	return field(slurp("/proc/meminfo"), "Percpu");
}

/* Lost, the counters of each would be some KiB for many. */
static void opened_many_times(void)
{
	int i, times = 20000, cpus = sysconf(_SC_NPROCESSORS_CONF);
	long before, after;

	close(region_open());
	before = percpu_kib();
	for (i = 0; i < times; i++)
		close(region_open());
	after = percpu_kib();
	if (before < 0) {
		skip("counters per CPU", "/proc/meminfo has no Percpu");
		return;
	}
	ok(after - before < 24L * times * cpus / 1024 / 2,
	   "%d regions opened and closed leave nothing per CPU (%ld KiB)", times,
	   after - before);
}

int main(void)
{
	if (!two_nodes(&a, &b, 64 * MIB)) {
		skip("layout", "needs two nodes with 64 MiB free each");
		return done();
	}
	orders();
	offsets();
	granules();
	replace();
	long_pattern();
	visible();
	module_counters();
	counted_on_each_cpu();
	opened_many_times();
	return done();
}
