/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_CHASE_H
#define HMEXP_CHASE_H

#include "model.h"
#include "ring.h"

#define HM_MAX_CHAINS	16

/* Dependent loads, one after the other. */
const struct hm_line *hm_plain_hops(const struct hm_line *at, uint64_t hops);
const struct hm_line *hm_modelled_hops(struct hm_machine *machine, const struct hm_line *at, uint64_t hops,
				       uint64_t *waited);

/*
 * When an access of a thread that is ready for it at @ready is done: after all that the node was asked
 * for before, and its latency. An access that the host made late is made up for by the next ones, up to
 * the slack: the mean is the node's, the spread within the slack is the host's.
 */
static inline uint64_t hm_access_done(struct hm_machine *machine, unsigned int node, uint64_t ready,
				      enum hm_transfer transfer, uint64_t latency)
{
	const struct hm_server *server = &machine->servers[node];
	uint64_t begun = hm_charge(machine, node, server->cost[transfer], ready) - server->cost[transfer];

	/* Lanes are crossed at once: the one that is busy longest is waited for. */
	for (int lane = 1; lane < server->lanes; lane++) {
		unsigned int other = hm_server_of(node, lane);
		uint64_t cost = machine->servers[other].cost[transfer];
		uint64_t there = hm_charge(machine, other, cost, ready) - cost;

		begun = there > begun ? there : begun;
	}
	/* What was measured beside a load has the queue in it. */
	if (server->curved && transfer == HM_TRANSFER_READ)
		return ready + hm_curved_latency(machine, node, hm_model_now(machine));
	return begun + latency;
}

/* Spin until @done; returns when the thread is ready for the next access. */
static inline uint64_t hm_access_wait(const struct hm_machine *machine, uint64_t done, uint64_t *waited)
{
	uint64_t begun = hm_model_now(machine), now = begun;

	if (__builtin_expect(machine->clock && now < done, 0))
		*machine->clock = done;
	while (now < done)
		now = hm_model_now(machine);
	*waited += now - begun;
	return now - done > machine->latency_slack ? now - machine->latency_slack : done;
}

#endif
