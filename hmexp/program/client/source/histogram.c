// SPDX-License-Identifier: MIT
#include <math.h>

#include "histogram.h"

static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value >> HISTOGRAM_MOST_BITS)
		return HISTOGRAM_BUCKETS - 1;
	if (value < 1ull << (HISTOGRAM_HALF_BITS + 1))
		return (unsigned int)value;
	shift = 63u - (unsigned int)__builtin_clzll(value) - HISTOGRAM_HALF_BITS;
	return (shift << HISTOGRAM_HALF_BITS) + (unsigned int)(value >> shift);
}

static uint64_t highest_of(unsigned int bucket)
{
	unsigned int shift;
	uint64_t top;

	if (bucket < 1u << (HISTOGRAM_HALF_BITS + 1))
		return bucket;
	shift = (bucket >> HISTOGRAM_HALF_BITS) - 1;
	top = bucket - (shift << HISTOGRAM_HALF_BITS);
	return ((top + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->counts[bucket_of(value)]++;
	if (!histogram->total++ || value < histogram->least)
		histogram->least = value;
	if (value > histogram->most)
		histogram->most = value;
	histogram->sum += (double)value;
}

void histogram_add(struct histogram *into, const struct histogram *from)
{
	if (!from->total)
		return;
	if (!into->total || from->least < into->least)
		into->least = from->least;
	if (from->most > into->most)
		into->most = from->most;
	into->total += from->total;
	into->sum += from->sum;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
	uint64_t wanted = (uint64_t)ceil(quantile * (double)histogram->total), seen = 0, highest;

	if (!histogram->total)
		return 0;
	if (!wanted)
		wanted = 1;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen < wanted)
			continue;
		highest = highest_of(i);
		return highest < histogram->most ? highest : histogram->most;
	}
	return histogram->most;
}

void histogram_print(const struct histogram *histogram, int with_buckets, FILE *out)
{
	static const struct { const char *name; double quantile; } asked[] = {
		{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99_9", 0.999 }, { "p99_99", 0.9999 },
	};
	const char *comma = "";

	fprintf(out, "{\"count\": %llu, \"mean\": %.1f, \"least\": %llu, \"most\": %llu",
		(unsigned long long)histogram->total,
		histogram->total ? histogram->sum / (double)histogram->total : 0.0,
		(unsigned long long)histogram->least, (unsigned long long)histogram->most);
	for (unsigned int i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		fprintf(out, ", \"%s\": %llu", asked[i].name,
			(unsigned long long)histogram_quantile(histogram, asked[i].quantile));
	if (with_buckets) {
		fputs(", \"buckets\": [", out);
		for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
			if (!histogram->counts[i])
				continue;
			fprintf(out, "%s[%llu, %llu]", comma, (unsigned long long)highest_of(i),
				(unsigned long long)histogram->counts[i]);
			comma = ", ";
		}
		fputc(']', out);
	}
	fputc('}', out);
}
