// SPDX-License-Identifier: MIT
#include <string.h>

#include "clock.h"
#include "model.h"

/*
 * How far back a server lets a late thread claim idle time. Long enough for the jitter of a host
 * (a TLB miss, a clock read), far too short to hide an interrupt or to blur coarse granules.
 */
#define SLACK_NS		2000.0
#define LATENCY_SLACK_NS	8000.0

static int to_cost(double ns, double ticks_per_ns, uint64_t *cost)
{
	double ticks = ns * ticks_per_ns * (1 << FRACTION_BITS);

	/* Written so that a NaN is refused, too. */
	if (!(ticks >= 0 && ticks < 1e15))
		return -EINVAL;
	*cost = (uint64_t)(ticks + 0.5);
	return 0;
}

int hm_machine_init(struct hm_machine *machine, const struct hm_model *model)
{
	double rate = hm_ticks_per_ns();
	int ret;

	if (model->nodes < 1 || model->nodes > HM_MAX_NODES || !model->entries ||
	    model->granule_bytes % HM_CHUNK_BYTES || !model->granule_bytes ||
	    model->window_bytes < HM_CHUNK_BYTES)
		return -EINVAL;
	for (uint64_t i = 0; i < model->entries; i++)
		if (model->entry_node[i] >= model->nodes)
			return -EINVAL;
	memset(machine, 0, sizeof(*machine));
	for (int node = 0; node < model->nodes; node++) {
		struct hm_server *server = &machine->servers[node];

		ret = to_cost(model->read_ns_per_byte[node] * HM_CHUNK_BYTES, rate, &server->read_cost);
		if (!ret)
			ret = to_cost(model->write_ns_per_byte[node] * HM_CHUNK_BYTES, rate, &server->write_cost);
		if (!ret)
			ret = to_cost(model->latency_ns[node], rate, &server->latency);
		if (ret)
			return ret;
	}
	ret = to_cost(SLACK_NS, rate, &machine->slack);
	if (!ret)
		ret = to_cost(LATENCY_SLACK_NS, rate, &machine->latency_slack);
	if (ret)
		return ret;
	machine->window = (unsigned int)(model->window_bytes / HM_CHUNK_BYTES);
	machine->entry_node = model->entry_node;
	machine->entries = model->entries;
	machine->granule_bytes = model->granule_bytes;
	machine->origin = hm_ticks();
	return 0;
}
