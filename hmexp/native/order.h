/* SPDX-License-Identifier: MIT */
/*
 * The order in which the units of a stream are visited: each exactly once, whatever the order.
 *
 * Random orders are computed, not looked up: a table of positions would be traffic of its own. A
 * bijection of 0..2^k-1 is applied to a counter, and what lies beyond the last unit is left out.
 */
#ifndef HMEXP_ORDER_H
#define HMEXP_ORDER_H

#include "core.h"

struct hm_order {
	int kind;			/* enum hm_access */
	uint64_t units;
	uint64_t unit_bytes;
	uint64_t stride;		/* units */
	uint64_t mask;			/* 2^k - 1 >= units - 1 */
	unsigned int shift;
	uint64_t key;
};

struct hm_cursor {
	uint64_t at;
	uint64_t start;			/* of this round, for strides */
};

void hm_order_init(struct hm_order *order, int kind, uint64_t units, uint64_t unit_bytes, uint64_t stride_bytes,
		   uint64_t seed);

/* The next up to @capacity offsets [bytes]; 0 when all units were visited. */
unsigned int hm_order_next(const struct hm_order *order, struct hm_cursor *cursor, uint64_t *offsets,
			   unsigned int capacity);

#endif
