// SPDX-License-Identifier: MIT
/*
 * Touching pages for the first time, which is when the kernel takes them from a node, and giving them back.
 *
 * Most of that time the kernel clears pages, one thread at a time for each thread that touches: several
 * threads take pieces of the region in turn, in ascending order, so that frames and addresses go up together.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mempolicy.h"
#include "team.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23		/* Linux 5.14 */
#endif

enum {
	PIECE_BYTES = 2 << 20,
	DROP_BYTES = 32 << 20,
};

struct touch {
	char *base;
	const struct hm_layout *layout;
	int node;
	uint64_t piece_pages;		/* whole granules */
	_Atomic uint64_t taken;		/* pages that threads have begun with */
	_Atomic int error;
};

/* Touch every page of a range that holds nothing yet. -EFAULT where an access would be a SIGBUS. */
int hm_populate(void *base, uint64_t bytes, uint64_t page_bytes)
{
	int zero, ret = 0;

	if (!madvise(base, bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* Before Linux 5.14. The kernel writes the byte, so that a page that is refused does not kill us. */
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero < 0)
		return -errno;
	for (uint64_t offset = 0; offset < bytes && !ret; offset += page_bytes)
		if (read(zero, (char *)base + offset, 1) != 1)
			ret = errno ? -errno : -EIO;
	close(zero);
	return ret;
}

/* The pages of @node from @page, where a granule begins, up to @end. */
static int touch_piece(const struct touch *touch, uint64_t page, uint64_t end)
{
	const struct hm_layout *layout = touch->layout;
	uint64_t entry = page / layout->granule_pages % layout->entries, run;

	for (; page < end; page += run) {
		const int ours = layout->nodes[entry] == touch->node;
		char *start = touch->base + page * layout->page_bytes;
		int ret;

		/* Granules in a row that are all for this node, or all for others: one request is cheaper than many. */
		run = 0;
		do {
			run += layout->granule_pages;
			if (++entry == layout->entries)
				entry = 0;
		} while (page + run < end && (layout->nodes[entry] == touch->node) == ours);
		if (!ours)
			continue;
		if (page + run > end)
			run = end - page;
		if (run == 1) {
			*(volatile char *)start = 0;
			continue;
		}
		ret = hm_populate(start, run * layout->page_bytes, layout->page_bytes);
		if (ret)
			return ret;
	}
	return 0;
}

static void touch_work(void *context, int thread)
{
	struct touch *touch = context;
	const uint64_t pages = touch->layout->pages;

	(void)thread;
	while (!atomic_load(&touch->error)) {
		const uint64_t page = atomic_fetch_add(&touch->taken, touch->piece_pages);
		const uint64_t left = page < pages ? pages - page : 0;
		int ret;

		if (!left)
			return;
		ret = touch_piece(touch, page, page + (left < touch->piece_pages ? left : touch->piece_pages));
		if (ret)
			atomic_store(&touch->error, ret);
	}
}

/*
 * Touch the pages that belong on @node while the mapping may have pages of that node alone, by as many threads
 * as there are @cpus; by the calling one if there are none, or if the system has no threads to give. The policy
 * is the mapping's and not the thread's: without one of its own, automatic NUMA balancing may take its pages
 * away from the page tables meanwhile, and then the kernel neither moves them nor reports where they are.
 */
int hm_first_touch(void *base, const struct hm_layout *layout, int node, int threads, const int32_t *cpus)
{
	const uint64_t granule_bytes = layout->granule_pages * layout->page_bytes;
	struct touch touch = { .base = base, .layout = layout, .node = node };
	struct hm_mask mask = { 0 };
	int ret = hm_mask_add(&mask, node);

	if (!ret)
		ret = hm_mbind(base, layout->pages * layout->page_bytes, MPOL_BIND, &mask);
	if (ret)
		return ret;
	touch.piece_pages = layout->granule_pages;
	if (granule_bytes < PIECE_BYTES)
		touch.piece_pages *= PIECE_BYTES / granule_bytes;
	if (threads > 1)
		ret = hm_team_run(threads, cpus, touch_work, &touch);
	if (threads <= 1 || ret)
		touch_work(&touch, 0);
	return atomic_load(&touch.error);
}

struct drop {
	char *base;
	uint64_t bytes;
	_Atomic uint64_t taken;
};

static void drop_work(void *context, int thread)
{
	struct drop *drop = context;

	(void)thread;
	for (;;) {
		const uint64_t at = atomic_fetch_add(&drop->taken, DROP_BYTES);

		if (at >= drop->bytes)
			return;
		/* What this refuses, such as locked pages, goes with the mapping. */
		(void)madvise(drop->base + at, drop->bytes - at < DROP_BYTES ? drop->bytes - at : DROP_BYTES,
			      MADV_DONTNEED);
	}
}

/*
 * Give the pages of a private mapping back by a thread on each of @cpus: that takes a fifth as long as touching
 * them, and munmap does it in one thread, with the whole address space locked.
 */
int hm_drop(void *base, uint64_t bytes, int threads, const int32_t *cpus)
{
	struct drop drop = { .base = base, .bytes = bytes };

	return hm_team_run(threads, cpus, drop_work, &drop);
}
