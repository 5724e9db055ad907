/* SPDX-License-Identifier: MIT */
/* Random numbers: keys, uniform or by Zipf's law; operations; the time to the next request. */
#ifndef HM_REDIS_DRAW_H
#define HM_REDIS_DRAW_H

#include <stdint.h>

struct draw {
	uint64_t state;
	uint64_t keys;
	double exponent; /* 0: uniform */
	/* Of rejection-inversion (Hoermann and Derflinger 1996). */
	double integral_1;
	double integral_n;
	double threshold;
};

void draw_begin(struct draw *draw, uint64_t keys, double exponent, uint64_t seed);
uint64_t draw_bits(struct draw *draw);
/* From 0 to below 1. */
double draw_unit(struct draw *draw);
uint64_t draw_key(struct draw *draw);
/* The time to the next of a Poisson process, of a mean. */
double draw_gap(struct draw *draw, double mean);

#endif
