// SPDX-License-Identifier: MIT
/*
 * Bandwidth. Each thread goes over a slice of its own, or takes granules of one slice in turn with
 * the others, `passes` times a sample. Payload is counted, not bus traffic: hm_operation says what
 * else the bus carries.
 */
#include <stdlib.h>

#include "fences.h"
#include "noise.h"
#include "streams.h"
#include "team.h"

struct run {
	char *base;
	const struct hm_slice *slices;
	const struct hm_job *job;
	struct hm_machine *machine;	/* NULL: the hardware's own speed */
	const struct hm_map *map;
	struct hm_barrier barrier;
	_Alignas(128) _Atomic uint64_t taken;	/* granules handed out in this sample, if they are shared */
	_Alignas(128) struct hm_sample *samples;
	int64_t *window_ns;		/* NULL, or a row for each thread */
	uint64_t windows;		/* of the longest slice */
	uint64_t *checksums;		/* one per thread, a cache line apart */
	int error;
};

enum { CHECKSUM_STRIDE = 16 };

static uint64_t run_slice(const struct hm_streams *streams, uint64_t passes, uint64_t value)
{
	uint64_t sum = 0;

	for (uint64_t pass = 0; pass < passes; pass++)
		sum ^= hm_streams_pass(streams, value + pass);
	return sum;
}

/* The same, with the time of each window added up. */
static uint64_t run_windows(const struct hm_streams *streams, uint64_t passes, uint64_t value,
			    uint64_t window_bytes, int64_t *window_ns)
{
	uint64_t sum = 0;

	for (uint64_t pass = 0; pass < passes; pass++) {
		int64_t before = hm_now_ns();

		for (uint64_t at = 0; at < streams->part_bytes; at += window_bytes) {
			uint64_t left = streams->part_bytes - at;
			int64_t after;

			sum ^= hm_streams_run(streams, at, left < window_bytes ? left : window_bytes, value + pass);
			after = hm_now_ns();
			window_ns[at / window_bytes] += after - before;
			before = after;
		}
	}
	return sum;
}

/* Granules that all threads take in turn, for as many passes; returns how many bytes of each stream were ours. */
static uint64_t run_shared(struct run *run, const struct hm_streams *streams, uint64_t granules, uint64_t passes,
			   uint64_t value, uint64_t *sum)
{
	uint64_t bytes = 0;

	for (;;) {
		uint64_t number = atomic_fetch_add_explicit(&run->taken, 1, memory_order_relaxed);
		struct hm_cursor cursor = { .at = number % granules };
		uint64_t from, left;

		if (number >= granules * passes)
			return bytes;
		if (run->job->access == HM_SEQUENTIAL)
			from = cursor.at * streams->order.unit_bytes;
		else if (!hm_order_next(&streams->order, &cursor, &from, 1) || cursor.at != number % granules + 1)
			continue;	/* a number beyond the last granule */
		left = streams->part_bytes - from;
		left = left < streams->order.unit_bytes ? left : streams->order.unit_bytes;
		*sum ^= hm_streams_run(streams, from, left, value + number / granules);
		bytes += left;
	}
}

static void take_sample(struct run *run, const struct hm_streams *streams, int thread, int sample, uint64_t *sum)
{
	const struct hm_job *job = run->job;
	struct hm_sample *taken = &run->samples[(size_t)sample * job->threads + thread];
	uint64_t value = (uint64_t)sample * job->passes + 1;
	struct hm_noise noise;

	hm_sample_prepare(&noise);
	if (streams->traffic)
		streams->traffic->waited = 0;
	hm_barrier_wait(&run->barrier);
	if (!thread)
		atomic_store(&run->taken, 0);
	hm_barrier_wait(&run->barrier);
	hm_sample_begin(&noise);
	taken->payload_bytes = (int64_t)(hm_streams_payload(streams) * job->passes);
	if (job->shared) {
		/* Of a random order there are as many numbers as its bijection has. */
		uint64_t numbers = job->access == HM_SEQUENTIAL ? streams->order.units : streams->order.mask + 1;
		uint64_t bytes = run_shared(run, streams, numbers, job->passes, value, sum);

		taken->payload_bytes =
			(int64_t)(bytes * (uint64_t)(streams->operation->loads + streams->operation->stores));
	} else if (run->window_ns) {
		*sum ^= run_windows(streams, job->passes, value, job->window_bytes,
				    run->window_ns + (uint64_t)thread * run->windows);
	} else {
		*sum ^= run_slice(streams, job->passes, value);
	}
	if (streams->traffic)
		hm_traffic_drain(streams->traffic);
	if (streams->operation->nontemporal)
		hm_store_fence();
	hm_sample_end(&noise, taken);
	if (streams->traffic)
		taken->waited_ns = (int64_t)((double)streams->traffic->waited / hm_ticks_per_ns());
}

