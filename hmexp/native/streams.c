// SPDX-License-Identifier: MIT
#include "prefetch.h"
#include "streams.h"

enum {
	BATCH = 64,
	BATCH_AHEAD = 32,			/* more lines than a core fetches at once */
};

static int streams_of(const struct hm_operation *operation)
{
	return operation->loads + operation->stores;
}

int hm_job_check(const struct hm_job *job, const struct hm_slice *slices)
{
	const struct hm_shape *shape;
	hm_shaped shaped;
	int ret;

	if (job->threads < 1 || job->samples < 1 || !job->passes || job->access < HM_SEQUENTIAL ||
	    job->access > HM_STRIDED)
		return -EINVAL;
	if ((job->shared || job->access == HM_RANDOM_GRANULES) && (!job->granule_bytes || job->granule_bytes % 4096))
		return -EINVAL;
	if (job->shared && job->access != HM_SEQUENTIAL && job->access != HM_RANDOM_GRANULES)
		return -EINVAL;
	if (job->access == HM_STRIDED && (job->stride_bytes < HM_LINE_BYTES || job->stride_bytes % HM_LINE_BYTES))
		return -EINVAL;
	if (job->window_bytes % 4096 || (job->window_bytes && (job->shared || job->access != HM_SEQUENTIAL)))
		return -EINVAL;
	ret = hm_choose_shape(&shaped, job->operation, job->vector_bits, job->shape);
	if (ret)
		return ret;
	shape = hm_shape(job->shape);
	/* A distance is whole turns of the shape. */
	if (shape->places > 1 &&
	    (!job->distance_bytes || job->distance_bytes % ((uint64_t)shape->lines * HM_LINE_BYTES)))
		return -EINVAL;
	for (int i = 0; i < job->threads; i++)
		if (!slices[i].part_bytes || slices[i].part_bytes % 4096 || slices[i].offset % 4096 ||
		    slices[i].apart_bytes < slices[i].part_bytes || slices[i].apart_bytes % 4096)
			return -EINVAL;
	return 0;
}

int hm_streams_init(struct hm_streams *streams, char *base, const struct hm_slice *slice,
		    const struct hm_job *job, struct hm_traffic *traffic)
{
	int by_line = job->access == HM_RANDOM_LINES || job->access == HM_STRIDED;
	const struct hm_shape *shape = hm_shape(job->shape);
	uint64_t unit = by_line ? HM_LINE_BYTES : job->granule_bytes ? job->granule_bytes : slice->part_bytes;
	int ret;

	*streams = (struct hm_streams){
		.operation = hm_operation(job->operation),
		.part_bytes = slice->part_bytes,
		.distance_bytes = job->distance_bytes,
		.traffic = traffic,
	};
	for (int i = 0; i < HM_MAX_STREAMS; i++) {
		/* Those that the operation does not have are never followed. */
		int own = i < streams_of(streams->operation) ? i : 0;

		streams->offsets[i] = slice->offset + (uint64_t)own * slice->apart_bytes;
		streams->at[i] = base + streams->offsets[i];
	}
	hm_order_init(&streams->order, job->access, (slice->part_bytes + unit - 1) / unit, unit, job->stride_bytes,
		      job->seed + slice->offset);
	streams->block_bytes = shape->places > 1 ? (uint64_t)shape->places * job->distance_bytes : HM_LINE_BYTES;
	ret = hm_choose_shape(&streams->shaped, job->operation, job->vector_bits, job->shape);
	return ret ? ret : hm_choose_loops(&streams->loops, job->operation, job->vector_bits);
}

static void move_to(const struct hm_streams *streams, uint64_t from, char **at)
{
	for (int i = 0; i < HM_MAX_STREAMS; i++)
		at[i] = streams->at[i] + from;
}

/* Whole blocks by the shape, and what is left over by the plain loop. */
static uint64_t run_shape(const struct hm_streams *streams, uint64_t from, uint64_t bytes, uint64_t value)
{
	uint64_t shaped = streams->shaped ? bytes / streams->block_bytes * streams->block_bytes : 0, sum = 0;
	char *at[HM_MAX_STREAMS];

	if (shaped) {
		move_to(streams, from, at);
		sum = streams->shaped(at, shaped, value, streams->distance_bytes);
	}
	if (shaped < bytes) {
		move_to(streams, from + shaped, at);
		sum ^= streams->loops.run(at, bytes - shaped, value);
	}
	return sum;
}

