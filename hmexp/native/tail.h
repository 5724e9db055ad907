/* SPDX-License-Identifier: MIT */
/* Single loads of a chase, counted by the node of their line and by how long they took. */
#ifndef HMEXP_TAIL_H
#define HMEXP_TAIL_H

#include "chase.h"

struct hm_tail {
	const struct hm_line *at;
	struct hm_machine *machine;	/* NULL: the hardware's own time */
	unsigned int nodes;
	uint64_t cost;			/* ticks of a turn without a load; taken off each */
};

/* The median of turns that load nothing [ticks]. */
uint64_t hm_tail_empty_turn(void);

/* @counts: [node][HM_TAIL_BUCKETS], added to. */
void hm_tail_turns(struct hm_tail *tail, uint64_t turns, uint64_t *counts, uint64_t *waited);

#endif
