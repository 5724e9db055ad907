// SPDX-License-Identifier: MIT
/*
 * Rings for pointer chases: one cycle through every line that is asked for, once. A random ring links
 * the lines in the order of a random permutation, which is one cycle by its making; the caller walks
 * it (ring_walk.c) and checks its length all the same, because a ring that is not one cycle looks just like one.
 *
 * With windows, all lines of a window come before the next window's: the TLB then holds what the chase
 * needs, and what is left is the latency of the memory.
 */
#include <stdlib.h>

#include "model.h"
#include "random.h"
#include "ring.h"
#include "team.h"

struct plan {
	uint32_t *lines;		/* in units of the spacing */
	uint64_t count;
	uint64_t *windows;		/* where each begins in `lines`; one more at the end */
	uint64_t window_count;
};

/* How far ahead lines are asked for: building a ring meets each of them cold, and need not wait for one by one. */
enum { AHEAD = 32 };

static void shuffle(uint32_t *items, uint64_t count, struct hm_random *random)
{
	uint64_t drawn[AHEAD];

	for (uint64_t left = count; left > 1; ) {
		uint64_t batch = left - 1 < AHEAD ? left - 1 : AHEAD;

		for (uint64_t k = 0; k < batch; k++) {
			drawn[k] = hm_random_below(random, left - k);
			__builtin_prefetch(&items[drawn[k]], 1);
		}
		for (uint64_t k = 0; k < batch; k++, left--) {
			uint32_t swap = items[left - 1];

			items[left - 1] = items[drawn[k]];
			items[drawn[k]] = swap;
		}
	}
}

static void shuffle_windows(struct plan *plan, struct hm_random *random, uint32_t *order)
{
	for (uint64_t i = 0; i < plan->window_count; i++)
		order[i] = (uint32_t)i;
	if (!random)
		return;
	shuffle(order, plan->window_count, random);
	for (uint64_t i = 0; i < plan->window_count; i++)
		shuffle(plan->lines + plan->windows[i], plan->windows[i + 1] - plan->windows[i], random);
}

static int collect(struct plan *plan, const struct hm_ring *ring, const struct hm_map *map)
{
	uint64_t every = ring->bytes / ring->spacing_bytes;
	uint64_t next_window = 0;

	plan->lines = malloc(every * sizeof(*plan->lines));
	plan->windows = malloc((ring->bytes / ring->window_bytes + 2) * sizeof(*plan->windows));
	if (!plan->lines || !plan->windows)
		return -ENOMEM;
	for (uint64_t i = 0; i < every; i++) {
		uint64_t offset = i * ring->spacing_bytes;

		if (ring->node >= 0 && hm_map_node(map, offset) != (unsigned int)ring->node)
			continue;
		if (offset >= next_window) {
			next_window = (offset / ring->window_bytes + 1) * ring->window_bytes;
			plan->windows[plan->window_count++] = plan->count;
		}
		plan->lines[plan->count++] = (uint32_t)i;
	}
	plan->windows[plan->window_count] = plan->count;
	return plan->count < 2 ? -ENODATA : 0;
}

/* The windows one after the other, in the order that they are visited in. */
struct links {
	char *base;
	const struct plan *plan;
	const uint32_t *order;
	const uint64_t *starts;		/* the position on the ring at which each begins; one more at the end */
	const struct hm_ring *ring;
	const struct hm_map *map;
	int threads;
};

