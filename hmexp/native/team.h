/* SPDX-License-Identifier: MIT */
/* A team of pinned threads that start each sample together. */
#ifndef HMEXP_TEAM_H
#define HMEXP_TEAM_H

#include <stdatomic.h>

#include "core.h"

struct hm_barrier {
	_Alignas(128) _Atomic unsigned int waiting;
	_Alignas(128) _Atomic unsigned int generation;
	unsigned int parties;
};

void hm_barrier_wait(struct hm_barrier *barrier);

/*
 * Run @work(@context, i) on @threads threads, the i-th pinned to CPU cpus[i]; returns when all are
 * done. Each thread is pinned before @work begins. If one cannot be started, none runs @work.
 */
int hm_team_run(int threads, const int32_t *cpus, void (*work)(void *context, int thread), void *context);

#endif
