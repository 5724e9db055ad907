// SPDX-License-Identifier: MIT
/*
 * The noise of a CPU: a pinned thread does nothing but read the clock. Whenever two readings lie
 * further apart than a threshold, something else had the CPU: another process, an interrupt, the
 * firmware, the hypervisor. So do Linux's osnoise tracer (from inside the kernel) and sysjitter.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "noise.h"
#include "team.h"

struct watch {
	struct hm_barrier barrier;
	const struct hm_watch *asked;
	struct hm_gaps *gaps;
};

static int bucket_of(uint64_t us)
{
	int bucket = us ? 64 - __builtin_clzll(us) : 0;

	return bucket < HM_GAP_BUCKETS ? bucket : HM_GAP_BUCKETS - 1;
}

static void close_window(struct hm_gaps *gaps, uint64_t lost, uint64_t most_lost)
{
	gaps->windows++;
	gaps->windows_lost += lost > most_lost;
}

static void watch_cpu(void *context, int thread)
{
	struct watch *watch = context;
	const struct hm_watch *asked = watch->asked;
	struct hm_gaps *gaps = &watch->gaps[thread];
	double ticks_per_ns = hm_ticks_per_ns();
	uint64_t threshold = (uint64_t)((double)asked->threshold_ns * ticks_per_ns);
	uint64_t span = (uint64_t)((double)asked->span_ns * ticks_per_ns);
	uint64_t window = (uint64_t)((double)asked->window_ns * ticks_per_ns);
	uint64_t most_lost = (uint64_t)((double)asked->window_lost_ns * ticks_per_ns);
	uint64_t begun, last, now, window_end, lost = 0, total = 0, longest = 0;
	struct hm_noise noise;

	hm_sample_prepare(&noise);
	hm_barrier_wait(&watch->barrier);
	hm_sample_begin(&noise);
	begun = last = hm_ticks();
	window_end = begun + window;
	do {
		uint64_t gap;

		now = hm_ticks();
		gap = now - last;
		last = now;
		if (__builtin_expect(gap >= threshold, 0)) {
			gaps->count++;
			gaps->buckets[bucket_of((uint64_t)((double)gap / ticks_per_ns / 1000))]++;
			total += gap;
			lost += gap;
			if (gap > longest)
				longest = gap;
		}
		/* A gap longer than a window belongs to the one that it ends: the others saw nothing. */
		if (__builtin_expect(now >= window_end, 0)) {
			close_window(gaps, lost, most_lost);
			lost = 0;
			window_end = now + window;
		}
	} while (now - begun < span);
	hm_sample_end(&noise, &gaps->sample);
	gaps->lost_ns = (int64_t)((double)total / ticks_per_ns);
	gaps->longest_ns = (int64_t)((double)longest / ticks_per_ns);
}

/*
 * Watch all CPUs at once. A clock that goes back on one CPU would look like a gap of centuries;
 * the ticks are the invariant TSC or clock_gettime, which do not.
 */
int hm_watch(int threads, const int32_t *cpus, const struct hm_watch *asked, struct hm_gaps *gaps)
{
	struct watch watch = { .asked = asked, .gaps = gaps };
	int ret;

	if (threads < 1 || asked->threshold_ns < 1 || asked->span_ns < 1 || asked->window_ns < 1)
		return -EINVAL;
	ret = hm_clock_init();
	if (ret)
		return ret;
	memset(gaps, 0, (size_t)threads * sizeof(*gaps));
	watch.barrier.parties = (unsigned int)threads;
	return hm_team_run(threads, cpus, watch_cpu, &watch);
}