static uint64_t window_at(const struct links *links, uint64_t position)
{
	uint64_t low = 0, high = links->plan->window_count;

	while (high - low > 1) {
		const uint64_t middle = (low + high) / 2;

		if (links->starts[middle] <= position)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint64_t offset_at(const struct links *links, uint64_t position)
{
	const uint64_t window = window_at(links, position);
	const uint64_t at = links->plan->windows[links->order[window]] + position - links->starts[window];

	return links->plan->lines[at] * links->ring->spacing_bytes;
}

/* Have the lines at a thread's part of the positions come after the ones before them. */
static void link_work(void *context, int thread)
{
	const struct links *links = context;
	const struct plan *plan = links->plan;
	const uint64_t spacing = links->ring->spacing_bytes, count = plan->count;
	const uint64_t to = count * (uint64_t)(thread + 1) / (uint64_t)links->threads;
	uint64_t position = count * (uint64_t)thread / (uint64_t)links->threads;
	struct hm_line *previous;

	if (position == to)
		return;
	previous = (struct hm_line *)(links->base + offset_at(links, position ? position - 1 : count - 1));
	for (uint64_t window = window_at(links, position); position < to; window++) {
		const uint64_t *starts = links->starts + window;
		const uint32_t *lines = plan->lines + plan->windows[links->order[window]];
		const uint64_t end = (starts[1] < to ? starts[1] : to) - starts[0];

		for (uint64_t i = position - starts[0]; i < end; i++) {
			const uint64_t offset = lines[i] * spacing;
			struct hm_line *line = (struct hm_line *)(links->base + offset);

			if (i + AHEAD < end)
				__builtin_prefetch(links->base + lines[i + AHEAD] * spacing, 1);
			line->node = links->map ? hm_map_node(links->map, offset) : 0;
			previous->next = line;
			previous = line;
		}
		position = starts[0] + end;
	}
}

static int link_lines(struct links *links, const int32_t *cpus, int *marks, uint64_t *offsets)
{
	const struct plan *plan = links->plan;
	uint64_t *starts = malloc((plan->window_count + 1) * sizeof(*starts));

	if (!starts)
		return -ENOMEM;
	starts[0] = 0;
	for (uint64_t window = 0; window < plan->window_count; window++) {
		const uint64_t *edges = plan->windows + links->order[window];

		starts[window + 1] = starts[window] + edges[1] - edges[0];
	}
	links->starts = starts;
	/* A system that has no threads to give is no reason not to link. */
	if (links->threads == 1 || hm_team_run(links->threads, cpus, link_work, links)) {
		links->threads = 1;
		link_work(links, 0);
	}
	if (plan->count < (uint64_t)*marks)
		*marks = (int)plan->count;
	for (int i = 0; i < *marks; i++)
		offsets[i] = offset_at(links, plan->count * (uint64_t)i / (uint64_t)*marks);
	free(starts);
	return 0;
}

/*
 * @marks: how many lines, evenly spaced on the ring, are wanted in @offsets, and on return how many there are.
 * The lines are linked by as many threads as there are @cpus. -ENODATA: fewer than two lines are asked for.
 */
int hm_ring_build(void *base, const struct hm_ring *ring, const struct hm_map *map, int threads,
		  const int32_t *cpus, int *marks, uint64_t *offsets, uint64_t *lines)
{
	struct plan plan = { 0 };
	struct links links = {
		.base = base,
		.plan = &plan,
		.ring = ring,
		.map = map,
		.threads = threads,
	};
	struct hm_random random;
	uint32_t *order = NULL;
	int ret;

	if (ring->spacing_bytes < HM_LINE_BYTES || ring->spacing_bytes % HM_LINE_BYTES ||
	    ring->bytes / ring->spacing_bytes > UINT32_MAX || ring->window_bytes < ring->spacing_bytes ||
	    (ring->node >= 0 && !map) || *marks < 1 || threads < 1)
		return -EINVAL;
	ret = map ? hm_map_check(map, NULL) : 0;
	if (!ret)
		ret = collect(&plan, ring, map);
	if (ret)
		goto out;
	order = malloc(plan.window_count * sizeof(*order));
	if (!order) {
		ret = -ENOMEM;
		goto out;
	}
	hm_random_seed(&random, ring->seed);
	shuffle_windows(&plan, ring->ordered ? NULL : &random, order);
	links.order = order;
	ret = link_lines(&links, cpus, marks, offsets);
	*lines = plan.count;
out:
	free(order);
	free(plan.windows);
	free(plan.lines);
	return ret;
}
