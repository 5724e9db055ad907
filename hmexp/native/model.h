/* SPDX-License-Identifier: MIT */
/*
 * Emulated nodes. Each node is a server with a rate: a transfer occupies it for bytes x ns_per_byte
 * after everything that it was asked for before, whichever thread asked and whatever for. A thread
 * does not stop for a transfer until it is `window` chunks ahead of it, as a core with that much
 * traffic under way would, so that two nodes serve it at once and an interleave can be faster than
 * either. A dependent load waits in the same queue, and then for the latency of the node.
 *
 * Times are ticks since the start of the run, with FRACTION_BITS of fraction: without them the
 * rounding of one line (some ticks) would be an error of the rate itself.
 */
#ifndef HMEXP_MODEL_H
#define HMEXP_MODEL_H

#include "clock.h"
#include "core.h"
#include "operations.h"

#define HM_MAX_NODES	64
#define FRACTION_BITS	10

enum hm_transfer { HM_TRANSFER_READ, HM_TRANSFER_WRITE, HM_TRANSFER_WRITE_NT, HM_TRANSFERS };

struct hm_server {
	/* Two cache lines: neighbours are fetched in pairs, and servers must not disturb each other. */
	_Alignas(128) uint64_t busy_until;	/* only ever touched by __atomic builtins */
	uint64_t cost[HM_TRANSFERS];		/* of one line */
	uint64_t latency;
	uint64_t store_latency[2];		/* by enum hm_store */
};

struct hm_machine {
	struct hm_server servers[HM_MAX_NODES];
	uint64_t origin;		/* tick 0 of the run */
	uint64_t slack;			/* a late thread may use what a server could have done so recently */
	uint64_t latency_slack;
	uint64_t chunk_bytes;
	unsigned int window;		/* chunks under way */
	int nodes;
};

int hm_machine_init(struct hm_machine *machine, const struct hm_model *model);
int hm_map_check(const struct hm_map *map, const struct hm_model *model);

static inline uint64_t hm_model_now(const struct hm_machine *machine)
{
	return (hm_ticks() - machine->origin) << FRACTION_BITS;
}

static inline unsigned int hm_map_node(const struct hm_map *map, uint64_t offset)
{
	/* One node is what a baseline has, and two divisions for each of its lines are felt. */
	return map->entries == 1 ? map->entry_node[0] : map->entry_node[offset / map->granule_bytes % map->entries];
}

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

/* What one thread has under way at the modelled nodes. */
struct hm_traffic {
	struct hm_machine *machine;
	const struct hm_map *map;
	const struct hm_operation *operation;
	uint64_t *done;			/* ring: when each of the last `window` chunks is done */
	unsigned int at;
	uint64_t latest;
	uint64_t waited;		/* ticks */
};

int hm_traffic_init(struct hm_traffic *traffic, struct hm_machine *machine, const struct hm_map *map,
		    const struct hm_operation *operation);
void hm_traffic_free(struct hm_traffic *traffic);

/* Ask the nodes for @bytes of each stream, which begin at @offsets; waits while too much is under way. */
void hm_traffic_chunk(struct hm_traffic *traffic, const uint64_t *offsets, uint64_t bytes);
/* The same for one line of each stream at each of @count places. */
void hm_traffic_lines(struct hm_traffic *traffic, const uint64_t *offsets, const uint64_t *lines,
		      unsigned int count);
void hm_traffic_drain(struct hm_traffic *traffic);

#endif
