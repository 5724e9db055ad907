// SPDX-License-Identifier: MIT
/*
 * Where the pages of a region are, counted and held against its pattern without a list of them.
 *
 * move_pages(2) finds each page anew from its address. /proc/self/pagemap walks the page table once and
 * gives the frame of each page; which node a frame is on is what its block of memory says. That is several
 * times faster, but the kernel shows frames to CAP_SYS_ADMIN alone, a block may be of two nodes, and the
 * zero page has a frame and no placement. Whatever pagemap leaves open is asked of move_pages.
 *
 * Everybody may see in pagemap which pages are mapped more than once: an anonymous page of ours that is, shares its
 * frame with another (KSM), and whatever its node, it is not a page that was placed.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pagemap.h"

enum {
	BATCH = 4096,			/* pages looked at in one go: the lists stay in the cache */
	OPEN = -4096,			/* no errno: what pagemap does not tell */
	MOST_AGAIN = 100,		/* times that one call asks again, a millisecond apart */
	BATCH_AGAIN = 5,		/* of one batch */
};

struct batch {
	uint64_t entries[BATCH];
	const void *addresses[BATCH];
	int32_t index[BATCH];
	int32_t status[BATCH];
	int32_t nodes[BATCH];
};

static int read_entries(const struct hm_frames *frames, uint64_t page, unsigned long count, uint64_t *entries)
{
	size_t done = 0, bytes = count * sizeof(*entries);

	while (done < bytes) {
		ssize_t got = pread(frames->pagemap_fd, (char *)entries + done, bytes - done,
				    (off_t)(page * sizeof(*entries) + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EIO;
		done += (size_t)got;
	}
	return 0;
}

/*
 * The zero page is neither of a file nor mapped once only, as every page of ours is; a page that a child
 * shares with us after a fork is not either, and is asked about.
 */
static int32_t node_of(const struct hm_frames *frames, uint64_t entry)
{
	uint64_t frame = entry & PAGEMAP_FRAME, block;

	if (!(entry & PAGEMAP_PRESENT) || !(entry & (PAGEMAP_FILE | PAGEMAP_EXCLUSIVE)) || !frame)
		return OPEN;
	block = frame >> frames->block_shift;
	if (block >= frames->blocks || frames->block_node[block] < 0)
		return OPEN;
	return frames->block_node[block];
}

static int ask(struct batch *batch, const char *start, unsigned long count, uint64_t page_bytes,
	       struct hm_where *where)
{
	unsigned long open = 0;

	for (unsigned long i = 0; i < count; i++) {
		if (batch->nodes[i] != OPEN)
			continue;
		batch->addresses[open] = start + i * page_bytes;
		batch->index[open++] = (int32_t)i;
	}
	if (!open)
		return 0;
	if (syscall(SYS_move_pages, 0, open, batch->addresses, NULL, batch->status, 0) < 0)
		return -errno;
	for (unsigned long i = 0; i < open; i++)
		batch->nodes[batch->index[i]] = batch->status[i];
	where->asked += (int64_t)open;
	return 0;
}

/* Look at @count pages from @start on. @frames may be NULL: then move_pages alone is asked. */
static int look(struct batch *batch, const struct hm_frames *frames, const char *start, unsigned long count,
		uint64_t page_bytes, struct hm_where *where)
{
	int ret = 0;

	if (frames)
		ret = read_entries(frames, (uintptr_t)start / page_bytes, count, batch->entries);
	else
		memset(batch->entries, 0, count * sizeof(batch->entries[0]));
	for (unsigned long i = 0; i < count; i++)
		batch->nodes[i] = frames ? node_of(frames, batch->entries[i]) : OPEN;
	return ret ? ret : ask(batch, start, count, page_bytes, where);
}

/*
 * Pages that are on no node now and may be soon: busy, or neither there nor absent, as they are while the kernel
 * migrates them or has taken them out of the page table to see who uses them.
 */
static unsigned long count_moving(const struct batch *batch, unsigned long count)
{
	unsigned long moving = 0;

	for (unsigned long i = 0; i < count; i++) {
		const uint64_t there = batch->entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAP);

		if (batch->nodes[i] == -EBUSY || batch->nodes[i] == -EAGAIN || (batch->nodes[i] == -ENOENT && there))
			moving++;
	}
	return moving;
}

static void count_states(const struct batch *batch, uint64_t first, unsigned long count, struct hm_where *where)
{
	for (unsigned long i = 0; i < count; i++) {
		const uint64_t entry = batch->entries[i];

		if (batch->nodes[i] >= 0) {
			if ((entry & PAGEMAP_PRESENT) && !(entry & (PAGEMAP_FILE | PAGEMAP_EXCLUSIVE)) && !where->shared++)
				where->first_shared = (int64_t)(first + i);
		} else if ((entry & PAGEMAP_SWAP) && !(entry & PAGEMAP_PRESENT) && !where->unmapped++) {
			where->unmapped_entry = entry;
		}
	}
}

/*
 * How scattered a node's frames are: where each page begins a run of its own, a walk of the page tables finds
 * nothing that a neighbour's has left, least of all in a virtual machine, whose own pages the host maps by others.
 */
static void count_runs(const struct batch *batch, unsigned long count, struct hm_where *where)
{
	for (unsigned long i = 0; i < count; i++) {
		const uint64_t frame = batch->entries[i] & PAGEMAP_FRAME;
		const int32_t node = batch->nodes[i];

		if (!(batch->entries[i] & PAGEMAP_PRESENT) || !frame || node < 0 || node >= HM_MAX_NODES)
			continue;
		where->frames++;
		if (!where->last_frame[node] || frame != where->last_frame[node] + 1)
			where->frame_runs++;
		where->last_frame[node] = frame;
	}
}

static int tally(const struct hm_layout *layout, uint64_t first, const int32_t *nodes, unsigned long count,
		 struct hm_where *where)
{
	uint64_t entry = first / layout->granule_pages % layout->entries;
	uint64_t left = layout->granule_pages - first % layout->granule_pages;

	for (unsigned long i = 0; i < count; i++) {
		int32_t node = nodes[i];

		if (node >= 0) {
			if (node >= HM_MAX_NODES)
				return -ERANGE;
			where->nodes[node]++;
			if (node != layout->nodes[entry] && !where->misplaced++)
				where->first_misplaced = (int64_t)(first + i);
		} else {
			where->absent[node > -HM_MAX_ERRNO ? -node : 0]++;
		}
		if (!--left) {
			left = layout->granule_pages;
			if (++entry == layout->entries)
				entry = 0;
		}
	}
	return 0;
}

/*
 * Count where @pages pages from @first_page on are. @frames may be NULL: then move_pages is asked about
 * every page, and those that share a frame are not found. What is counted is added to @where, whose first_misplaced has a meaning only if misplaced
 * is not zero.
 */
int hm_where(const void *base, const struct hm_layout *layout, const struct hm_frames *frames,
	     uint64_t first_page, uint64_t pages, struct hm_where *where)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	struct batch *batch;
	int waits = 0, ret = 0;

	if (first_page > layout->pages || pages > layout->pages - first_page)
		return -EINVAL;
	batch = malloc(sizeof(*batch));
	if (!batch)
		return -ENOMEM;
	for (uint64_t done = 0; done < pages && !ret; ) {
		unsigned long count = pages - done < BATCH ? pages - done : BATCH;
		const char *start = (const char *)base + (first_page + done) * layout->page_bytes;

		ret = look(batch, frames, start, count, layout->page_bytes, where);
		for (int again = 0; !ret && again < BATCH_AGAIN && waits < MOST_AGAIN; again++) {
			const unsigned long moving = count_moving(batch, count);

			if (!moving)
				break;
			where->tried_again += (int64_t)moving;
			waits++;
			nanosleep(&pause, NULL);
			ret = look(batch, frames, start, count, layout->page_bytes, where);
		}
		if (ret)
			break;
		count_states(batch, first_page + done, count, where);
		count_runs(batch, count, where);
		ret = tally(layout, first_page + done, batch->nodes, count, where);
		done += count;
	}
	free(batch);
	return ret;
}
