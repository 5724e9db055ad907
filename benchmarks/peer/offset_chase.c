// SPDX-License-Identifier: MIT
/*
 * A second opinion on latency: a pointer chase that shares nothing with hmexp's but what it measures.
 *
 * Links are byte offsets from the start of the memory, not pointers. Each window's lines are one cycle by
 * Sattolo's algorithm (S. Sattolo, "An algorithm to generate a random cyclic permutation", Information
 * Processing Letters 22, 1986), which swaps links rather than shuffling a list of lines. Every link is then
 * followed once, alone, with a mark on each line that is passed. The clock is CLOCK_MONOTONIC.
 *
 * A library, so that both go over the very same memory by turns: chase_lay() writes the links `at` bytes into each
 * line, where they are out of the way of another chase's, and chase_follow() walks on from where it was left.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

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
static int join_windows(char *memory, uint64_t windows, uint64_t window, uint64_t *random)
{
	uint64_t *order = malloc(windows * sizeof(*order)), first;

	if (!order)
		return -ENOMEM;
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
	return 0;
}

/* Lines of the cycle, which must be all. */
static int64_t check_cycle(const char *memory, uint64_t bytes, uint64_t spacing)
{
	unsigned char *seen = calloc(bytes / spacing, 1);
	uint64_t at = 0, passed = 0;

	if (!seen)
		return -ENOMEM;
	while (!seen[at / spacing]) {
		seen[at / spacing] = 1;
		passed++;
		at = *(const uint64_t *)(memory + at);
	}
	free(seen);
	return at || passed != bytes / spacing ? -EINVAL : (int64_t)passed;
}

/* Lay the cycle; returns how many lines it has, or a negative errno. */
int64_t chase_lay(char *memory, uint64_t at, uint64_t bytes, uint64_t spacing, uint64_t window, uint64_t random)
{
	int ret;

	if (spacing < 64 || spacing % 64 || window < 2 * spacing || window % spacing || !bytes || bytes % window ||
	    at % sizeof(uint64_t) || at > 64 - sizeof(uint64_t))
		return -EINVAL;
	memory += at;
	for (uint64_t start = 0; start < bytes; start += window)
		make_cycle(memory, start, window / spacing, spacing, &random);
	ret = join_windows(memory, bytes / window, window, &random);
	return ret ? ret : check_cycle(memory, bytes, spacing);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Follow @hops links from @where, which is left where they end; returns how long that took [ns]. */
__attribute__((noinline)) int64_t chase_follow(const char *memory, uint64_t at, uint64_t hops, uint64_t *where)
{
	int64_t begun = now_ns();
	uint64_t offset = *where;

	memory += at;
	while (hops--) {
		offset = *(const uint64_t *)(memory + offset);
		__asm__ volatile("" : "+r"(offset));
	}
	*where = offset;
	return now_ns() - begun;
}
