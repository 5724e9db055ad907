// SPDX-License-Identifier: MIT
/*
 * Loaded latency: one thread chases pointers while the others go over slices of their own at a set rate,
 * burst after burst with a pause between. How much they did is counted from the first timed hop of the
 * chase to the last. The chase and the load may be on regions of different patterns; modelled nodes are
 * the same for both.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "chase.h"
#include "noise.h"
#include "streams.h"
#include "tail.h"
#include "team.h"

struct counter {
	_Alignas(128) _Atomic uint64_t bytes;
};

struct loaded {
	const struct hm_line *at;
	struct hm_tally *tally;		/* NULL: single loads are not timed */
	uint64_t hops;
	char *load;
	const struct hm_slice *slices;
	const struct hm_job *job;	/* of the load; its threads do not count the chase's */
	const struct hm_blend *blend;	/* NULL: no other operation */
	uint64_t burst_bytes;
	uint64_t delay_ticks;
	struct hm_machine *machine;
	const struct hm_map *load_map;
	struct hm_barrier barrier;
	_Alignas(128) _Atomic int ended;	/* samples that the chase is through with */
	_Alignas(128) struct counter *counters;
	struct hm_sample *taken;
	int64_t *load_bytes;
	int error;
};

static uint64_t count_all(const struct loaded *loaded)
{
	uint64_t bytes = 0;

	for (int i = 0; i < loaded->job->threads; i++)
		bytes += atomic_load_explicit(&loaded->counters[i].bytes, memory_order_relaxed);
	return bytes;
}

static void hop(struct loaded *loaded, uint64_t hops, uint64_t *waited)
{
	loaded->at = loaded->machine ? hm_modelled_hops(loaded->machine, loaded->at, hops, waited) :
				       hm_plain_hops(loaded->at, hops);
}

/* Each hop timed by itself, and counted. */
static void tally(struct loaded *loaded, int sample, uint64_t *waited)
{
	struct hm_tally *tally = loaded->tally;
	struct hm_tail tail = {
		.at = loaded->at, .machine = loaded->machine, .nodes = tally->nodes, .cost = tally->cost,
	};

	hm_tail_turns(&tail, loaded->hops, &tally->counts[(uint64_t)sample * tally->nodes * HM_TAIL_BUCKETS], waited);
	loaded->at = tail.at;
}

static void probe(struct loaded *loaded, int sample)
{
	struct hm_sample *taken = &loaded->taken[sample];
	struct hm_noise noise;
	uint64_t waited = 0, before;

	if (loaded->tally && !sample)
		loaded->tally->cost = hm_tail_empty_turn();
	hm_sample_prepare(&noise);
	hm_barrier_wait(&loaded->barrier);
	/* The load comes up to its rate, and the TLB to what it holds. */
	hop(loaded, loaded->hops / 8 + 1, &waited);
	waited = 0;
	/* Counted within the timed span, so that no interruption between the two makes the load look faster. */
	hm_sample_begin(&noise);
	before = count_all(loaded);
	if (loaded->tally)
		tally(loaded, sample, &waited);
	else
		hop(loaded, loaded->hops, &waited);
	loaded->load_bytes[sample] = (int64_t)(count_all(loaded) - before);
	hm_sample_end(&noise, taken);
	taken->waited_ns = (int64_t)((double)(waited >> FRACTION_BITS) / hm_ticks_per_ns());
	taken->payload_bytes = (int64_t)(loaded->hops * HM_LINE_BYTES);
	atomic_store(&loaded->ended, sample + 1);
	hm_barrier_wait(&loaded->barrier);
}

static void pause_until(uint64_t ticks)
{
	while ((int64_t)(hm_ticks() - ticks) < 0)
		;
}

/* One thread's load: the job's operation, and perhaps another among it. */
struct injection {
	struct hm_streams streams[2];
	uint64_t from[2];		/* where in the slice each resumes */
	unsigned int owed;		/* bursts of the other operation, in thousandths */
};

static int injection_init(struct injection *injection, const struct loaded *loaded, int thread,
			  struct hm_traffic *traffic)
{
	const struct hm_slice *slice = &loaded->slices[thread];
	struct hm_job other = *loaded->job;
	int ret = hm_streams_init(&injection->streams[0], loaded->load, slice, loaded->job, traffic);

	if (ret || !loaded->blend)
		return ret;
	other.operation = loaded->blend->operation;
	/* Far from where the first is: the lines that it has just read are not written into the cache. */
	injection->from[1] = slice->part_bytes / 2 / loaded->burst_bytes * loaded->burst_bytes;
	return hm_streams_init(&injection->streams[1], loaded->load, slice, &other, traffic);
}

static int next_operation(struct injection *injection, const struct hm_blend *blend)
{
	if (!blend)
		return 0;
	injection->owed += (unsigned int)blend->of_thousand;
	if (injection->owed < 1000)
		return 0;
	injection->owed -= 1000;
	return 1;
}

