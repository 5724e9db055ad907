// SPDX-License-Identifier: MIT
/*
 * The tail of latency: single dependent loads, each between two readings of the clock, counted by the node
 * of their line. A mean of many hides the one that took long.
 *
 * Buckets as of HdrHistogram (G. Tene): 32 to an octave of ticks, so that each is known to 3 %.
 */
#include "noise.h"
#include "tail.h"
#include "team.h"

#define SUB_BITS	5
#define EMPTY_TURNS	1001

struct run {
	struct hm_tail tail;
	uint64_t turns;
	int samples;
	uint64_t *counts;		/* [sample][node][HM_TAIL_BUCKETS] */
	struct hm_sample *taken;
};

static inline unsigned int bucket_of(uint64_t ticks)
{
	unsigned int shift, index;

	if (ticks < 2u << SUB_BITS)
		return (unsigned int)ticks;
	shift = 63 - (unsigned int)__builtin_clzll(ticks) - SUB_BITS;
	index = (shift << SUB_BITS) + (unsigned int)(ticks >> shift);
	return index < HM_TAIL_BUCKETS ? index : HM_TAIL_BUCKETS - 1;
}

/* Least ticks that are counted in a bucket. */
uint64_t hm_tail_edge(unsigned int bucket)
{
	unsigned int shift = (bucket >> SUB_BITS) - 1;

	if (bucket < 2u << SUB_BITS)
		return bucket;
	return (uint64_t)((bucket & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS)) << shift;
}

/* Reads the clock, and has no later load begin before that. */
static inline uint64_t ticks_before(void)
{
	uint64_t now = hm_ticks_ordered();

#if defined(__x86_64__)
	_mm_lfence();
#elif defined(__aarch64__)
	__asm__ volatile("isb" : : : "memory");
#endif
	return now;
}

uint64_t hm_tail_empty_turn(void)
{
	uint64_t counts[HM_TAIL_BUCKETS] = { 0 }, seen = 0;
	unsigned int bucket = 0;

	for (int turn = 0; turn < EMPTY_TURNS; turn++) {
		uint64_t start = ticks_before();

		counts[bucket_of(hm_ticks_ordered() - start)]++;
	}
	while ((seen += counts[bucket]) <= EMPTY_TURNS / 2)
		bucket++;
	return hm_tail_edge(bucket);
}

void hm_tail_turns(struct hm_tail *tail, uint64_t turns, uint64_t *counts, uint64_t *waited)
{
	const struct hm_line *at = tail->at;

	for (uint64_t turn = 0; turn < turns; turn++) {
		const struct hm_line *line = at;
		uint64_t start = ticks_before(), spent;

		at = tail->machine ? hm_modelled_hops(tail->machine, at, 1, waited) : hm_plain_hops(at, 1);
		spent = hm_ticks_ordered() - start;
		spent = spent > tail->cost ? spent - tail->cost : 0;
		/* The line is in the cache by now. A ring has no other nodes. */
		if (line->node < tail->nodes)
			counts[line->node * HM_TAIL_BUCKETS + bucket_of(spent)]++;
	}
	tail->at = at;
}

static void tail_work(void *context, int thread)
{
	struct run *run = context;

	(void)thread;
	run->tail.cost = hm_tail_empty_turn();
	for (int sample = 0; sample < run->samples; sample++) {
		struct hm_sample *taken = &run->taken[sample];
		struct hm_noise noise;
		uint64_t waited = 0;

		hm_sample_prepare(&noise);
		hm_sample_begin(&noise);
		hm_tail_turns(&run->tail, run->turns,
			      &run->counts[(uint64_t)sample * run->tail.nodes * HM_TAIL_BUCKETS], &waited);
		hm_sample_end(&noise, taken);
		if (run->tail.machine)
			taken->waited_ns = (int64_t)((double)(waited >> FRACTION_BITS) / hm_ticks_per_ns());
		taken->payload_bytes = (int64_t)(run->turns * HM_LINE_BYTES);
	}
}

/*
 * @offset: where the chase begins, and on return where it is to resume. @counts: zeroed, for each sample
 * and node. @cost: ticks that were taken off each turn.
 */
int hm_chase_tail(const void *base, int cpu, uint64_t *offset, uint64_t turns, int samples, unsigned int nodes,
		  const struct hm_model *model, uint64_t *counts, struct hm_sample *taken, uint64_t *cost)
{
	const int32_t cpus[] = { cpu };
	struct hm_machine machine;
	struct run run = {
		.tail = {
			.at = (const struct hm_line *)((const char *)base + *offset),
			.machine = model ? &machine : NULL,
			.nodes = nodes,
		},
		.turns = turns, .samples = samples, .counts = counts, .taken = taken,
	};
	int ret;

	if (!turns || samples < 1 || !nodes)
		return -EINVAL;
	ret = hm_clock_init();
	if (!ret && model)
		ret = hm_machine_init(&machine, model, 0);
	if (!ret)
		ret = hm_team_run(1, cpus, tail_work, &run);
	*offset = (uint64_t)((const char *)run.tail.at - (const char *)base);
	*cost = run.tail.cost;
	return ret;
}
