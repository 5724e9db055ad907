/* SPDX-License-Identifier: MIT */
/*
 * Emulated nodes. Each node is a server with a rate: a transfer occupies it for bytes x ns_per_byte
 * after everything that it was asked for before, whichever thread asked. A thread does not stop for
 * a transfer until it is `window_bytes` ahead of it, as a core with that much traffic under way
 * would, so that two nodes serve it at once and an interleave can be faster than either.
 *
 * Times are ticks since the start of the run, with FRACTION_BITS of fraction: without them the
 * rounding of one 4 KiB transfer (some hundred ticks) would be an error of the rate itself.
 */
#ifndef HMEXP_MODEL_H
#define HMEXP_MODEL_H

#include "core.h"

#define HM_MAX_NODES	64
#define HM_CHUNK_BYTES	4096
#define FRACTION_BITS	10

struct hm_server {
	/* Two cache lines: neighbours are fetched in pairs, and servers must not disturb each other. */
	_Alignas(128) uint64_t busy_until;	/* only ever touched by __atomic builtins */
	uint64_t read_cost;		/* of one chunk */
	uint64_t write_cost;
	uint64_t latency;
};

struct hm_machine {
	struct hm_server servers[HM_MAX_NODES];
	uint64_t origin;		/* tick 0 of the run */
	uint64_t slack;			/* a late thread may use what a server could have done so recently */
	uint64_t latency_slack;
	unsigned int window;		/* chunks under way */
	const uint8_t *entry_node;
	uint64_t entries;
	uint64_t granule_bytes;
};

int hm_machine_init(struct hm_machine *machine, const struct hm_model *model);

/* Occupy a server; returns when the transfer is done. */
static inline uint64_t hm_charge(struct hm_server *server, uint64_t cost, uint64_t now, uint64_t slack)
{
	uint64_t floor = now > slack ? now - slack : 0;
	uint64_t busy = __atomic_load_n(&server->busy_until, __ATOMIC_RELAXED);
	uint64_t until;

	do {
		until = (busy > floor ? busy : floor) + cost;
	} while (!__atomic_compare_exchange_n(&server->busy_until, &busy, until, 1, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return until;
}

#endif
