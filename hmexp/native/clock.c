// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "clock.h"

int hm_use_tsc;
static double ticks_per_ns = 1.0;
static pthread_once_t once = PTHREAD_ONCE_INIT;

int64_t hm_now_ns(void)
{
	struct timespec now;

	/* Cannot fail: the clock exists since Linux 2.6.28 and the pointer is ours. */
	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#if defined(__x86_64__)
static int tsc_is_invariant(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
}

/* The pair (ns, ticks) whose two reads of the clock lay closest together. */
static void read_both(int64_t *ns, uint64_t *ticks)
{
	int64_t best = INT64_MAX;

	*ns = 0;
	*ticks = 0;
	for (int i = 0; i < 64; i++) {
		int64_t before = hm_now_ns();
		uint64_t now = __rdtsc();
		int64_t after = hm_now_ns();

		if (after - before < best) {
			best = after - before;
			*ns = before + (after - before) / 2;
			*ticks = now;
		}
	}
}
#endif

static void calibrate(void)
{
#if defined(__x86_64__)
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int64_t ns0, ns1;
	uint64_t t0, t1;

	if (!tsc_is_invariant())
		return;
	read_both(&ns0, &t0);
	/* An interrupted sleep only shortens the baseline. */
	nanosleep(&pause, NULL);
	read_both(&ns1, &t1);
	if (ns1 - ns0 < 1000000 || t1 <= t0)
		return;
	ticks_per_ns = (double)(t1 - t0) / (double)(ns1 - ns0);
	hm_use_tsc = 1;
#endif
}

int hm_clock_init(void)
{
	return -pthread_once(&once, calibrate);
}

double hm_ticks_per_ns(void)
{
	hm_clock_init();
	return ticks_per_ns;
}

int hm_ticks_are_tsc(void)
{
	hm_clock_init();
	return hm_use_tsc;
}

/*
 * Hold the ticks against CLOCK_MONOTONIC, which the kernel keeps, for @span_ns: @drift is by how much
 * they run fast (1e-6: a microsecond a second); @read_ns is what one reading of the ticks costs.
 */
int hm_clock_check(uint64_t span_ns, double *drift, double *read_ns)
{
	enum { READINGS = 1000 };
	const struct timespec span = {
		.tv_sec = (time_t)(span_ns / 1000000000), .tv_nsec = (long)(span_ns % 1000000000),
	};
	struct timespec begun, ended;
	uint64_t t0, t1, t2;
	double ns;
	int ret = hm_clock_init();

	if (ret)
		return ret;
	t0 = hm_ticks();
	for (int i = 0; i < READINGS; i++)
		(void)hm_ticks();
	clock_gettime(CLOCK_MONOTONIC, &begun);
	t1 = hm_ticks();
	nanosleep(&span, NULL);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	t2 = hm_ticks();
	ns = (double)(ended.tv_sec - begun.tv_sec) * 1e9 + (double)(ended.tv_nsec - begun.tv_nsec);
	if (ns <= 0 || t2 <= t1)
		return -ERANGE;
	*drift = (double)(t2 - t1) / ticks_per_ns / ns - 1;
	*read_ns = (double)(t1 - t0) / ticks_per_ns / READINGS;
	return 0;
}

void hm_hypervisor(char out[16])
{
	memset(out, 0, 16);
#if defined(__x86_64__)
	unsigned int a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 31)))
		return;
	__cpuid(0x40000000, a, b, c, d);
	memcpy(out, &b, 4);
	memcpy(out + 4, &c, 4);
	memcpy(out + 8, &d, 4);
#endif
}