static void work(void *context, int thread)
{
	struct run *run = context;
	const struct hm_slice *slice = &run->slices[run->job->shared ? 0 : thread];
	const struct hm_operation *operation = hm_operation(run->job->operation);
	struct hm_traffic traffic = { 0 };
	struct hm_streams streams;
	uint64_t sum = 0;
	int ret = 0;

	/*
	 * A window for each stream: they meet the pages of a slow node all at once, and what is under way at the
	 * other nodes meanwhile must not run dry.
	 */
	if (run->machine)
		ret = hm_traffic_init(&traffic, run->machine, run->map, operation, thread,
				      run->machine->window * (unsigned int)(operation->loads + operation->stores));
	if (!ret)
		ret = hm_streams_init(&streams, run->base, slice, run->job, NULL);
	if (ret)
		__atomic_store_n(&run->error, ret, __ATOMIC_RELAXED);
	/* After this barrier every thread sees the same `error`. */
	hm_barrier_wait(&run->barrier);
	if (!__atomic_load_n(&run->error, __ATOMIC_RELAXED)) {
		/* One pass at the host's speed, to warm the TLB and the page tables; it is not counted. */
		if (!run->job->warm && (!run->job->shared || !thread))
			sum = hm_streams_pass(&streams, 0);
		if (run->machine)
			streams.traffic = &traffic;
		for (int sample = 0; sample < run->job->samples; sample++)
			take_sample(run, &streams, thread, sample, &sum);
	}
	run->checksums[thread * CHECKSUM_STRIDE] = sum;
	hm_traffic_free(&traffic);
}

static uint64_t count_windows(const struct hm_job *job, const struct hm_slice *slices)
{
	uint64_t most = 0;

	for (int i = 0; job->window_bytes && i < job->threads; i++) {
		uint64_t windows = (slices[i].part_bytes + job->window_bytes - 1) / job->window_bytes;

		most = windows > most ? windows : most;
	}
	return most;
}

/* @window_ns: NULL, or zeros, threads x the windows of the longest slice. */
int hm_bandwidth(void *base, const struct hm_slice *slices, const struct hm_job *job,
		 const struct hm_model *model, const struct hm_map *map, struct hm_sample *samples,
		 int64_t *window_ns, uint64_t *checksum)
{
	struct run run = {
		.base = base,
		.slices = slices,
		.job = job,
		.map = map,
		.samples = samples,
		.window_ns = job->window_bytes ? window_ns : NULL,
	};
	struct hm_machine machine;
	int32_t *cpus = NULL;
	int ret;

	ret = hm_job_check(job, slices);
	/* Only modelled nodes are timed by ticks, and finding out how long one is takes a while. */
	if (!ret && model)
		ret = hm_clock_init();
	if (!ret && model)
		ret = hm_map_check(map, model);
	if (!ret && model)
		ret = hm_machine_init(&machine, model, job->threads);
	if (ret)
		return ret;
	run.machine = model ? &machine : NULL;
	run.windows = count_windows(job, slices);
	run.barrier.parties = (unsigned int)job->threads;
	run.checksums = calloc((size_t)job->threads * CHECKSUM_STRIDE, sizeof(*run.checksums));
	cpus = calloc((size_t)job->threads, sizeof(*cpus));
	if (!run.checksums || !cpus) {
		ret = -ENOMEM;
		goto out;
	}
	for (int i = 0; i < job->threads; i++)
		cpus[i] = slices[i].cpu;
	ret = hm_team_run(job->threads, cpus, work, &run);
	if (!ret)
		ret = run.error;
	*checksum = 0;
	for (int i = 0; i < job->threads; i++)
		*checksum ^= run.checksums[i * CHECKSUM_STRIDE];
out:
	if (model)
		hm_machine_free(&machine);
	free(cpus);
	free(run.checksums);
	return ret;
}
