// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

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

static int server_init(struct hm_server *server, const struct hm_model *model, int node, double rate)
{
	const struct {
		double ns;
		uint64_t *cost;
	} figures[] = {
		{ model->read_ns_per_byte[node] * HM_LINE_BYTES, &server->cost[HM_TRANSFER_READ] },
		{ model->write_ns_per_byte[node] * HM_LINE_BYTES, &server->cost[HM_TRANSFER_WRITE] },
		{ model->write_nt_ns_per_byte[node] * HM_LINE_BYTES, &server->cost[HM_TRANSFER_WRITE_NT] },
		{ model->latency_ns[node], &server->latency },
		{ model->store_nt_ns[node], &server->store_latency[HM_STORE_NT_FENCE] },
		{ model->store_flush_ns[node], &server->store_latency[HM_STORE_FLUSH_FENCE] },
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		int ret = to_cost(figures[i].ns, rate, figures[i].cost);

		if (ret)
			return ret;
	}
	return 0;
}

int hm_machine_init(struct hm_machine *machine, const struct hm_model *model, int threads)
{
	double rate = hm_ticks_per_ns();
	int ret;

	if (model->nodes < 1 || model->nodes > HM_MAX_MODELLED_NODES || !model->chunk_bytes ||
	    model->chunk_bytes % HM_LINE_BYTES || 4096 % model->chunk_bytes ||
	    model->window_bytes < model->chunk_bytes)
		return -EINVAL;
	memset(machine, 0, sizeof(*machine));
	for (int node = 0; node < model->nodes; node++) {
		ret = server_init(&machine->servers[node], model, node, rate);
		if (ret)
			return ret;
	}
	ret = to_cost(SLACK_NS, rate, &machine->slack);
	if (!ret)
		ret = to_cost(LATENCY_SLACK_NS, rate, &machine->latency_slack);
	if (ret)
		return ret;
	machine->nodes = model->nodes;
	machine->chunk_bytes = model->chunk_bytes;
	machine->window = (unsigned int)(model->window_bytes / model->chunk_bytes);
	if (threads) {
		machine->ledgers = aligned_alloc(_Alignof(struct hm_ledger), (size_t)threads * sizeof(struct hm_ledger));
		if (!machine->ledgers)
			return -ENOMEM;
		memset(machine->ledgers, 0, (size_t)threads * sizeof(struct hm_ledger));
	}
	machine->threads = threads;
	machine->origin = hm_ticks();
	return 0;
}

void hm_machine_free(struct hm_machine *machine)
{
	free(machine->ledgers);
	machine->ledgers = NULL;
}

int hm_map_check(const struct hm_map *map, const struct hm_model *model)
{
	/* A chunk must not reach over the end of a granule. */
	if (!map || !map->entries || !map->granule_bytes || map->granule_bytes % 4096)
		return -EINVAL;
	for (uint64_t i = 0; i < map->entries; i++)
		if (map->entry_node[i] >= (model ? model->nodes : HM_MAX_MODELLED_NODES))
			return -EINVAL;
	return 0;
}

int hm_traffic_init(struct hm_traffic *traffic, struct hm_machine *machine, const struct hm_map *map,
		    const struct hm_operation *operation, int thread, unsigned int window)
{
	*traffic = (struct hm_traffic){
		.window = window,
		.machine = machine,
		.map = map,
		.operation = operation,
		.ledger = &machine->ledgers[thread],
	};
	traffic->done = calloc(window, sizeof(*traffic->done));
	return traffic->done ? 0 : -ENOMEM;
}

void hm_traffic_free(struct hm_traffic *traffic)
{
	free(traffic->done);
	traffic->done = NULL;
}

/* The clock is read only where there is something to wait for: readings add up to some of the bandwidth. */
static void wait_until(struct hm_traffic *traffic, uint64_t until)
{
	uint64_t begun;

	if (traffic->now >= until)
		return;
	begun = traffic->now = hm_model_now(traffic->machine);
	while (traffic->now < until)
		traffic->now = hm_model_now(traffic->machine);
	traffic->waited += (traffic->now - begun) >> FRACTION_BITS;
}

/* Occupy a server for this thread's traffic, not from before @floor on; returns when the transfer is done. */
static uint64_t occupy(struct hm_traffic *traffic, unsigned int node, uint64_t cost, uint64_t floor)
{
	struct hm_server *server = &traffic->machine->servers[node];
	uint64_t base = __atomic_load_n(&server->base, __ATOMIC_RELAXED);
	uint64_t used = hm_used(traffic->machine, node);

	/* The server had nothing to do for a while. If somebody else has said so meanwhile, it is said. */
	while (base + used < floor && !__atomic_compare_exchange_n(&server->base, &base, floor - used, 1,
								   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (base + used < floor)
		base = floor - used;
	__atomic_store_n(&traffic->ledger->used[node], traffic->ledger->used[node] + cost, __ATOMIC_RELAXED);
	return base + used + cost;
}

static void charge(struct hm_traffic *traffic, unsigned int node, uint64_t cost)
{
	struct hm_machine *machine = traffic->machine;
	uint64_t now, until;

	wait_until(traffic, traffic->done[traffic->at]);
	now = traffic->now;
	/* What costs nothing occupies nobody. */
	until = cost ? occupy(traffic, node, cost, now > machine->slack ? now - machine->slack : 0) : now;
	traffic->done[traffic->at] = until;
	if (++traffic->at == traffic->window)
		traffic->at = 0;
	if (until > traffic->latest)
		traffic->latest = until;
}

static enum hm_transfer transfer_of(const struct hm_operation *operation, int stream)
{
	if (stream < operation->loads)
		return HM_TRANSFER_READ;
	return operation->nontemporal ? HM_TRANSFER_WRITE_NT : HM_TRANSFER_WRITE;
}

void hm_traffic_run(struct hm_traffic *traffic, const uint64_t *offsets, uint64_t bytes)
{
	const struct hm_operation *operation = traffic->operation;
	const struct hm_machine *machine = traffic->machine;
	const uint64_t chunk = machine->chunk_bytes, lines = chunk / HM_LINE_BYTES;
	const int streams = operation->loads + operation->stores;

	traffic->now = hm_model_now(machine);
	for (uint64_t part = 0; part < bytes; part += chunk) {
		for (int stream = 0; stream < streams; stream++) {
			unsigned int node = hm_map_node(traffic->map, offsets[stream] + part);

			charge(traffic, node, machine->servers[node].cost[transfer_of(operation, stream)] * lines);
		}
	}
}

void hm_traffic_lines(struct hm_traffic *traffic, const uint64_t *offsets, const uint64_t *lines,
		      unsigned int count)
{
	const struct hm_operation *operation = traffic->operation;

	traffic->now = hm_model_now(traffic->machine);
	/* What a node is asked for is charged at once: a clock read for each line would be slower than the line. */
	for (int stream = 0; stream < operation->loads + operation->stores; stream++) {
		enum hm_transfer transfer = transfer_of(operation, stream);
		uint64_t asked[HM_MAX_MODELLED_NODES] = { 0 };

		for (unsigned int i = 0; i < count; i++)
			asked[hm_map_node(traffic->map, offsets[stream] + lines[i])]++;
		for (int node = 0; node < traffic->machine->nodes; node++)
			if (asked[node])
				charge(traffic, (unsigned int)node,
				       traffic->machine->servers[node].cost[transfer] * asked[node]);
	}
}

void hm_traffic_drain(struct hm_traffic *traffic)
{
	wait_until(traffic, traffic->latest);
}
