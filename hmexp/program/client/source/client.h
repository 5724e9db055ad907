/* SPDX-License-Identifier: MIT */
/* What the parts of the client share: options, the clock, and how it gives up. */
#ifndef HM_REDIS_CLIENT_H
#define HM_REDIS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND 1000000000ull

enum step { STEP_LOAD, STEP_VERIFY, STEP_RUN, STEP_RUSH };
enum { MOST_STEPS = 16 };

struct options {
	const char *host; /* NULL: a Unix socket */
	int port;
	const char *socket;
	enum step steps[MOST_STEPS];
	int step_count;
	uint64_t keys;
	uint32_t value_bytes;
	unsigned int read_percent;
	double zipf; /* exponent; 0: uniform */
	double rate; /* requests per second, all threads together; 0: closed loop */
	bool even; /* due at even distances instead of a Poisson process */
	unsigned int connections;
	unsigned int threads;
	unsigned int pipeline; /* requests under way on a connection, closed loop */
	uint64_t seconds_ns;
	uint64_t warmup_ns;
	uint64_t drain_ns; /* how long answers are waited for after the end */
	uint64_t interval_ns; /* of the timeline */
	uint64_t backlog; /* most requests under way, open loop */
	uint64_t seed;
	bool strict; /* a wrong answer, or none, is a failure */
	double most_busy; /* share of a thread's time above which it is a failure; 0: none is */
	uint32_t first_version; /* that a SET writes to a key of unknown version; 0: not without knowing */
};

/* Status of an end that is not success: wrong answers, the command line, the server, this machine. */
enum { EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_SERVER = 3, EXIT_MACHINE = 4 };

/* Whether a step sends for a time, not for each key. */
static inline bool is_timed(enum step step)
{
	return step == STEP_RUN || step == STEP_RUSH;
}

void parse_options(struct options *options, int argc, char **argv);
void die(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
void *allocate(uint64_t bytes);

static inline uint64_t now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * NS_PER_SECOND + (uint64_t)at.tv_nsec;
}

/* The finisher of splitmix64: every bit of the result depends on every bit of x. */
static inline uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

#endif
