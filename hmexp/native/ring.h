/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_RING_H
#define HMEXP_RING_H

#include "core.h"

/* Walkers of one ring: as many loads as a core has under way at once. */
#define HM_MAX_MARKS	16

struct hm_line {
	struct hm_line *next;
	uint64_t node;			/* modelled node of this very line, fetched along with it */
};

#endif
