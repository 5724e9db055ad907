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
 *
 * A node may have lanes: a medium and the two directions of a link, each a server. A transfer occupies all of
 * them at once, and is done when the last of them is. So a mix is faster than reads alone where each direction
 * carries its own part. The medium turns between a thread's reads and writes when the product of both, in lines
 * since the last turn, has reached TURN_LINES squared: the turns of each line then go with the square root of
 * r (1 - r), r being the share of reads.
 */
#ifndef HMEXP_MODEL_H
#define HMEXP_MODEL_H

#include "clock.h"
#include "core.h"
#include "operations.h"

#define HM_MAX_MODELLED_NODES	64
#define FRACTION_BITS	10
/* A node is a medium (or the only queue), and perhaps the two directions of a link. */
enum hm_lane { HM_LANE_MEDIUM, HM_LANE_TOWARD, HM_LANE_BACK, HM_LANES };
#define HM_SERVERS	(HM_MAX_MODELLED_NODES * HM_LANES)
#define TURN_LINES	1024

enum hm_transfer { HM_TRANSFER_READ, HM_TRANSFER_WRITE, HM_TRANSFER_WRITE_NT, HM_TRANSFERS };

/* What a chase sees of the load on a node whose latency follows curves. Only the chasing thread uses it. */
struct hm_gauge {
	uint64_t at;			/* when it was last looked at */
	uint64_t used[HM_LANES];
	uint64_t lines[2];		/* read, and written */
	uint64_t latency;
};

struct hm_server {
	/* Two cache lines: neighbours are fetched in pairs, and servers must not disturb each other. */
	_Alignas(128) uint64_t base;		/* see hm_busy_until(); only ever touched by __atomic builtins */
	uint64_t cost[HM_TRANSFERS];		/* of one line */
	uint64_t latency;
	uint64_t store_latency[2];		/* by enum hm_store */
	uint64_t turn;				/* of the medium, each time */
	int lanes;				/* how many servers the node has */
	int curved;				/* its latency under load follows curves */
};

/* What one thread's traffic has cost each node so far. Only that thread writes it. */
struct hm_ledger {
	_Alignas(128) uint64_t used[HM_SERVERS];
	uint64_t lines[HM_MAX_MODELLED_NODES][2];	/* read and written, of nodes with lanes or curves */
};

struct hm_machine {
	struct hm_server servers[HM_SERVERS];	/* see hm_server_of() */
	struct hm_ledger *ledgers;	/* one for each thread that makes traffic */
	int threads;
	uint64_t origin;		/* tick 0 of the run */
	uint64_t slack;			/* a late thread may use what a server could have done so recently */
	uint64_t latency_slack;
	uint64_t chunk_bytes;
	unsigned int window;		/* chunks under way */
	int nodes;
	const double *curves_ns;	/* as in struct hm_model */
	double ticks_per_ns;
	uint64_t *clock;		/* of a replay: time passes only by waiting */
	struct hm_gauge gauges[HM_MAX_MODELLED_NODES];
};

/* @threads: how many threads make traffic; those that only chase do not count. */
int hm_machine_init(struct hm_machine *machine, const struct hm_model *model, int threads);
void hm_machine_free(struct hm_machine *machine);
int hm_map_check(const struct hm_map *map, const struct hm_model *model);

static inline uint64_t hm_model_now(const struct hm_machine *machine)
{
	if (__builtin_expect(!!machine->clock, 0))
		return *machine->clock;
	return (hm_ticks() - machine->origin) << FRACTION_BITS;
}

/* A node's own number is its medium's or its only server's; the lanes of the links stand behind all nodes. */
static inline unsigned int hm_server_of(unsigned int node, int lane)
{
	return lane ? HM_MAX_MODELLED_NODES + 2 * node + (unsigned int)lane - 1 : node;
}

static inline unsigned int hm_map_node(const struct hm_map *map, uint64_t offset)
{
	/* One node is what a baseline has, and two divisions for each of its lines are felt. */
	return map->entries == 1 ? map->entry_node[0] : map->entry_node[offset / map->granule_bytes % map->entries];
}

/* What all threads' traffic has cost a server. */
static inline uint64_t hm_used(const struct hm_machine *machine, unsigned int node)
{
	uint64_t used = 0;

	for (int i = 0; i < machine->threads; i++)
		used += __atomic_load_n(&machine->ledgers[i].used[node], __ATOMIC_RELAXED);
	return used;
}

/*
 * A server is busy until its base and what all ledgers say that it has been used for. Traffic goes to the
 * ledger of its thread, which nobody else writes: an atomic addition to a counter of all would make the CPU
 * wait for every load and store under way, each few kilobytes, and half the bandwidth with it. Only what is
 * rare is added to the base: a chase's accesses, and the time that a server had nothing to do.
 *
 * This occupies a server for a chase; returns when the access is done.
 */
static inline uint64_t hm_charge(struct hm_machine *machine, unsigned int node, uint64_t cost, uint64_t now)
{
	struct hm_server *server = &machine->servers[node];
	uint64_t base = __atomic_load_n(&server->base, __ATOMIC_RELAXED);
	uint64_t used, until;

	do {
		used = hm_used(machine, node);
		until = (base + used > now ? base + used : now) + cost;
	} while (!__atomic_compare_exchange_n(&server->base, &base, until - used, 1, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return until;
}

/* The latency of a node beside the load that it has now, by its curves. */
uint64_t hm_curved_latency(struct hm_machine *machine, unsigned int node, uint64_t now);

/* What one thread has under way at the modelled nodes. */
struct hm_traffic {
	struct hm_machine *machine;
	const struct hm_map *map;
	const struct hm_operation *operation;
	struct hm_ledger *ledger;	/* of this thread */
	uint64_t *done;			/* ring: when each of the last `window` chunks is done */
	unsigned int window;
	unsigned int at;
	uint64_t latest;
	uint64_t now;			/* when the clock was last looked at */
	uint64_t waited;		/* ticks */
	uint64_t turned[HM_MAX_MODELLED_NODES][2];	/* lines read and written since the medium last turned */
};

/* @window: how many chunks may be under way. */
int hm_traffic_init(struct hm_traffic *traffic, struct hm_machine *machine, const struct hm_map *map,
		    const struct hm_operation *operation, int thread, unsigned int window);
void hm_traffic_free(struct hm_traffic *traffic);

/*
 * Ask the nodes for @bytes of each stream, which begin at @offsets, whole chunks; waits while too much is under way.
 * The clock is read once, and where there is something to wait for: no more should be asked for at once than
 * may be under way.
 */
void hm_traffic_run(struct hm_traffic *traffic, const uint64_t *offsets, uint64_t bytes);
/* The same for one line of each stream at each of @count places. */
void hm_traffic_lines(struct hm_traffic *traffic, const uint64_t *offsets, const uint64_t *lines,
		      unsigned int count);
void hm_traffic_drain(struct hm_traffic *traffic);

#endif
