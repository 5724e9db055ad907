// SPDX-License-Identifier: MIT
/*
 * Is a ring one cycle through each of its lines? The pointers that lie in memory are what counts. Following
 * them there costs a miss of all caches and of the TLB a line, even from many marks at once. So they are read
 * in the order of memory, as numbers of lines, and followed in an array of these, a sixteenth of the region.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "operations.h"
#include "ring.h"
#include "team.h"

/* Of a line that is not on the ring, or whose pointer leads out of the region or between two lines. */
#define NOWHERE	UINT32_MAX

struct walk {
	const char *base;
	uint64_t bytes;
	uint64_t spacing_bytes;
	uint32_t *next;			/* number of the line that comes after each, or NOWHERE */
	const uint64_t *offsets;
	int marks;
	int threads;
	uint64_t limit;
	_Atomic uint64_t length;
	_Atomic int open;
};

/* A walker goes from a mark to the next one; the last one comes round to the first mark. */
struct walker {
	uint32_t at;
	uint32_t end;
};

static void read_work(void *context, int thread)
{
	const struct walk *walk = context;
	const uint64_t spacing = walk->spacing_bytes, lines = walk->bytes / spacing;
	const uint64_t to = lines * (uint64_t)(thread + 1) / (uint64_t)walk->threads;
	/* A division of each offset would take longer than reading it. */
	const int shift = spacing & (spacing - 1) ? -1 : __builtin_ctzll(spacing);

	for (uint64_t i = lines * (uint64_t)thread / (uint64_t)walk->threads; i < to; i++) {
		const struct hm_line *line = (const struct hm_line *)(walk->base + i * spacing);
		const uint64_t offset = (uint64_t)((uintptr_t)line->next - (uintptr_t)walk->base);
		const uint64_t number = shift < 0 ? offset / spacing : offset >> shift;

		walk->next[i] = number < lines && number * spacing == offset ? (uint32_t)number : NOWHERE;
	}
}

static uint32_t mark_at(const struct walk *walk, int mark)
{
	return (uint32_t)(walk->offsets[mark % walk->marks] / walk->spacing_bytes);
}

static void walk_work(void *context, int thread)
{
	struct walk *walk = context;
	const uint32_t first = mark_at(walk, 0);
	const int from = walk->marks * thread / walk->threads;
	int walking = walk->marks * (thread + 1) / walk->threads - from, closed = 1;
	struct walker walkers[HM_MAX_MARKS];
	uint64_t length = 0;

	for (int i = 0; i < walking; i++)
		walkers[i] = (struct walker){ mark_at(walk, from + i), mark_at(walk, from + i + 1) };
	while (walking && length <= walk->limit) {
		for (int i = 0; i < walking; ) {
			struct walker *walker = &walkers[i];

			walker->at = walk->next[walker->at];
			length++;
			if (walker->at != walker->end && walker->at != first && walker->at != NOWHERE) {
				/* A load that waits would hold up those behind it, of which few fit beside it. */
				__builtin_prefetch(&walk->next[walker->at]);
				i++;
				continue;
			}
			/* Past the first mark before its own: the marks do not lie on one cycle in this order. */
			closed &= walker->at == walker->end;
			*walker = walkers[--walking];
		}
	}
	atomic_fetch_add(&walk->length, length);
	if (!closed || walking)
		atomic_store(&walk->open, 1);
}

/* One thread may be had where several cannot. */
static int run_walk(struct walk *walk, const int32_t *cpus, void (*work)(void *context, int thread))
{
	int ret = hm_team_run(walk->threads, cpus, work, walk);

	if (ret && walk->threads > 1) {
		walk->threads = 1;
		ret = hm_team_run(1, cpus, work, walk);
	}
	return ret;
}

/*
 * Follow the ring from each of @marks lines to the next one, and from the last to the first, by a thread on each
 * of @cpus with its part of them. If every walker comes to its end without passing the first mark, the ways
 * together are one cycle, each of its lines once, and @length is the number of lines; otherwise it is 0. No
 * thread takes more than @limit steps.
 */
int hm_ring_walk(const void *base, const struct hm_ring *ring, int threads, const int32_t *cpus, int marks,
		 const uint64_t *offsets, uint64_t limit, uint64_t *length)
{
	struct walk walk = {
		.base = base,
		.bytes = ring->bytes,
		.spacing_bytes = ring->spacing_bytes,
		.offsets = offsets,
		.marks = marks,
		.threads = threads,
		.limit = limit,
	};
	int ret;

	if (marks < 1 || marks > HM_MAX_MARKS || threads < 1 || threads > marks ||
	    ring->spacing_bytes < HM_LINE_BYTES || ring->bytes / ring->spacing_bytes >= NOWHERE)
		return -EINVAL;
	for (int i = 0; i < marks; i++)
		if (offsets[i] >= ring->bytes / ring->spacing_bytes * ring->spacing_bytes)
			return -EINVAL;
	walk.next = malloc(ring->bytes / ring->spacing_bytes * sizeof(*walk.next));
	if (!walk.next)
		return -ENOMEM;
	ret = run_walk(&walk, cpus, read_work);
	if (!ret)
		ret = run_walk(&walk, cpus, walk_work);
	*length = walk.open ? 0 : walk.length;
	free(walk.next);
	return ret;
}
