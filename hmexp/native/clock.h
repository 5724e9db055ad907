/* SPDX-License-Identifier: MIT */
/*
 * Ticks: the cheapest monotonic clock of this CPU, for loops that read it once per page or line.
 * Where the TSC is not invariant, or the CPU has none, a tick is a nanosecond of clock_gettime.
 */
#ifndef HMEXP_CLOCK_H
#define HMEXP_CLOCK_H

#include "core.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

extern int hm_use_tsc;		/* set once, by hm_clock_init() */

int hm_clock_init(void);	/* idempotent; must have returned before hm_ticks() is used */

static inline uint64_t hm_ticks(void)
{
#if defined(__x86_64__)
	if (__builtin_expect(hm_use_tsc, 1))
		return __rdtsc();
#endif
	return (uint64_t)hm_now_ns();
}

/* The same, read only after every load before it is done. */
static inline uint64_t hm_ticks_ordered(void)
{
#if defined(__x86_64__)
	_mm_lfence();
#elif defined(__aarch64__)
	__asm__ volatile("dsb ld" : : : "memory");
#endif
	return hm_ticks();
}

#endif
