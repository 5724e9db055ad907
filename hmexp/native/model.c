// SPDX-License-Identifier: MIT
#include <math.h>
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
	server->lanes = 1;
	return 0;
}

/* A regular store reads its line, and writes it: it costs a lane both. */
static int lane_init(struct hm_server *server, double read_ns_per_byte, double write_ns_per_byte, double rate)
{
	int ret = to_cost(read_ns_per_byte * HM_LINE_BYTES, rate, &server->cost[HM_TRANSFER_READ]);

	if (!ret)
		ret = to_cost(write_ns_per_byte * HM_LINE_BYTES, rate, &server->cost[HM_TRANSFER_WRITE_NT]);
	server->cost[HM_TRANSFER_WRITE] = server->cost[HM_TRANSFER_READ] + server->cost[HM_TRANSFER_WRITE_NT];
	return ret;
}

static int lanes_init(struct hm_machine *machine, const struct hm_model *model, int node, double rate)
{
	const struct hm_lanes *lanes = &model->lanes[node];
	struct hm_server *server = &machine->servers[node];
	int ret;

	if (!lanes->toward_ns_per_byte && !lanes->request_ns_per_byte && !lanes->back_ns_per_byte &&
	    !lanes->completion_ns_per_byte && !lanes->turn_ns_per_byte)
		return 0;
	server->lanes = HM_LANES;
	ret = to_cost(lanes->turn_ns_per_byte * HM_LINE_BYTES * TURN_LINES, rate, &server->turn);
	if (!ret)
		ret = lane_init(&machine->servers[hm_server_of((unsigned int)node, HM_LANE_TOWARD)],
				lanes->request_ns_per_byte, lanes->toward_ns_per_byte, rate);
	if (!ret)
		ret = lane_init(&machine->servers[hm_server_of((unsigned int)node, HM_LANE_BACK)],
				lanes->back_ns_per_byte, lanes->completion_ns_per_byte, rate);
	return ret;
}

enum { CURVE_POINTS = HM_CURVE_SHARES * HM_CURVE_STEPS };

static int curves_check(struct hm_machine *machine, const struct hm_model *model, int node)
{
	const double *points = model->curves_ns + (size_t)node * CURVE_POINTS;

	for (int i = 0; i < CURVE_POINTS; i++)
		if (!(points[i] >= 0 && points[i] < 1e9))
			return -EINVAL;
	machine->servers[node].curved = points[0] > 0;
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
		if (!ret && model->lanes)
			ret = lanes_init(machine, model, node, rate);
		if (!ret && model->curves_ns)
			ret = curves_check(machine, model, node);
		if (ret)
			return ret;
	}
	machine->curves_ns = model->curves_ns;
	machine->ticks_per_ns = rate;
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
	if (traffic->machine->clock && traffic->now < until)
		*traffic->machine->clock = until;
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

/* The medium serves lines of @transfer, and perhaps turns; returns what turning costs. */
static uint64_t turn(struct hm_traffic *traffic, unsigned int node, enum hm_transfer transfer, uint64_t lines)
{
	uint64_t *counts = traffic->ledger->lines[node], *turned = traffic->turned[node];
	double left;

	for (int written = 0; written < 2; written++) {
		if (transfer != HM_TRANSFER_WRITE && written != (transfer == HM_TRANSFER_WRITE_NT))
			continue;
		turned[written] += lines;
		__atomic_store_n(&counts[written], counts[written] + lines, __ATOMIC_RELAXED);
	}
	if (turned[0] * turned[1] < (uint64_t)TURN_LINES * TURN_LINES)
		return 0;
	/* What is beyond the turn counts for the next one: of lines that are rare, a burst is much beyond. */
	left = 1 - TURN_LINES / sqrt((double)turned[0] * (double)turned[1]);
	for (int written = 0; written < 2; written++)
		turned[written] = (uint64_t)((double)turned[written] * left + 0.5);
	return traffic->machine->servers[node].turn;
}

static void charge(struct hm_traffic *traffic, unsigned int node, enum hm_transfer transfer, uint64_t lines)
{
	struct hm_machine *machine = traffic->machine;
	uint64_t now, until, floor;
	int lanes = machine->servers[node].lanes, counted = lanes > 1 || machine->servers[node].curved;

	wait_until(traffic, traffic->done[traffic->at]);
	until = now = traffic->now;
	floor = now > machine->slack ? now - machine->slack : 0;
	for (int lane = 0; lane < lanes; lane++) {
		unsigned int server = hm_server_of(node, lane);
		uint64_t done, cost = machine->servers[server].cost[transfer] * lines;

		if (counted && !lane)
			cost += turn(traffic, node, transfer, lines);
		/* What costs nothing occupies nobody. */
		if (!cost)
			continue;
		done = occupy(traffic, server, cost, floor);
		/* An idle lane may be done a little in the past. */
		if (!lane || done > until)
			until = done;
	}
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

			charge(traffic, node, transfer_of(operation, stream), lines);
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
				charge(traffic, (unsigned int)node, transfer, asked[node]);
	}
}

void hm_traffic_drain(struct hm_traffic *traffic)
{
	wait_until(traffic, traffic->latest);
}

/* Between two points of a row of curves. */
static double along(const double *row, double at)
{
	int step = (int)at < HM_CURVE_STEPS - 2 ? (int)at : HM_CURVE_STEPS - 2;

	return row[step] + (at - step) * (row[step + 1] - row[step]);
}

static double find_on_curves(const double *curves, double share, double used)
{
	double row = share * (HM_CURVE_SHARES - 1), at = used * (HM_CURVE_STEPS - 1);
	int below = (int)row < HM_CURVE_SHARES - 2 ? (int)row : HM_CURVE_SHARES - 2;
	double low = along(curves + below * HM_CURVE_STEPS, at);

	return low + (row - below) * (along(curves + (below + 1) * HM_CURVE_STEPS, at) - low);
}

/* Often enough for a sample of milliseconds, seldom enough that a look at every ledger is not felt. */
#define GAUGE_NS	20000.0

uint64_t hm_curved_latency(struct hm_machine *machine, unsigned int node, uint64_t now)
{
	struct hm_gauge *gauge = &machine->gauges[node];
	uint64_t lines[2] = { 0 }, most = 0, read, written, passed = now - gauge->at;
	double used;

	if (now < gauge->at || (gauge->latency && (double)passed < GAUGE_NS * machine->ticks_per_ns * (1 << FRACTION_BITS)))
		return gauge->latency;
	for (int lane = 0; lane < machine->servers[node].lanes; lane++) {
		uint64_t all = hm_used(machine, hm_server_of(node, lane));

		most = all - gauge->used[lane] > most ? all - gauge->used[lane] : most;
		gauge->used[lane] = all;
	}
	for (int i = 0; i < machine->threads; i++)
		for (int way = 0; way < 2; way++)
			lines[way] += __atomic_load_n(&machine->ledgers[i].lines[node][way], __ATOMIC_RELAXED);
	read = lines[0] - gauge->lines[0];
	written = lines[1] - gauge->lines[1];
	memcpy(gauge->lines, lines, sizeof(lines));
	used = passed ? (double)most / (double)passed : 0;
	gauge->at = now;
	gauge->latency = (uint64_t)(find_on_curves(machine->curves_ns + (size_t)node * CURVE_POINTS,
						   read + written ? (double)read / (double)(read + written) : 1,
						   used < 1 ? used : 1) *
				    machine->ticks_per_ns * (1 << FRACTION_BITS));
	return gauge->latency;
}
