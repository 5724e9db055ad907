// SPDX-License-Identifier: MIT
/*
 * Sequential read and write bandwidth. Each thread goes over a slice of its own, `passes` times a
 * sample. Payload is counted, not bus traffic: a regular store of a line that is not in the cache
 * also reads it.
 */
#include <stdlib.h>

#include "clock.h"
#include "model.h"
#include "team.h"

#define BITS 128
#define TARGET
#define NAME(x) x##_128
#include "vector_template.h"

#if defined(__x86_64__)
#define BITS 256
#define TARGET __attribute__((target("avx2")))
#define NAME(x) x##_256
#include "vector_template.h"

#define BITS 512
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) x##_512
#include "vector_template.h"
#endif

struct loops {
	uint64_t (*read)(const void *memory, uint64_t bytes);
	void (*write)(void *memory, uint64_t bytes, uint64_t value);
};

struct run {
	char *base;
	const struct hm_slice *slices;
	struct hm_machine *machine;	/* NULL: the hardware's own speed */
	struct hm_barrier barrier;
	struct loops loops;
	int operation;
	int threads;
	int samples;
	uint64_t passes;
	int64_t *start_ns;
	int64_t *end_ns;
	uint64_t *checksums;		/* one per thread, a cache line apart */
	int error;
};

enum { CHECKSUM_STRIDE = 16 };

int hm_vector_bits(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f"))
		return 512;
	if (__builtin_cpu_supports("avx2"))
		return 256;
#endif
	return 128;
}

static int choose_loops(struct loops *loops, int bits)
{
	if (bits > hm_vector_bits())
		return -EOPNOTSUPP;
	switch (bits) {
	case 128:
		*loops = (struct loops){ read_128, write_128 };
		return 0;
#if defined(__x86_64__)
	case 256:
		*loops = (struct loops){ read_256, write_256 };
		return 0;
	case 512:
		*loops = (struct loops){ read_512, write_512 };
		return 0;
#endif
	default:
		return -EINVAL;
	}
}

static uint64_t plain_pass(const struct run *run, char *memory, uint64_t bytes, uint64_t value)
{
	if (run->operation == HM_READ)
		return run->loops.read(memory, bytes);
	run->loops.write(memory, bytes, value);
	return 0;
}

/* What one thread has under way at the modelled nodes. */
struct traffic {
	uint64_t *done;			/* ring: when each of the last `window` chunks is done */
	unsigned int at;
	uint64_t latest;
};

static void wait_until(const struct hm_machine *machine, uint64_t until)
{
	while (((hm_ticks() - machine->origin) << FRACTION_BITS) < until)
		;
}

static uint64_t modelled_pass(const struct run *run, struct traffic *traffic, char *memory, uint64_t offset,
			      uint64_t bytes, uint64_t value)
{
	struct hm_machine *machine = run->machine;
	uint64_t entry = offset / machine->granule_bytes % machine->entries;
	uint64_t left = machine->granule_bytes - offset % machine->granule_bytes;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < bytes; i += HM_CHUNK_BYTES) {
		struct hm_server *server = &machine->servers[machine->entry_node[entry]];
		uint64_t cost = run->operation == HM_READ ? server->read_cost : server->write_cost;
		uint64_t now, until;

		wait_until(machine, traffic->done[traffic->at]);
		now = (hm_ticks() - machine->origin) << FRACTION_BITS;
		until = hm_charge(server, cost, now, machine->slack);
		traffic->done[traffic->at] = until;
		if (++traffic->at == machine->window)
			traffic->at = 0;
		if (until > traffic->latest)
			traffic->latest = until;
		sum ^= plain_pass(run, memory + i, HM_CHUNK_BYTES, value);

		left -= HM_CHUNK_BYTES;
		if (!left) {
			left = machine->granule_bytes;
			if (++entry == machine->entries)
				entry = 0;
		}
	}
	return sum;
}

static void work(void *context, int thread)
{
	struct run *run = context;
	const struct hm_slice *slice = &run->slices[thread];
	char *memory = run->base + slice->offset;
	struct traffic traffic = { 0 };
	uint64_t sum = 0;

	if (run->machine) {
		traffic.done = calloc(run->machine->window, sizeof(*traffic.done));
		if (!traffic.done)
			__atomic_store_n(&run->error, -ENOMEM, __ATOMIC_RELAXED);
	}
	/* After this barrier every thread sees the same `error`. */
	hm_barrier_wait(&run->barrier);
	if (__atomic_load_n(&run->error, __ATOMIC_RELAXED))
		goto out;

	/* One pass to warm the TLB and the page tables; it is not counted. */
	sum = plain_pass(run, memory, slice->bytes, 0);
	for (int sample = 0; sample < run->samples; sample++) {
		size_t at = (size_t)sample * run->threads + thread;

		hm_barrier_wait(&run->barrier);
		run->start_ns[at] = hm_now_ns();
		for (uint64_t pass = 0; pass < run->passes; pass++) {
			uint64_t value = (uint64_t)sample * run->passes + pass + 1;

			if (run->machine)
				sum ^= modelled_pass(run, &traffic, memory, slice->offset, slice->bytes, value);
			else
				sum ^= plain_pass(run, memory, slice->bytes, value);
		}
		if (run->machine)
			wait_until(run->machine, traffic.latest);
		run->end_ns[at] = hm_now_ns();
	}
out:
	run->checksums[thread * CHECKSUM_STRIDE] = sum;
	free(traffic.done);
}

int hm_bandwidth(void *base, const struct hm_slice *slices, int threads, int operation, int vector_bits,
		 uint64_t passes, int samples, const struct hm_model *model,
		 int64_t *start_ns, int64_t *end_ns, uint64_t *checksum)
{
	struct run run = {
		.base = base,
		.slices = slices,
		.operation = operation,
		.threads = threads,
		.samples = samples,
		.passes = passes,
		.start_ns = start_ns,
		.end_ns = end_ns,
		.barrier.parties = (unsigned int)threads,
	};
	struct hm_machine machine;
	int32_t *cpus = NULL;
	int ret;

	if (threads < 1 || samples < 1 || !passes || (operation != HM_READ && operation != HM_WRITE))
		return -EINVAL;
	for (int i = 0; i < threads; i++)
		if (!slices[i].bytes || slices[i].bytes % HM_CHUNK_BYTES || slices[i].offset % HM_CHUNK_BYTES)
			return -EINVAL;
	ret = choose_loops(&run.loops, vector_bits);
	if (ret)
		return ret;
	ret = hm_clock_init();
	if (ret)
		return ret;
	if (model) {
		ret = hm_machine_init(&machine, model);
		if (ret)
			return ret;
		run.machine = &machine;
	}
	run.checksums = calloc((size_t)threads * CHECKSUM_STRIDE, sizeof(*run.checksums));
	cpus = calloc((size_t)threads, sizeof(*cpus));
	if (!run.checksums || !cpus) {
		ret = -ENOMEM;
		goto out;
	}
	for (int i = 0; i < threads; i++)
		cpus[i] = slices[i].cpu;
	ret = hm_team_run(threads, cpus, work, &run);
	if (!ret)
		ret = run.error;
	*checksum = 0;
	for (int i = 0; i < threads; i++)
		*checksum ^= run.checksums[i * CHECKSUM_STRIDE];
out:
	free(cpus);
	free(run.checksums);
	return ret;
}
