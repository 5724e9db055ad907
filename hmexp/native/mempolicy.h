/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_MEMPOLICY_H
#define HMEXP_MEMPOLICY_H

#include "core.h"

enum { HM_MASK_BITS = 1024 };

struct hm_mask {
	unsigned long words[HM_MASK_BITS / (8 * sizeof(unsigned long))];
};

/* Pages in a row on one node: neighbouring granules of the same node are one run. */
struct hm_run {
	uint64_t first;
	uint64_t pages;
	int node;
};

/* -EINVAL: no kernel has a node of that number. */
int hm_mask_add(struct hm_mask *mask, int node);

/* The policy of a part of the address space; no page that is there is moved. */
int hm_mbind(void *start, uint64_t bytes, int mode, const struct hm_mask *mask);

/* The run that starts at page @first, of at most @limit pages; @first must be inside the layout. */
struct hm_run hm_run_at(const struct hm_layout *layout, uint64_t first, uint64_t limit);

#endif
