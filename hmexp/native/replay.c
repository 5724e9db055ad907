// SPDX-License-Identifier: MIT
/*
 * The model alone: the same servers, charged by threads that do nothing else, in a time that passes only by
 * waiting. No memory is touched and no clock is read, so that what comes out is the model's, on any machine.
 * Of all threads, the one whose time is the least goes on.
 */
#include <stdlib.h>

#include "chase.h"
#include "streams.h"

struct replayed {
	uint64_t now;
	uint64_t at[2];			/* offset of the next burst of either operation */
	uint64_t bytes;
	unsigned int owed;		/* of the blend, in thousandths of a burst */
	struct hm_traffic traffic;
};

static int operation_check(int operation)
{
	const struct hm_operation *found = hm_operation(operation);

	return !found || found->loads + found->stores < 1 ? -EINVAL : 0;
}

static int replay_check(const struct hm_replay *replay, const struct hm_model *model, const struct hm_map *map)
{
	if (replay->threads < 0 || replay->threads > 1024 || (!replay->threads && !replay->hops) ||
	    (!replay->hops && !replay->bursts) || !replay->burst_bytes || 4096 % replay->burst_bytes ||
	    !model || !model->chunk_bytes || replay->burst_bytes % model->chunk_bytes ||
	    replay->blend.of_thousand < 0 || replay->blend.of_thousand > 1000)
		return -EINVAL;
	if (operation_check(replay->operation) || operation_check(replay->blend.operation))
		return -EINVAL;
	return hm_map_check(map, model);
}

static void burst(struct hm_machine *machine, const struct hm_replay *replay, struct replayed *thread)
{
	uint64_t offsets[HM_MAX_STREAMS];
	int other;

	thread->owed += (unsigned int)replay->blend.of_thousand;
	other = thread->owed >= 1000;
	if (other)
		thread->owed -= 1000;
	thread->traffic.operation = hm_operation(other ? replay->blend.operation : replay->operation);
	for (int i = 0; i < HM_MAX_STREAMS; i++)
		offsets[i] = thread->at[other];
	*machine->clock = thread->now;
	hm_traffic_run(&thread->traffic, offsets, replay->burst_bytes);
	thread->now = *machine->clock +
		      (uint64_t)((double)replay->delay_ns * machine->ticks_per_ns * (1 << FRACTION_BITS));
	thread->at[other] += replay->burst_bytes;
	thread->bytes += replay->burst_bytes *
			 (uint64_t)(thread->traffic.operation->loads + thread->traffic.operation->stores);
}

static struct replayed *earliest(struct replayed *threads, int count)
{
	struct replayed *first = threads;

	for (int i = 1; i < count; i++)
		if (threads[i].now < first->now)
			first = &threads[i];
	return first;
}

static uint64_t count_bytes(const struct replayed *threads, int count)
{
	uint64_t bytes = 0;

	for (int i = 0; i < count; i++)
		bytes += threads[i].bytes;
	return bytes;
}

/* The chase's own hops go round the granules of the map. After an eighth of them the load has come up. */
static void run_chase(struct hm_machine *machine, const struct hm_replay *replay, const struct hm_map *map,
		      struct replayed *threads, double *gbps, double *latency_ns)
{
	uint64_t ready = 0, begun = 0, bytes = 0, waited = 0, warm = replay->hops / 8 + 1;
	double span;

	for (uint64_t hop = 0; hop < warm + replay->hops; hop++) {
		unsigned int node = hm_map_node(map, hop * map->granule_bytes);
		struct replayed *load;

		while (replay->threads && (load = earliest(threads, replay->threads))->now <= ready)
			burst(machine, replay, load);
		if (hop == warm) {
			begun = ready;
			bytes = count_bytes(threads, replay->threads);
		}
		*machine->clock = ready;
		ready = hm_access_wait(machine, hm_access_done(machine, node, ready, HM_TRANSFER_READ,
							       machine->servers[node].latency), &waited);
	}
	span = (double)(ready - begun) / (1 << FRACTION_BITS) / machine->ticks_per_ns;
	*latency_ns = span / (double)replay->hops;
	*gbps = span > 0 ? (double)(count_bytes(threads, replay->threads) - bytes) / span : 0;
}

static void run_load(struct hm_machine *machine, const struct hm_replay *replay, struct replayed *threads, double *gbps)
{
	uint64_t last = 0;

	for (uint64_t i = 0; i < replay->bursts * (uint64_t)replay->threads; i++)
		burst(machine, replay, earliest(threads, replay->threads));
	for (int i = 0; i < replay->threads; i++) {
		*machine->clock = threads[i].now;
		hm_traffic_drain(&threads[i].traffic);
		last = *machine->clock > last ? *machine->clock : last;
	}
	*gbps = last ? (double)count_bytes(threads, replay->threads) * machine->ticks_per_ns * (1 << FRACTION_BITS) /
		       (double)last : 0;
}

int hm_replay(const struct hm_replay *replay, const struct hm_model *model, const struct hm_map *map,
	      double *gbps, double *latency_ns)
{
	struct replayed *threads = NULL;
	struct hm_machine machine;
	uint64_t clock = 0;
	int ret;

	ret = replay_check(replay, model, map);
	if (!ret)
		ret = hm_clock_init();
	if (!ret)
		ret = hm_machine_init(&machine, model, replay->threads);
	if (ret)
		return ret;
	machine.clock = &clock;
	*gbps = *latency_ns = 0;
	if (replay->threads) {
		threads = calloc((size_t)replay->threads, sizeof(*threads));
		ret = threads ? 0 : -ENOMEM;
	}
	for (int i = 0; !ret && i < replay->threads; i++) {
		const struct hm_operation *operation = hm_operation(replay->operation);

		/* A window for each stream, as for bandwidth; one under a chase. */
		ret = hm_traffic_init(&threads[i].traffic, &machine, map, operation, i,
				      machine.window * (replay->hops ? 1 : (unsigned int)(operation->loads +
											  operation->stores)));
		threads[i].at[0] = threads[i].at[1] = (uint64_t)i * map->granule_bytes;
		/* As threads are that nothing keeps in step. */
		threads[i].now = (uint64_t)((double)replay->delay_ns * i / replay->threads * machine.ticks_per_ns *
					    (1 << FRACTION_BITS));
	}
	if (!ret && replay->hops)
		run_chase(&machine, replay, map, threads, gbps, latency_ns);
	else if (!ret)
		run_load(&machine, replay, threads, gbps);
	for (int i = 0; threads && i < replay->threads; i++)
		hm_traffic_free(&threads[i].traffic);
	free(threads);
	hm_machine_free(&machine);
	return ret;
}
