/* SPDX-License-Identifier: MIT */
/* Every operation, for the tables and the loops that are made of it. */
#ifndef HMEXP_OPERATION_LIST_H
#define HMEXP_OPERATION_LIST_H

enum { KIND_APART, KIND_COPY, KIND_TRIAD };

/* How far the software prefetch runs ahead [bytes]: of the loads alone, and of loads among stores. */
#define AHEAD		512
#define AHEAD_MIXED	512
/* Accumulators of a loop. */
#define SUMS		4

/*
 * name, kind, reads, writes, non-temporal, prefetch. The streaming ones stand last: a width without
 * non-temporal stores has the beginning of the table only.
 */
#define REGULAR_OPERATIONS(X)				\
	X(read, KIND_APART, 1, 0, 0, AHEAD)		\
	X(write, KIND_APART, 0, 1, 0, 0)		\
	X(copy, KIND_COPY, 1, 1, 0, AHEAD_MIXED)	\
	X(triad, KIND_TRIAD, 2, 1, 0, AHEAD_MIXED)	\
	X(mix_3_1, KIND_APART, 3, 1, 0, AHEAD_MIXED)	\
	X(mix_2_1, KIND_APART, 2, 1, 0, AHEAD_MIXED)	\
	X(mix_1_1, KIND_APART, 1, 1, 0, AHEAD_MIXED)

#define STREAMING_OPERATIONS(X)				\
	X(write_nt, KIND_APART, 0, 1, 1, 0)		\
	X(copy_nt, KIND_COPY, 1, 1, 1, AHEAD_MIXED)	\
	X(triad_nt, KIND_TRIAD, 2, 1, 1, AHEAD_MIXED)	\
	X(mix_3_1_nt, KIND_APART, 3, 1, 1, AHEAD_MIXED)	\
	X(mix_2_1_nt, KIND_APART, 2, 1, 1, AHEAD_MIXED)	\
	X(mix_1_1_nt, KIND_APART, 1, 1, 1, AHEAD_MIXED)

#endif
