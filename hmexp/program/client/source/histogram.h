/* SPDX-License-Identifier: MIT */
/*
 * A histogram with the buckets of HdrHistogram at three significant digits: 2048 buckets of 1 ns, then
 * 1024 for each doubling, so that no value is off by more than 0.1 %. Up to 2^40 ns (18 minutes).
 */
#ifndef HM_REDIS_HISTOGRAM_H
#define HM_REDIS_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HISTOGRAM_HALF_BITS = 10, HISTOGRAM_MOST_BITS = 40 };
enum { HISTOGRAM_BUCKETS = (HISTOGRAM_MOST_BITS - HISTOGRAM_HALF_BITS + 1) << HISTOGRAM_HALF_BITS };

struct histogram {
	uint64_t total;
	uint64_t least;
	uint64_t most;
	double sum;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *histogram, uint64_t value);
void histogram_add(struct histogram *into, const struct histogram *from);
/* The highest value of the bucket that holds the quantile. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);
/* One JSON object: count, mean, quantiles, and with buckets [highest value, count] for each that has any. */
void histogram_print(const struct histogram *histogram, int with_buckets, FILE *out);

#endif
