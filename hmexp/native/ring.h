/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_RING_H
#define HMEXP_RING_H

#include "core.h"

/* Walkers of one ring: a few threads, each of which has as many loads under way as a core can have. */
#define HM_MAX_MARKS	64

struct hm_line {
	struct hm_line *next;
	uint64_t node;			/* modelled node of this very line, fetched along with it */
};

#endif
