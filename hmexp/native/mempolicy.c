// SPDX-License-Identifier: MIT
/* Memory policies: of mappings and their parts, and of a file in memory. */
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mempolicy.h"

/* Linux 6.9; the headers that we are built with may be older. */
#define WEIGHTED_INTERLEAVE 6

int hm_mask_add(struct hm_mask *mask, int node)
{
	const int bits = 8 * sizeof(unsigned long);

	if (node < 0 || node >= HM_MASK_BITS)
		return -EINVAL;
	mask->words[node / bits] |= 1UL << node % bits;
	return 0;
}

int hm_mbind(void *start, uint64_t bytes, int mode, const struct hm_mask *mask)
{
	/* The kernel takes one bit less than the size it is given. */
	if (syscall(SYS_mbind, start, bytes, mode | MPOL_F_STATIC_NODES, mask->words, HM_MASK_BITS + 1, 0))
		return -errno;
	return 0;
}

struct hm_run hm_run_at(const struct hm_layout *layout, uint64_t first, uint64_t limit)
{
	uint64_t end = layout->pages - first < limit ? layout->pages : first + limit;
	uint64_t granule = first / layout->granule_pages;
	struct hm_run run = { .first = first, .node = layout->nodes[granule % layout->entries] };
	uint64_t next;

	do
		next = ++granule * layout->granule_pages;
	while (next < end && layout->nodes[granule % layout->entries] == run.node);
	run.pages = (next < end ? next : end) - first;
	return run;
}

uint64_t hm_count_runs(const struct hm_layout *layout)
{
	uint64_t runs = 0;

	for (uint64_t page = 0; page < layout->pages; runs++)
		page += hm_run_at(layout, page, UINT64_MAX).pages;
	return runs;
}

/* The pages of @layout from @first to @end, which are mapped at @start, each run with its own policy. */
static int bind_runs(char *start, const struct hm_layout *layout, uint64_t first, uint64_t end)
{
	for (uint64_t page = first; page < end; ) {
		struct hm_run run = hm_run_at(layout, page, end - page);
		struct hm_mask mask = { 0 };
		int ret = hm_mask_add(&mask, run.node);

		if (!ret)
			ret = hm_mbind(start + (page - first) * layout->page_bytes,
				       run.pages * layout->page_bytes, MPOL_BIND, &mask);
		if (ret)
			return ret;
		page += run.pages;
	}
	return 0;
}

/* Every run becomes a mapping of its own in the kernel's list. */
int hm_bind_runs(void *base, const struct hm_layout *layout)
{
	return bind_runs(base, layout, 0, layout->pages);
}

/*
 * Policies of a file in memory belong to the file, and stay when the mapping they were set through has
 * gone. That mapping is split into runs, so it is a window of @window_pages that moves along the file.
 */
int hm_bind_file(int fd, const struct hm_layout *layout, uint64_t window_pages)
{
	if (!window_pages)
		return -EINVAL;
	for (uint64_t first = 0; first < layout->pages; ) {
		uint64_t left = layout->pages - first;
		uint64_t count = left < window_pages ? left : window_pages;
		char *window = mmap(NULL, count * layout->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				    (off_t)(first * layout->page_bytes));
		int ret;

		if (window == MAP_FAILED)
			return -errno;
		ret = bind_runs(window, layout, first, first + count);
		if (munmap(window, count * layout->page_bytes) && !ret)
			ret = -errno;
		if (ret)
			return ret;
		first += count;
	}
	return 0;
}

int hm_spread(void *base, uint64_t bytes, const struct hm_layout *layout, int how)
{
	static const int modes[] = {
		[HM_SPREAD_ANY] = MPOL_BIND,
		[HM_SPREAD_EVENLY] = MPOL_INTERLEAVE,
		[HM_SPREAD_WEIGHTED] = WEIGHTED_INTERLEAVE,
	};
	struct hm_mask mask = { 0 };

	if (how < 0 || how >= (int)(sizeof(modes) / sizeof(modes[0])))
		return -EINVAL;
	for (uint64_t i = 0; i < layout->entries; i++) {
		int ret = hm_mask_add(&mask, layout->nodes[i]);

		if (ret)
			return ret;
	}
	return hm_mbind(base, bytes, modes[how], &mask);
}
