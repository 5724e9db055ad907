// SPDX-License-Identifier: MIT
/*
 * Idle latency: a chain of dependent loads through a random ring that visits every line of the
 * region once. Sattolo's algorithm makes a permutation that is one cycle; the caller walks the ring
 * and checks its length, because a shuffle that is not one cycle looks just like one that is.
 */
#include <stdlib.h>

#include "clock.h"
#include "model.h"
#include "team.h"

struct line {
	struct line *next;
	uint64_t node;			/* modelled node of this very line, fetched along with it */
};

/* xoshiro256** 1.0 by D. Blackman and S. Vigna, seeded by splitmix64, both in the public domain. */
struct random {
	uint64_t s[4];
};

static void random_seed(struct random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		random->s[i] = z ^ (z >> 31);
	}
}

static inline uint64_t rotate(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static uint64_t random_next(struct random *random)
{
	uint64_t *s = random->s;
	uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* 0..bound-1. The bias of at most bound/2^64 is of no account for a permutation of lines. */
static uint64_t random_below(struct random *random, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)random_next(random) * bound >> 64);
}

int hm_ring_build(void *base, uint64_t bytes, uint64_t spacing_bytes, uint64_t seed,
		  const struct hm_model *model, uint64_t *lines)
{
	uint64_t count;
	struct random random;
	uint32_t *next;

	if (spacing_bytes < sizeof(struct line) || spacing_bytes % 64)
		return -EINVAL;
	count = bytes / spacing_bytes;
	if (count < 2 || count > UINT32_MAX)
		return -EINVAL;
	next = malloc(count * sizeof(*next));
	if (!next)
		return -ENOMEM;
	random_seed(&random, seed);
	for (uint64_t i = 0; i < count; i++)
		next[i] = (uint32_t)i;
	for (uint64_t i = count - 1; i > 0; i--) {
		uint64_t j = random_below(&random, i);
		uint32_t swap = next[i];

		next[i] = next[j];
		next[j] = swap;
	}
	for (uint64_t i = 0; i < count; i++) {
		uint64_t offset = i * spacing_bytes;
		struct line *line = (struct line *)((char *)base + offset);

		line->next = (struct line *)((char *)base + next[i] * spacing_bytes);
		line->node = model ? model->entry_node[offset / model->granule_bytes % model->entries] : 0;
	}
	free(next);
	*lines = count;
	return 0;
}

struct walk {
	const struct line *start;
	uint64_t limit;
	uint64_t length;
};

static void walk_work(void *context, int thread)
{
	struct walk *walk = context;
	const struct line *at = walk->start;

	(void)thread;
	do {
		at = at->next;
		walk->length++;
	} while (at != walk->start && walk->length <= walk->limit);
}

/* Steps until the first line comes round again, or @limit + 1 if it does not come by then. */
int hm_ring_walk(const void *base, int cpu, uint64_t limit, uint64_t *length)
{
	struct walk walk = { .start = base, .limit = limit };
	const int32_t cpus[] = { cpu };
	int ret = hm_team_run(1, cpus, walk_work, &walk);

	*length = walk.length;
	return ret;
}

struct chase {
	const struct line *at;
	const struct hm_machine *machine;
	uint64_t hops;
	int samples;
	int64_t *elapsed_ns;
};

static const struct line *plain_hops(const struct line *at, uint64_t hops)
{
	for (uint64_t i = 0; i < hops; i++) {
		at = at->next;
		/* Each hop is to be made, and none merged with the next. */
		__asm__ volatile("" : "+r"(at));
	}
	return at;
}

/*
 * The deadline of a hop is that of the hop before plus the latency of its node. A hop that the host
 * made late is made up for by the next ones, up to the slack: the mean is the node's, the spread
 * within the slack is the host's.
 */
static const struct line *modelled_hops(const struct hm_machine *machine, const struct line *at, uint64_t hops)
{
	uint64_t deadline = (hm_ticks() - machine->origin) << FRACTION_BITS;

	for (uint64_t i = 0; i < hops; i++) {
		uint64_t now;

		deadline += machine->servers[at->node].latency;
		at = at->next;
		do {
			now = (hm_ticks() - machine->origin) << FRACTION_BITS;
		} while (now < deadline);
		if (now - deadline > machine->latency_slack)
			deadline = now - machine->latency_slack;
		__asm__ volatile("" : "+r"(at));
	}
	return at;
}

static void chase_work(void *context, int thread)
{
	struct chase *chase = context;
	const struct line *at = chase->at;

	(void)thread;
	for (int sample = 0; sample < chase->samples; sample++) {
		int64_t start = hm_now_ns();

		at = chase->machine ? modelled_hops(chase->machine, at, chase->hops) : plain_hops(at, chase->hops);
		chase->elapsed_ns[sample] = hm_now_ns() - start;
	}
	chase->at = at;
}

int hm_chase(const void *base, int cpu, uint64_t hops, int samples, const struct hm_model *model,
	     int64_t *elapsed_ns, uint64_t *end_offset)
{
	struct chase chase = {
		.at = (const struct line *)((const char *)base + *end_offset),
		.hops = hops,
		.samples = samples,
		.elapsed_ns = elapsed_ns,
	};
	const int32_t cpus[] = { cpu };
	struct hm_machine machine;
	int ret;

	if (!hops || samples < 1)
		return -EINVAL;
	ret = hm_clock_init();
	if (ret)
		return ret;
	if (model) {
		ret = hm_machine_init(&machine, model);
		if (ret)
			return ret;
		chase.machine = &machine;
	}
	ret = hm_team_run(1, cpus, chase_work, &chase);
	*end_offset = (uint64_t)((const char *)chase.at - (const char *)base);
	return ret;
}
