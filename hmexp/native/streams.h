/* SPDX-License-Identifier: MIT */
/* One thread's way over the streams of an operation, in an order, with or without modelled nodes. */
#ifndef HMEXP_STREAMS_H
#define HMEXP_STREAMS_H

#include "model.h"
#include "operations.h"
#include "order.h"
#include "shapes.h"

struct hm_streams {
	struct hm_loops loops;
	hm_shaped shaped;			/* NULL: the plain loop walks everything */
	uint64_t distance_bytes;
	uint64_t block_bytes;			/* of the shape: what is less, or is left over, is walked plainly */
	const struct hm_operation *operation;
	char *at[HM_MAX_STREAMS];
	uint64_t offsets[HM_MAX_STREAMS];	/* of the streams in the region */
	uint64_t part_bytes;
	struct hm_order order;			/* of the lines or granules of a stream */
	struct hm_traffic *traffic;		/* NULL: the hardware's own speed */
};

int hm_streams_init(struct hm_streams *streams, char *base, const struct hm_slice *slice,
		    const struct hm_job *job, struct hm_traffic *traffic);
int hm_job_check(const struct hm_job *job, const struct hm_slice *slices);

/* @bytes of each stream from position @from, in ascending order. Returns the exclusive or of what was read. */
uint64_t hm_streams_run(const struct hm_streams *streams, uint64_t from, uint64_t bytes, uint64_t value);
/* One pass over all of it, in the order asked for. */
uint64_t hm_streams_pass(const struct hm_streams *streams, uint64_t value);

static inline uint64_t hm_streams_payload(const struct hm_streams *streams)
{
	return streams->part_bytes * (uint64_t)(streams->operation->loads + streams->operation->stores);
}

#endif
