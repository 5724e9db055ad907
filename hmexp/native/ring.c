// SPDX-License-Identifier: MIT
/*
 * Rings for pointer chases: one cycle through every line that is asked for, once. A random ring links
 * the lines in the order of a random permutation, which is one cycle by its making; the caller walks
 * it and checks its length all the same, because a ring that is not one cycle looks just like one.
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

static void shuffle(uint32_t *items, uint64_t count, struct hm_random *random)
{
	for (uint64_t i = count; i > 1; i--) {
		uint64_t j = hm_random_below(random, i);
		uint32_t swap = items[i - 1];

		items[i - 1] = items[j];
		items[j] = swap;
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
	uint64_t last_window = UINT64_MAX;

	plan->lines = malloc(every * sizeof(*plan->lines));
	plan->windows = malloc((ring->bytes / ring->window_bytes + 2) * sizeof(*plan->windows));
	if (!plan->lines || !plan->windows)
		return -ENOMEM;
	for (uint64_t i = 0; i < every; i++) {
		uint64_t offset = i * ring->spacing_bytes;

		if (ring->node >= 0 && hm_map_node(map, offset) != (unsigned int)ring->node)
			continue;
		if (offset / ring->window_bytes != last_window) {
			last_window = offset / ring->window_bytes;
			plan->windows[plan->window_count++] = plan->count;
		}
		plan->lines[plan->count++] = (uint32_t)i;
	}
	plan->windows[plan->window_count] = plan->count;
	return plan->count < 2 ? -ENODATA : 0;
}

static void link_lines(void *base, const struct plan *plan, const uint32_t *order, const struct hm_ring *ring,
		       const struct hm_map *map)
{
	struct hm_line *first = NULL, *previous = NULL;

	for (uint64_t window = 0; window < plan->window_count; window++) {
		uint64_t end = plan->windows[order[window] + 1];

		for (uint64_t i = plan->windows[order[window]]; i < end; i++) {
			uint64_t offset = plan->lines[i] * ring->spacing_bytes;
			struct hm_line *line = (struct hm_line *)((char *)base + offset);

			line->node = map ? hm_map_node(map, offset) : 0;
			if (previous)
				previous->next = line;
			else
				first = line;
			previous = line;
		}
	}
	previous->next = first;
}

/* @first: offset of a line of the ring. -ENODATA: fewer than two lines are asked for. */
int hm_ring_build(void *base, const struct hm_ring *ring, const struct hm_map *map, uint64_t *lines,
		  uint64_t *first)
{
	struct plan plan = { 0 };
	struct hm_random random;
	uint32_t *order = NULL;
	int ret;

	if (ring->spacing_bytes < HM_LINE_BYTES || ring->spacing_bytes % HM_LINE_BYTES ||
	    ring->bytes / ring->spacing_bytes > UINT32_MAX || ring->window_bytes < ring->spacing_bytes ||
	    (ring->node >= 0 && !map))
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
	/* Any line will do to start from, but it must be the same for the same request. */
	*first = plan.lines[0] * ring->spacing_bytes;
	shuffle_windows(&plan, ring->ordered ? NULL : &random, order);
	link_lines(base, &plan, order, ring, map);
	*lines = plan.count;
out:
	free(order);
	free(plan.windows);
	free(plan.lines);
	return ret;
}

struct walk {
	const char *base;
	const struct hm_line *start;
	uint64_t limit;
	uint64_t length;
	int marks;
	uint64_t *offsets;
};

static void walk_work(void *context, int thread)
{
	struct walk *walk = context;
	const struct hm_line *at = walk->start;
	int mark = 0;

	(void)thread;
	do {
		if (mark < walk->marks && walk->length == walk->limit / (uint64_t)walk->marks * (uint64_t)mark)
			walk->offsets[mark++] = (uint64_t)((const char *)at - walk->base);
		at = at->next;
		walk->length++;
	} while (at != walk->start && walk->length <= walk->limit);
}

/*
 * Steps from the line at @first until it comes round again, or @limit + 1 if it does not come by then.
 * @offsets: @marks lines, as far apart on the ring as can be.
 */
int hm_ring_walk(const void *base, int cpu, uint64_t first, uint64_t limit, int marks, uint64_t *offsets,
		 uint64_t *length)
{
	struct walk walk = {
		.base = base,
		.start = (const struct hm_line *)((const char *)base + first),
		.limit = limit,
		.marks = marks,
		.offsets = offsets,
	};
	const int32_t cpus[] = { cpu };
	int ret = hm_team_run(1, cpus, walk_work, &walk);

	*length = walk.length;
	return ret;
}
