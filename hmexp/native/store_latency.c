// SPDX-License-Identifier: MIT
/*
 * Latency of stores, as LATTester measures it (FAST 2020): a line is written and the thread waits at a
 * fence until it is out of its hands, by a non-temporal store or by a flush of the line. The lines come
 * in random order, all of them before any comes again. This is the time until the memory controller has
 * the line, not until the medium has it.
 */
#include "chase.h"
#include "fences.h"
#include "noise.h"
#include "order.h"
#include "team.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BATCH = 64 };

struct stores {
	char *base;
	int kind;
	uint64_t stores;
	int samples;
	struct hm_order order;
	struct hm_machine *machine;
	const struct hm_map *map;
	struct hm_sample *taken;
};

static void store_line(char *line, int kind, uint64_t value)
{
#if defined(__x86_64__)
	const __m128i vector = _mm_set1_epi64x((long long)value);

	for (int i = 0; i < HM_LINE_BYTES; i += 16) {
		if (kind == HM_STORE_NT_FENCE)
			_mm_stream_si128((__m128i *)(line + i), vector);
		else
			_mm_store_si128((__m128i *)(line + i), vector);
	}
	/* clflush is on every x86-64; clwb would keep the line, and the next store would find it. */
	if (kind == HM_STORE_FLUSH_FENCE)
		_mm_clflush(line);
#elif defined(__aarch64__)
	for (int i = 0; i < HM_LINE_BYTES; i += 16) {
		if (kind == HM_STORE_NT_FENCE)
			__asm__ volatile("stnp %1, %1, [%0]" : : "r"(line + i), "r"(value) : "memory");
		else
			__asm__ volatile("stp %1, %1, [%0]" : : "r"(line + i), "r"(value) : "memory");
	}
	if (kind == HM_STORE_FLUSH_FENCE)
		__asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
#else
	for (int i = 0; i < HM_LINE_BYTES; i += 8)
		*(volatile uint64_t *)(line + i) = value;
#endif
	hm_store_fence();
}

static void stores_work(void *context, int thread)
{
	struct stores *stores = context;
	struct hm_cursor cursor = { 0 };
	uint64_t offsets[BATCH], value = 0;
	unsigned int count = 0, at = 0;

	(void)thread;
	for (int sample = 0; sample < stores->samples; sample++) {
		struct hm_sample *taken = &stores->taken[sample];
		uint64_t done = 0, waited = 0;
		struct hm_noise noise;

		hm_sample_prepare(&noise);
		hm_sample_begin(&noise);
		if (stores->machine)
			done = hm_model_now(stores->machine);
		for (uint64_t i = 0; i < stores->stores; i++) {
			while (at == count) {
				at = 0;
				count = hm_order_next(&stores->order, &cursor, offsets, BATCH);
				if (!count)
					cursor = (struct hm_cursor){ 0 };
			}
			if (stores->machine) {
				unsigned int node = hm_map_node(stores->map, offsets[at]);
				struct hm_server *server = &stores->machine->servers[node];

				done = hm_access_done(stores->machine, node, done, HM_TRANSFER_WRITE_NT,
						      server->store_latency[stores->kind]);
			}
			store_line(stores->base + offsets[at++], stores->kind, ++value);
			if (stores->machine)
				done = hm_access_wait(stores->machine, done, &waited);
		}
		hm_sample_end(&noise, taken);
		taken->waited_ns = (int64_t)((double)(waited >> FRACTION_BITS) / hm_ticks_per_ns());
		taken->payload_bytes = (int64_t)(stores->stores * HM_LINE_BYTES);
	}
}

int hm_store_latency(void *base, uint64_t bytes, int cpu, int kind, uint64_t stores, int samples, uint64_t seed,
		     const struct hm_model *model, const struct hm_map *map, struct hm_sample *taken)
{
	struct stores run = {
		.base = base, .kind = kind, .stores = stores, .samples = samples, .map = map, .taken = taken,
	};
	const int32_t cpus[] = { cpu };
	struct hm_machine machine;
	int ret;

	if (!stores || samples < 1 || bytes < HM_LINE_BYTES || bytes % HM_LINE_BYTES ||
	    (kind != HM_STORE_NT_FENCE && kind != HM_STORE_FLUSH_FENCE))
		return -EINVAL;
#if !defined(__x86_64__) && !defined(__aarch64__)
	return -EOPNOTSUPP;
#endif
	ret = hm_clock_init();
	if (!ret && model)
		ret = hm_map_check(map, model);
	if (!ret && model)
		ret = hm_machine_init(&machine, model, 0);
	if (ret)
		return ret;
	run.machine = model ? &machine : NULL;
	hm_order_init(&run.order, HM_RANDOM_LINES, bytes / HM_LINE_BYTES, HM_LINE_BYTES, 0, seed);
	return hm_team_run(1, cpus, stores_work, &run);
}
