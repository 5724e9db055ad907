// SPDX-License-Identifier: MIT
/*
 * A second opinion on latency: a pointer chase that shares nothing with hmexp's but what it measures.
 *
 * Links are byte offsets from the start of the memory, not pointers. Each window's lines are one cycle by
 * Sattolo's algorithm (S. Sattolo, "An algorithm to generate a random cyclic permutation", Information
 * Processing Letters 22, 1986), which swaps links rather than shuffling a list of lines. Every link is then
 * followed once, alone, with a mark on each line that is passed. The clock is CLOCK_MONOTONIC.
 *
 *	offset_chase BYTES SPACING WINDOW HUGE CPU HOPS SAMPLES SEED
 *
 * prints the number of lines, the bytes on huge pages, and one line per sample [ns per load].
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* splitmix64 by S. Vigna, in the public domain. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t *link_at(char *memory, uint64_t offset)
{
	return (uint64_t *)(memory + offset);
}

/* One random cycle through @count lines from @start on. */
static void make_cycle(char *memory, uint64_t start, uint64_t count, uint64_t spacing, uint64_t *random)
{
	for (uint64_t i = 0; i < count; i++)
		*link_at(memory, start + i * spacing) = start + i * spacing;
	for (uint64_t i = count - 1; i > 0; i--) {
		uint64_t *a = link_at(memory, start + i * spacing);
		uint64_t *b = link_at(memory, start + next_random(random) % i * spacing);
		uint64_t swap = *a;

		*a = *b;
		*b = swap;
	}
}

/*
 * The first line of each window gets the link of the first line of another window, in a random round of all
 * windows: a chase comes in behind the first line, goes through the whole window, and leaves by the first line.
 */
static void join_windows(char *memory, uint64_t windows, uint64_t window, uint64_t *random)
{
	uint64_t *order = malloc(windows * sizeof(*order)), first;

	if (!order)
		fail("malloc");
	for (uint64_t i = 0; i < windows; i++)
		order[i] = i;
	for (uint64_t i = windows - 1; i > 0; i--) {
		uint64_t j = next_random(random) % (i + 1), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	first = *link_at(memory, order[0] * window);
	for (uint64_t i = 0; i + 1 < windows; i++)
		*link_at(memory, order[i] * window) = *link_at(memory, order[i + 1] * window);
	*link_at(memory, order[windows - 1] * window) = first;
	free(order);
}

static void check_cycle(const char *memory, uint64_t bytes, uint64_t spacing, uint64_t lines)
{
	unsigned char *seen = calloc(bytes / spacing, 1);
	uint64_t at = 0, passed = 0;

	if (!seen)
		fail("calloc");
	while (!seen[at / spacing]) {
		seen[at / spacing] = 1;
		passed++;
		at = *(const uint64_t *)(memory + at);
	}
	free(seen);
	if (at || passed != lines) {
		fprintf(stderr, "the cycle has %llu lines and should have %llu\n", (unsigned long long)passed,
			(unsigned long long)lines);
		exit(1);
	}
}

__attribute__((noinline)) uint64_t follow(const char *memory, uint64_t at, uint64_t hops)
{
	while (hops--) {
		at = *(const uint64_t *)(memory + at);
		__asm__ volatile("" : "+r"(at));
	}
	return at;
}

static uint64_t huge_bytes(const char *memory)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long long start, end, kib, found = 0;
	char line[512];
	int inside = 0;

	if (!file)
		fail("/proc/self/smaps");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			inside = start <= (uintptr_t)memory && (uintptr_t)memory < end;
		else if (inside && sscanf(line, "AnonHugePages: %llu kB", &kib) == 1)
			found = kib * 1024;
	}
	fclose(file);
	return found;
}

int main(int argc, char **argv)
{
	uint64_t bytes, spacing, window, hops, samples, random, at = 0;
	struct timespec begun, ended;
	cpu_set_t cpus;
	char *memory;

	if (argc != 9) {
		fprintf(stderr, "usage: offset_chase BYTES SPACING WINDOW HUGE CPU HOPS SAMPLES SEED\n");
		return 2;
	}
	bytes = strtoull(argv[1], NULL, 0);
	spacing = strtoull(argv[2], NULL, 0);
	window = strtoull(argv[3], NULL, 0);
	hops = strtoull(argv[6], NULL, 0);
	samples = strtoull(argv[7], NULL, 0);
	random = strtoull(argv[8], NULL, 0);
	if (spacing < 64 || spacing % 64 || window < 2 * spacing || window % spacing || !bytes || bytes % window ||
	    !hops) {
		fprintf(stderr, "BYTES must be whole windows, and those two whole spacings or more, of 64 bytes each\n");
		return 2;
	}
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[5]), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("sched_setaffinity");
	memory = aligned_alloc(2 << 20, (bytes + (2 << 20) - 1) >> 21 << 21);
	if (!memory)
		fail("aligned_alloc");
	if (madvise(memory, bytes, atoi(argv[4]) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		fail("madvise");
	memset(memory, 0, bytes);
	for (uint64_t start = 0; start < bytes; start += window)
		make_cycle(memory, start, window / spacing, spacing, &random);
	join_windows(memory, bytes / window, window, &random);
	check_cycle(memory, bytes, spacing, bytes / spacing);
	printf("%llu %llu\n", (unsigned long long)(bytes / spacing), (unsigned long long)huge_bytes(memory));
	/* The first one is not reported: it warms up. */
	for (uint64_t sample = 0; sample <= samples; sample++) {
		clock_gettime(CLOCK_MONOTONIC, &begun);
		at = follow(memory, at, hops);
		clock_gettime(CLOCK_MONOTONIC, &ended);
		if (sample)
			printf("%.6f\n", ((double)(ended.tv_sec - begun.tv_sec) * 1e9 +
					  (double)(ended.tv_nsec - begun.tv_nsec)) / (double)hops);
	}
	return at == 1;
}