uint64_t hm_streams_run(const struct hm_streams *streams, uint64_t from, uint64_t bytes, uint64_t value)
{
	char *at[HM_MAX_STREAMS];
	uint64_t offsets[HM_MAX_STREAMS], chunk, most, run, sum = 0;

	if (!streams->traffic)
		return run_shape(streams, from, bytes, value);
	/* Modelled nodes are asked for pieces too short for a shape: they are walked plainly. */
	chunk = streams->traffic->machine->chunk_bytes;
	/* As much as may be under way at once is asked for, then gone over in one call, as without a model. */
	most = streams->traffic->window / (unsigned int)streams_of(streams->operation) * chunk;
	if (most < chunk)
		most = chunk;
	for (uint64_t done = 0; done < bytes; done += run) {
		run = bytes - done < most ? bytes - done : most;
		for (int i = 0; i < HM_MAX_STREAMS; i++)
			offsets[i] = streams->offsets[i] + from + done;
		hm_traffic_run(streams->traffic, offsets, run);
		move_to(streams, from + done, at);
		sum ^= streams->loops.run(at, run, value);
	}
	return sum;
}

/* Lines that come next; not those that non-temporal stores write, which are not to be in a cache. */
static unsigned int fetch_lines(const struct hm_streams *streams, struct hm_cursor *cursor, uint64_t *lines)
{
	unsigned int count = hm_order_next(&streams->order, cursor, lines, BATCH_AHEAD);
	const int loads = streams->operation->loads;
	const int stores = streams->operation->nontemporal ? 0 : streams->operation->stores;

	for (unsigned int i = 0; i < count; i++) {
		for (int s = 0; s < loads; s++)
			__builtin_prefetch(streams->at[s] + lines[i]);
		for (int s = loads; s < loads + stores; s++)
			PREFETCH_WRITE(streams->at[s] + lines[i]);
	}
	return count;
}

/*
 * Two batches in turn: one is under way while the other is gone over. A core retires in order, and its window is
 * too short for the instructions between so many lines; prefetches retire at once.
 */
static uint64_t run_lines_ahead(const struct hm_streams *streams, uint64_t value)
{
	struct hm_cursor cursor = { 0 };
	uint64_t lines[2][BATCH_AHEAD], sum = 0;
	unsigned int next, count = fetch_lines(streams, &cursor, lines[0]);

	for (int which = 0; count; which = !which, count = next) {
		next = fetch_lines(streams, &cursor, lines[!which]);
		sum ^= streams->loops.lines(streams->at, lines[which], count, value);
	}
	return sum;
}

static uint64_t run_lines(const struct hm_streams *streams, uint64_t value)
{
	struct hm_cursor cursor = { 0 };
	uint64_t lines[BATCH], sum = 0;
	unsigned int count;

	while ((count = hm_order_next(&streams->order, &cursor, lines, BATCH))) {
		if (streams->traffic)
			hm_traffic_lines(streams->traffic, streams->offsets, lines, count);
		sum ^= streams->loops.lines(streams->at, lines, count, value);
	}
	return sum;
}

static uint64_t run_granules(const struct hm_streams *streams, uint64_t value)
{
	struct hm_cursor cursor = { 0 };
	uint64_t granules[BATCH], sum = 0;
	unsigned int count;

	while ((count = hm_order_next(&streams->order, &cursor, granules, BATCH))) {
		for (unsigned int i = 0; i < count; i++) {
			uint64_t left = streams->part_bytes - granules[i];
			uint64_t bytes = left < streams->order.unit_bytes ? left : streams->order.unit_bytes;

			sum ^= hm_streams_run(streams, granules[i], bytes, value);
		}
	}
	return sum;
}

uint64_t hm_streams_pass(const struct hm_streams *streams, uint64_t value)
{
	switch (streams->order.kind) {
	case HM_RANDOM_LINES:
		return streams->traffic ? run_lines(streams, value) : run_lines_ahead(streams, value);
	case HM_STRIDED:
		return run_lines(streams, value);
	case HM_RANDOM_GRANULES:
		return run_granules(streams, value);
	default:
		return hm_streams_run(streams, 0, streams->part_bytes, value);
	}
}
