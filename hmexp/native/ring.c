// SPDX-License-Identifier: MIT
/*
 * Rings for pointer chases: one cycle through every line that is asked for, once. A random ring links
 * the lines in the order of a random permutation, which is one cycle by its making; the caller walks
 * it and checks its length all the same, because a ring that is not one cycle looks just like one.
 * The walk follows the pointers that lie in memory, from several marks at once: alone it would take as
 * long as all the samples.
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

struct marks {
	uint64_t *offsets;
	uint64_t count;
	uint64_t made;
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

static void link_lines(void *base, const struct plan *plan, const uint32_t *order, const struct hm_ring *ring,
		       const struct hm_map *map, struct marks *marks)
{
	struct hm_line *first = NULL, *previous = NULL;
	uint64_t position = 0;

	for (uint64_t window = 0; window < plan->window_count; window++) {
		const uint64_t start = plan->windows[order[window]], end = plan->windows[order[window] + 1];

		for (uint64_t i = start; i < end; i++, position++) {
			uint64_t offset = plan->lines[i] * ring->spacing_bytes;
			struct hm_line *line = (struct hm_line *)((char *)base + offset);

			if (i + AHEAD < end)
				__builtin_prefetch((char *)base + plan->lines[i + AHEAD] * ring->spacing_bytes, 1);
			if (marks->made < marks->count && position == plan->count * marks->made / marks->count)
				marks->offsets[marks->made++] = offset;
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

/*
 * @marks: how many lines, evenly spaced on the ring, are wanted in @offsets, and on return how many there are.
 * -ENODATA: fewer than two lines are asked for.
 */
int hm_ring_build(void *base, const struct hm_ring *ring, const struct hm_map *map, int *marks,
		  uint64_t *offsets, uint64_t *lines)
{
	struct marks made = { .offsets = offsets };
	struct plan plan = { 0 };
	struct hm_random random;
	uint32_t *order = NULL;
	int ret;

	if (ring->spacing_bytes < HM_LINE_BYTES || ring->spacing_bytes % HM_LINE_BYTES ||
	    ring->bytes / ring->spacing_bytes > UINT32_MAX || ring->window_bytes < ring->spacing_bytes ||
	    (ring->node >= 0 && !map) || *marks < 1)
		return -EINVAL;
	ret = map ? hm_map_check(map, NULL) : 0;
	if (!ret)
		ret = collect(&plan, ring, map);
	if (ret)
		goto out;
	made.count = plan.count < (uint64_t)*marks ? plan.count : (uint64_t)*marks;
	order = malloc(plan.window_count * sizeof(*order));
	if (!order) {
		ret = -ENOMEM;
		goto out;
	}
	hm_random_seed(&random, ring->seed);
	shuffle_windows(&plan, ring->ordered ? NULL : &random, order);
	link_lines(base, &plan, order, ring, map, &made);
	*marks = (int)made.made;
	*lines = plan.count;
out:
	free(order);
	free(plan.windows);
	free(plan.lines);
	return ret;
}

struct walk {
	const char *base;
	const uint64_t *offsets;
	int marks;
	uint64_t limit;
	uint64_t length;
	int closed;
};

/* A walker goes from a mark to the next one; the last one comes round to the first mark. */
struct walker {
	const struct hm_line *at;
	const struct hm_line *end;
};

static void walk_work(void *context, int thread)
{
	struct walk *walk = context;
	const struct hm_line *first = (const struct hm_line *)(walk->base + walk->offsets[0]);
	struct walker walkers[HM_MAX_MARKS];
	int walking = walk->marks;

	(void)thread;
	for (int i = 0; i < walking; i++) {
		walkers[i].at = (const struct hm_line *)(walk->base + walk->offsets[i]);
		walkers[i].end = (const struct hm_line *)(walk->base + walk->offsets[(i + 1) % walking]);
	}
	walk->closed = 1;
	while (walking && walk->length <= walk->limit) {
		for (int i = 0; i < walking; ) {
			struct walker *walker = &walkers[i];

			walker->at = walker->at->next;
			walk->length++;
			if (walker->at != walker->end && walker->at != first) {
				i++;
				continue;
			}
			/* Past the first mark before its own: the marks do not lie on one cycle in this order. */
			walk->closed &= walker->at == walker->end;
			*walker = walkers[--walking];
		}
	}
	walk->closed &= !walking;
}

/*
 * Follow the ring from each of @marks lines to the next one, and from the last to the first. If every
 * walker comes to its end without passing the first mark, the ways together are one cycle, each of its lines
 * once, and @length is the number of lines; otherwise it is 0, and it stops after @limit steps.
 */
int hm_ring_walk(const void *base, int cpu, int marks, const uint64_t *offsets, uint64_t limit, uint64_t *length)
{
	struct walk walk = { .base = base, .offsets = offsets, .marks = marks, .limit = limit };
	const int32_t cpus[] = { cpu };
	int ret;

	if (marks < 1 || marks > HM_MAX_MARKS)
		return -EINVAL;
	ret = hm_team_run(1, cpus, walk_work, &walk);
	*length = walk.closed ? walk.length : 0;
	return ret;
}
