/* SPDX-License-Identifier: MIT */
/*
 * The operations, and the loops that carry them out.
 *
 * An operation works on streams: equal parts of a slice, one behind the other. It reads the first
 * `reads` of them and writes the next `writes`; a position is the same in all. So copy goes from the
 * first half of a slice to the second, and a mix of 3:1 reads three quarters and writes the last.
 */
#ifndef HMEXP_OPERATIONS_H
#define HMEXP_OPERATIONS_H

#include "core.h"

#define HM_MAX_STREAMS	4
#define HM_LINE_BYTES	64

struct hm_loops {
	/* @bytes of each stream from its start; a multiple of HM_LINE_BYTES. */
	uint64_t (*run)(char *const *streams, uint64_t bytes, uint64_t value);
	/* One line of each stream at each of @count offsets. */
	uint64_t (*lines)(char *const *streams, const uint64_t *offsets, unsigned int count, uint64_t value);
};

/* -EINVAL: no such operation or width; -EOPNOTSUPP: this CPU cannot. */
int hm_choose_loops(struct hm_loops *loops, int operation, int bits);

const struct hm_operation *hm_operation(int operation);

#endif
