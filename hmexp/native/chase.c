// SPDX-License-Identifier: MIT
/*
 * Latency: chains of dependent loads through a ring. One chain gives the latency; several at once, each
 * on a part of the ring of its own, give what memory-level parallelism makes of it.
 */
#include <stdlib.h>

#include "chase.h"
#include "noise.h"
#include "team.h"

struct chase {
	const char *base;
	const struct hm_line *at[HM_MAX_CHAINS];
	struct hm_machine *machine;
	int chains;
	uint64_t hops;
	int samples;
	struct hm_sample *taken;
	double *block_ns;
	uint64_t blocks;
};

const struct hm_line *hm_plain_hops(const struct hm_line *at, uint64_t hops)
{
	for (uint64_t i = 0; i < hops; i++) {
		at = at->next;
		/* Each hop is to be made, and none merged with the next. */
		__asm__ volatile("" : "+r"(at));
	}
	return at;
}

static inline __attribute__((always_inline)) void plain_chains(const struct hm_line **given, int chains,
								uint64_t hops)
{
	const struct hm_line *at[HM_MAX_CHAINS];

#pragma GCC unroll 16
	for (int c = 0; c < chains; c++)
		at[c] = given[c];
	for (uint64_t i = 0; i < hops; i++) {
#pragma GCC unroll 16
		for (int c = 0; c < chains; c++)
			at[c] = at[c]->next;
		__asm__ volatile("" : : : "memory");
	}
#pragma GCC unroll 16
	for (int c = 0; c < chains; c++)
		given[c] = at[c];
}

/* The number of chains is a constant in each case, so that the pointers stay in registers. */
static void plain_hops(const struct hm_line **at, int chains, uint64_t hops)
{
#define CASE(n) case n: plain_chains(at, n, hops); break
	switch (chains) {
	case 1:
		at[0] = hm_plain_hops(at[0], hops);
		break;
	CASE(2);
	CASE(3);
	CASE(4);
	CASE(5);
	CASE(6);
	CASE(7);
	CASE(8);
	CASE(9);
	CASE(10);
	CASE(11);
	CASE(12);
	CASE(13);
	CASE(14);
	CASE(15);
	CASE(16);
	}
#undef CASE
}

static void modelled_chains(struct hm_machine *machine, const struct hm_line **at, int chains, uint64_t hops,
			    uint64_t *waited)
{
	uint64_t done[HM_MAX_CHAINS];

	for (int c = 0; c < chains; c++)
		done[c] = hm_model_now(machine);
	for (uint64_t i = 0; i < hops; i++) {
		for (int c = 0; c < chains; c++) {
			uint64_t ready = hm_access_wait(machine, done[c], waited);
			unsigned int node = (unsigned int)at[c]->node;
			struct hm_server *server = &machine->servers[node];

			/* On its way before the model is asked, whose bookkeeping the CPU would wait for first. */
			__builtin_prefetch(at[c]->next);
			done[c] = hm_access_done(machine, node, ready, HM_TRANSFER_READ, server->latency);
			at[c] = at[c]->next;
			__asm__ volatile("" : "+r"(at[c]));
		}
	}
	for (int c = 0; c < chains; c++)
		hm_access_wait(machine, done[c], waited);
}

const struct hm_line *hm_modelled_hops(struct hm_machine *machine, const struct hm_line *at, uint64_t hops,
				       uint64_t *waited)
{
	modelled_chains(machine, &at, 1, hops, waited);
	return at;
}

static void chase_work(void *context, int thread)
{
	struct chase *chase = context;

	(void)thread;
	for (int sample = 0; sample < chase->samples; sample++) {
		struct hm_sample *taken = &chase->taken[sample];
		struct hm_noise noise;
		uint64_t waited = 0;

		hm_sample_prepare(&noise);
		hm_sample_begin(&noise);
		if (chase->machine)
			modelled_chains(chase->machine, chase->at, chase->chains, chase->hops, &waited);
		else
			plain_hops(chase->at, chase->chains, chase->hops);
		hm_sample_end(&noise, taken);
		if (chase->machine)
			taken->waited_ns = (int64_t)((double)(waited >> FRACTION_BITS) / hm_ticks_per_ns());
		taken->payload_bytes = (int64_t)(chase->hops * (uint64_t)chase->chains * HM_LINE_BYTES);
	}
}

static void blocks_work(void *context, int thread)
{
	struct chase *chase = context;
	double ns_per_tick = 1 / hm_ticks_per_ns();
	uint64_t waited = 0;

	(void)thread;
	for (uint64_t block = 0; block < chase->blocks; block++) {
		uint64_t start = hm_ticks_ordered();

		if (chase->machine)
			modelled_chains(chase->machine, chase->at, 1, chase->hops, &waited);
		else
			chase->at[0] = hm_plain_hops(chase->at[0], chase->hops);
		chase->block_ns[block] = (double)(hm_ticks_ordered() - start) * ns_per_tick;
	}
}

static int run_chase(struct chase *chase, int cpu, const struct hm_model *model, struct hm_machine *machine,
		     uint64_t *offsets, void (*work)(void *context, int thread))
{
	const int32_t cpus[] = { cpu };
	/* Plain samples need no ticks, and finding out how long one is takes a while. */
	int ret = model || chase->block_ns ? hm_clock_init() : 0;

	if (!ret && model)
		ret = hm_machine_init(machine, model, 0);
	if (ret)
		return ret;
	chase->machine = model ? machine : NULL;
	for (int c = 0; c < chase->chains; c++)
		chase->at[c] = (const struct hm_line *)(chase->base + offsets[c]);
	ret = hm_team_run(1, cpus, work, chase);
	for (int c = 0; c < chase->chains; c++)
		offsets[c] = (uint64_t)((const char *)chase->at[c] - chase->base);
	return ret;
}

/* @offsets: where each chain begins, and on return where it is to resume. */
int hm_chase(const void *base, int cpu, int chains, uint64_t *offsets, uint64_t hops, int samples,
	     const struct hm_model *model, struct hm_sample *taken)
{
	struct chase chase = { .base = base, .chains = chains, .hops = hops, .samples = samples, .taken = taken };
	struct hm_machine machine;

	if (!hops || samples < 1 || chains < 1 || chains > HM_MAX_CHAINS)
		return -EINVAL;
	return run_chase(&chase, cpu, model, &machine, offsets, chase_work);
}

/* The time of each block of @hops loads, the reading of the clock included. */
int hm_chase_blocks(const void *base, int cpu, uint64_t *offset, uint64_t hops, uint64_t blocks,
		    const struct hm_model *model, double *block_ns)
{
	struct chase chase = { .base = base, .chains = 1, .hops = hops, .blocks = blocks, .block_ns = block_ns };
	struct hm_machine machine;

	if (!hops || !blocks)
		return -EINVAL;
	return run_chase(&chase, cpu, model, &machine, offset, blocks_work);
}