static void inject(struct loaded *loaded, struct injection *injection, int thread, int sample)
{
	struct counter *counter = &loaded->counters[thread];

	hm_barrier_wait(&loaded->barrier);
	while (atomic_load_explicit(&loaded->ended, memory_order_relaxed) <= sample) {
		int which = next_operation(injection, loaded->blend);
		const struct hm_streams *streams = &injection->streams[which];
		const uint64_t streams_of = (uint64_t)(streams->operation->loads + streams->operation->stores);
		uint64_t *from = &injection->from[which];
		uint64_t left = streams->part_bytes - *from;
		uint64_t bytes = left < loaded->burst_bytes ? left : loaded->burst_bytes;

		if (streams->traffic)
			streams->traffic->operation = streams->operation;
		hm_streams_run(streams, *from, bytes, *from);
		*from = bytes == left ? 0 : *from + bytes;
		atomic_store_explicit(&counter->bytes,
				      atomic_load_explicit(&counter->bytes, memory_order_relaxed) +
				      bytes * streams_of, memory_order_relaxed);
		if (loaded->delay_ticks)
			pause_until(hm_ticks() + loaded->delay_ticks);
	}
	hm_barrier_wait(&loaded->barrier);
}

static void work(void *context, int thread)
{
	struct loaded *loaded = context;
	struct hm_traffic traffic = { 0 };
	struct injection injection = { 0 };
	int ret = 0;

	if (thread) {
		if (loaded->machine)
			ret = hm_traffic_init(&traffic, loaded->machine, loaded->load_map,
					      hm_operation(loaded->job->operation), thread - 1,
					      loaded->machine->window);
		if (!ret)
			ret = injection_init(&injection, loaded, thread - 1, loaded->machine ? &traffic : NULL);
	}
	if (ret)
		__atomic_store_n(&loaded->error, ret, __ATOMIC_RELAXED);
	hm_barrier_wait(&loaded->barrier);
	if (!__atomic_load_n(&loaded->error, __ATOMIC_RELAXED)) {
		for (int sample = 0; sample < loaded->job->samples; sample++) {
			if (thread)
				inject(loaded, &injection, thread - 1, sample);
			else
				probe(loaded, sample);
		}
	}
	hm_traffic_free(&traffic);
}

static int blend_check(const struct hm_blend *blend, const struct hm_job *job)
{
	const struct hm_operation *other = hm_operation(blend->operation), *own = hm_operation(job->operation);
	struct hm_loops loops;

	/* Parts of one size: the slices are cut for operations of one stream. */
	if (!other || !own || other->loads + other->stores != 1 || own->loads + own->stores != 1 ||
	    blend->of_thousand < 0 || blend->of_thousand > 1000)
		return -EINVAL;
	return hm_choose_loops(&loops, blend->operation, job->vector_bits);
}

static int check(const struct hm_job *job, const struct hm_slice *slices, const struct hm_blend *blend,
		 const struct hm_model *model, const struct hm_map *load_map, uint64_t burst_bytes)
{
	int ret = hm_job_check(job, slices);

	if (!ret && blend)
		ret = blend_check(blend, job);
	if (ret)
		return ret;
	if (job->access != HM_SEQUENTIAL || job->shared || !burst_bytes || 4096 % burst_bytes ||
	    burst_bytes % HM_LINE_BYTES || (model && burst_bytes % model->chunk_bytes))
		return -EINVAL;
	return model ? hm_map_check(load_map, model) : 0;
}

int hm_loaded(const void *probe_base, int probe_cpu, uint64_t *offset, uint64_t hops, void *load,
	      const struct hm_slice *slices, const struct hm_job *job, const struct hm_blend *blend,
	      uint64_t burst_bytes, uint64_t delay_ns, const struct hm_model *model, const struct hm_map *load_map,
	      struct hm_sample *taken, int64_t *load_bytes, struct hm_tally *tally)
{
	struct loaded loaded = {
		.at = (const struct hm_line *)((const char *)probe_base + *offset),
		.tally = tally,
		.hops = hops,
		.load = load,
		.slices = slices,
		.job = job,
		.blend = blend,
		.burst_bytes = burst_bytes,
		.load_map = load_map,
		.taken = taken,
		.load_bytes = load_bytes,
	};
	struct hm_machine machine;
	int32_t *cpus = NULL;
	int ret;

	if (!hops || (tally && !tally->nodes))
		return -EINVAL;
	ret = check(job, slices, blend, model, load_map, burst_bytes);
	if (!ret)
		ret = hm_clock_init();
	if (!ret && model)
		ret = hm_machine_init(&machine, model, job->threads);
	if (ret)
		return ret;
	loaded.machine = model ? &machine : NULL;
	loaded.delay_ticks = (uint64_t)((double)delay_ns * hm_ticks_per_ns());
	loaded.barrier.parties = (unsigned int)job->threads + 1;
	cpus = calloc((size_t)job->threads + 1, sizeof(*cpus));
	loaded.counters = aligned_alloc(_Alignof(struct counter), (size_t)job->threads * sizeof(struct counter));
	if (!cpus || !loaded.counters) {
		ret = -ENOMEM;
		goto out;
	}
	cpus[0] = probe_cpu;
	for (int i = 0; i < job->threads; i++) {
		cpus[i + 1] = slices[i].cpu;
		atomic_init(&loaded.counters[i].bytes, 0);
	}
	ret = hm_team_run(job->threads + 1, cpus, work, &loaded);
	if (!ret)
		ret = loaded.error;
	*offset = (uint64_t)((const char *)loaded.at - (const char *)probe_base);
out:
	if (model)
		hm_machine_free(&machine);
	free(loaded.counters);
	free(cpus);
	return ret;
}
