// SPDX-License-Identifier: MIT
#include <math.h>

#include "client.h"
#include "draw.h"

/* A prime above any number of keys: rank times it, modulo the keys, gives each key once. */
#define SCATTER 1000000000039ull

uint64_t draw_bits(struct draw *draw)
{
	draw->state += 0x9e3779b97f4a7c15ull;
	return mix(draw->state);
}

double draw_unit(struct draw *draw)
{
	return (double)(draw_bits(draw) >> 11) * 0x1p-53;
}

double draw_gap(struct draw *draw, double mean)
{
	return -log(1.0 - draw_unit(draw)) * mean;
}

/* log(1 + x) / x and (exp(x) - 1) / x, also near 0. */
static double log1p_over(double x)
{
	return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x * (0.5 - x * (1.0 / 3.0));
}

static double expm1_over(double x)
{
	return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x * 0.5 * (1.0 + x * (1.0 / 3.0));
}

/* The integral of x^-exponent, and its inverse. */
static double integral(const struct draw *draw, double x)
{
	double log_x = log(x);

	return expm1_over((1.0 - draw->exponent) * log_x) * log_x;
}

static double inverse(const struct draw *draw, double x)
{
	double t = x * (1.0 - draw->exponent);

	if (t < -1.0)
		t = -1.0; /* rounding */
	return exp(log1p_over(t) * x);
}

static double weight(const struct draw *draw, double x)
{
	return exp(-draw->exponent * log(x));
}

void draw_begin(struct draw *draw, uint64_t keys, double exponent, uint64_t seed)
{
	*draw = (struct draw){ .state = mix(seed + 1), .keys = keys, .exponent = exponent };
	if (exponent == 0.0)
		return;
	draw->integral_1 = integral(draw, 1.5) - 1.0;
	draw->integral_n = integral(draw, (double)keys + 0.5);
	draw->threshold = 2.0 - inverse(draw, integral(draw, 2.5) - weight(draw, 2.0));
}

static uint64_t draw_rank(struct draw *draw)
{
	for (;;) {
		double u = draw->integral_n + draw_unit(draw) * (draw->integral_1 - draw->integral_n);
		double x = inverse(draw, u);
		double rank = floor(x + 0.5);

		if (rank < 1.0)
			rank = 1.0;
		else if (rank > (double)draw->keys)
			rank = (double)draw->keys;
		if (rank - x <= draw->threshold || u >= integral(draw, rank + 0.5) - weight(draw, rank))
			return (uint64_t)rank - 1;
	}
}

uint64_t draw_key(struct draw *draw)
{
	if (draw->exponent == 0.0)
		return (uint64_t)(((unsigned __int128)draw_bits(draw) * draw->keys) >> 64);
	/* Popular keys lie apart, as they would: neighbours in number are neighbours in memory. */
	return (uint64_t)((unsigned __int128)draw_rank(draw) * SCATTER % draw->keys);
}
