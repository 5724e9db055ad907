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
static inline uint64_t hm_access_done(struct hm_machine *machine, unsigned int node, uint64_t ready, uint64_t cost,
				      uint64_t latency)
{
	return hm_charge(machine, node, cost, ready) - cost + latency;
}

/* Spin until @done; returns when the thread is ready for the next access. */
static inline uint64_t hm_access_wait(const struct hm_machine *machine, uint64_t done, uint64_t *waited)
{
	uint64_t begun = hm_model_now(machine), now = begun;

	while (now < done)
		now = hm_model_now(machine);
	*waited += now - begun;
	return now - done > machine->latency_slack ? now - machine->latency_slack : done;
}

#endif
