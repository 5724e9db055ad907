/* SPDX-License-Identifier: MIT */
/* A thread of the client: it sends what is due on its connections and counts what comes back. */
#ifndef HM_REDIS_WORKER_H
#define HM_REDIS_WORKER_H

#include <stdint.h>

#include "connection.h"
#include "draw.h"
#include "histogram.h"

struct interval {
	uint64_t answered;
	uint64_t longest_ns;
};

struct usage {
	double elapsed;
	double cpu;
	double waited; /* ready to run, and not on a CPU */
};

struct tally {
	uint64_t due;
	uint64_t answered;
	uint64_t answered_in_time; /* between the end of the warm-up and the end */
	uint64_t reads;
	uint64_t writes;
	uint64_t unanswered;
	uint64_t by_outcome[OUTCOME_FAILED + 1];
	uint64_t digest;
	char problem[256]; /* the first */
	struct histogram latency[2]; /* by kind */
	struct histogram late; /* how late requests were sent */
	struct interval *timeline;
	struct usage usage;
};

struct worker {
	const struct options *options;
	struct table *table;
	struct connection *connections;
	unsigned int connection_count;
	unsigned int index;
	enum step step;
	uint64_t begin; /* the same for all threads */
	/* of the step */
	struct draw draw;
	uint64_t cursor;
	uint64_t measured_from;
	uint64_t end;
	double due;
	uint64_t under_way;
	unsigned int turn;
	uint64_t now;
	int epoll;
	int timer;
	struct tally tally;
};

uint64_t timeline_length(const struct options *options);
void *worker_serve(void *worker);

#endif
