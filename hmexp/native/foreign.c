// SPDX-License-Identifier: MIT
/*
 * Where the pages of another process are, and of what sort each is.
 *
 * Whoever may trace a process may read its pagemap. That says which pages are there, swapped, of a file, or mapped
 * more than once. Frames, and what the kernel says of each in /proc/kpageflags, are shown to CAP_SYS_ADMIN alone;
 * without them move_pages(2) is asked for the node. Its statuses are not proof that it answered: one that the kernel
 * left unwritten must not look like a node, so that they start with a value that no kernel writes.
 *
 * A page that pagemap shows as swapped may be under migration for a moment, and move_pages may find a page busy:
 * such are looked at again.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pagemap.h"

/* linux/kernel-page-flags.h */
#define KPF_HUGE	(1ULL << 17)
#define KPF_NOPAGE	(1ULL << 20)
#define KPF_KSM		(1ULL << 21)
#define KPF_THP		(1ULL << 22)
#define KPF_ZERO_PAGE	(1ULL << 24)

enum {
	BATCH = 4096,			/* pages looked at in one go; whole huge pages */
	STRETCHES = 1024,		/* parts of the address space listed in one go */
	UNWRITTEN = INT_MIN,
	OPEN = -3,			/* a node that pagemap does not tell; never seen outside of this file */
	MOST_AGAIN = 20,		/* times that one scan looks again, a millisecond apart */
	BATCH_AGAIN = 4,		/* of one batch */
	SWAP_AREA_TYPES = 23,		/* types of swap entries from here on are of migration, poison and others */
};

struct batch {
	uint64_t entries[BATCH];
	uint64_t page_flags[BATCH];
	void *addresses[BATCH];
	int32_t index[BATCH];
	int32_t status[BATCH];
};

struct scan {
	const struct hm_sight *sight;
	struct hm_seen *seen;
	struct batch *batch;
	uint64_t first_page;		/* virtual page number of the first of them all */
	int16_t *nodes;
	uint8_t *flags;			/* HUGE and ZERO may stand there before a page is looked at: PAGEMAP_SCAN's word */
	int waits;
};

/* Returns 0, or -ENODATA at the end of what there is: of a pagemap, once its address space is gone. */
static int read_words(int fd, uint64_t first, unsigned long count, uint64_t *words)
{
	size_t done = 0, bytes = count * sizeof(*words);

	while (done < bytes) {
		ssize_t got = pread(fd, (char *)words + done, bytes - done, (off_t)(first * sizeof(*words) + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ENODATA;
		done += (size_t)got;
	}
	return 0;
}

/* The entry of a page of our own stack, or 0. */
static uint64_t read_own_entry(void)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read_words(fd, (uintptr_t)&entry / (uint64_t)sysconf(_SC_PAGESIZE), 1, &entry))
		entry = 0;
	close(fd);
	return entry & PAGEMAP_PRESENT ? entry : 0;
}

int hm_frames_shown(void)
{
	return (read_own_entry() & PAGEMAP_FRAME) != 0;
}

/* Some kernels (6.12 is one) look at a bit that every anonymous page has. Our stack is not merged with anything. */
int hm_tells_merged(int kpageflags_fd)
{
	const uint64_t frame = read_own_entry() & PAGEMAP_FRAME;
	uint64_t page_flags = 0;

	return frame && !read_words(kpageflags_fd, frame, 1, &page_flags) && !(page_flags & KPF_KSM);
}

/* Is a page of no file mapped more than once? After a fork, by KSM, as the zero page, or as memory of a device. */
static int is_odd(uint64_t entry)
{
	return (entry & PAGEMAP_PRESENT) && !(entry & (PAGEMAP_FILE | PAGEMAP_EXCLUSIVE));
}

static int16_t node_of(const struct hm_sight *sight, uint64_t entry)
{
	uint64_t frame = entry & PAGEMAP_FRAME, block = frame >> sight->block_shift;

	if (!sight->frames_shown || !frame || block >= sight->blocks || sight->block_node[block] < 0)
		return OPEN;
	return sight->block_node[block];
}

static int is_elsewhere(const struct hm_sight *sight, uint64_t entry)
{
	if ((entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_SWAP) || (entry & PAGEMAP_GUARD))
		return 0;
	return !sight->frames_shown || (entry & PAGEMAP_SWAP_TYPE) >= SWAP_AREA_TYPES;
}

static void decode(struct scan *scan, uint64_t page, uint64_t entry)
{
	const uint8_t hint = scan->flags[page] & (HM_PAGE_HUGE | HM_PAGE_ZERO);
	int16_t node = HM_NODE_NONE;
	uint8_t flags = 0;

	if (entry & PAGEMAP_PRESENT) {
		flags = HM_PAGE_PRESENT | hint;
		if (entry & PAGEMAP_FILE)
			flags |= HM_PAGE_FILE;
		if (!(flags & HM_PAGE_ZERO)) {
			if (!(entry & PAGEMAP_EXCLUSIVE))
				flags |= HM_PAGE_SHARED;
			node = node_of(scan->sight, entry);
		}
	} else if ((entry & PAGEMAP_SWAP) && !(entry & PAGEMAP_GUARD)) {
		flags = scan->sight->frames_shown && is_elsewhere(scan->sight, entry) ? HM_PAGE_OTHER : HM_PAGE_SWAPPED;
	}
	scan->nodes[page] = node;
	scan->flags[page] = flags;
}

static void tell_odd(struct scan *scan, uint64_t page, uint64_t page_flags)
{
	if (page_flags & KPF_ZERO_PAGE) {
		scan->flags[page] = (scan->flags[page] & HM_PAGE_HUGE) | HM_PAGE_PRESENT | HM_PAGE_ZERO;
		scan->nodes[page] = HM_NODE_NONE;
	} else if (page_flags & KPF_NOPAGE) {
		scan->flags[page] |= HM_PAGE_OTHER;
		scan->nodes[page] = HM_NODE_HIDDEN;
	} else if (scan->sight->merging && (page_flags & KPF_KSM)) {
		scan->flags[page] |= HM_PAGE_OTHER;
	}
}

/* Zero pages are known already where PAGEMAP_SCAN knows them; merged ones are few, or there are none at all. */
static int needs_flags(const struct scan *scan, uint64_t page, uint64_t entry)
{
	if (!is_odd(entry) || !(entry & PAGEMAP_FRAME) || (scan->flags[page] & HM_PAGE_ZERO))
		return 0;
	return scan->sight->merging || !(scan->sight->categories & HM_SCAN_ZERO) || scan->nodes[page] == OPEN;
}

/* Ask for the flags of the frames of odd pages, of neighbouring frames at once. */
static void look_at_odd(struct scan *scan, uint64_t page, unsigned long count)
{
	const uint64_t *entries = scan->batch->entries;
	uint64_t *page_flags = scan->batch->page_flags;
	unsigned long run;

	for (unsigned long i = 0; i < count; i += run) {
		const uint64_t frame = entries[i] & PAGEMAP_FRAME;

		run = 1;
		if (!needs_flags(scan, page + i, entries[i]))
			continue;
		while (i + run < count && needs_flags(scan, page + i + run, entries[i + run]) &&
		       (entries[i + run] & PAGEMAP_FRAME) == frame + run)
			run++;
		/* A frame beyond the end of the file is no memory that the kernel keeps books of. */
		if (read_words(scan->sight->kpageflags_fd, frame, run, page_flags))
			for (unsigned long k = 0; k < run; k++)
				page_flags[k] = KPF_NOPAGE;
		for (unsigned long k = 0; k < run; k++)
			tell_odd(scan, page + i + k, page_flags[k]);
	}
}

/*
 * Without PAGEMAP_SCAN, huge pages show by their frames: as many as one has, in order and aligned, of which the kernel
 * says that they are of one.
 */
static void look_for_huge(struct scan *scan, uint64_t page, unsigned long count)
{
	const unsigned long pages = scan->sight->huge_bytes / scan->sight->page_bytes;
	const uint64_t *entries = scan->batch->entries;
	unsigned long i = -(scan->first_page + page) & (pages - 1);

	for (; i + pages <= count; i += pages) {
		const uint64_t frame = entries[i] & PAGEMAP_FRAME;
		unsigned long in_order = 0;
		uint64_t page_flags;

		if (!frame || (frame & (pages - 1)))
			continue;
		while (in_order < pages && (entries[i + in_order] & PAGEMAP_PRESENT) &&
		       (entries[i + in_order] & PAGEMAP_FRAME) == frame + in_order)
			in_order++;
		if (in_order < pages || read_words(scan->sight->kpageflags_fd, frame, 1, &page_flags))
			continue;
		if (page_flags & (KPF_THP | KPF_HUGE))
			for (unsigned long k = 0; k < pages; k++)
				scan->flags[page + i + k] |= HM_PAGE_HUGE;
	}
}

/* Returns how many pages were found busy, or neither there nor absent. */
static unsigned long take_answers(struct scan *scan, uint64_t page, unsigned long asked)
{
	unsigned long busy = 0;

	for (unsigned long k = 0; k < asked; k++) {
		const unsigned long i = (unsigned long)scan->batch->index[k];
		const int32_t status = scan->batch->status[k];
		int16_t node = HM_NODE_HIDDEN;

		if (status >= 0 && status < HM_MAX_NODES) {
			node = (int16_t)status;
		} else if (status == -EFAULT && is_odd(scan->batch->entries[i]) &&
			   !(scan->sight->categories & HM_SCAN_ZERO)) {
			scan->flags[page + i] = (scan->flags[page + i] & HM_PAGE_HUGE) | HM_PAGE_PRESENT | HM_PAGE_ZERO;
			node = HM_NODE_NONE;
		} else if (status == -ENOENT || status == -EBUSY || status == -EAGAIN) {
			busy++;
		} else if (status == UNWRITTEN) {
			scan->seen->unanswered++;
		}
		scan->nodes[page + i] = node;
	}
	return busy;
}

/* Returns how many pages were found busy, or a negative errno. */
static long ask(struct scan *scan, uint64_t page, unsigned long count)
{
	const struct hm_sight *sight = scan->sight;
	unsigned long open = 0;

	for (unsigned long i = 0; i < count; i++) {
		if (scan->nodes[page + i] != OPEN)
			continue;
		scan->batch->addresses[open] = (void *)((scan->first_page + page + i) * sight->page_bytes);
		scan->batch->status[open] = UNWRITTEN;
		scan->batch->index[open++] = (int32_t)i;
	}
	if (!open)
		return 0;
	if (!scan->seen->refused) {
		scan->seen->asked += (int64_t)open;
		if (syscall(SYS_move_pages, sight->pid, open, scan->batch->addresses, NULL, scan->batch->status, 0) < 0) {
			if (errno == ESRCH)
				return -ENODATA;
			scan->seen->refused = errno;
		}
	}
	return (long)take_answers(scan, page, open);
}

/* Returns how many pages may be seen better in a moment, or a negative errno. */
static long look_once(struct scan *scan, uint64_t page, unsigned long count)
{
	const struct hm_sight *sight = scan->sight;
	uint64_t *entries = scan->batch->entries;
	unsigned long elsewhere = 0;
	long busy;
	int ret = read_words(sight->pagemap_fd, scan->first_page + page, count, entries);

	if (ret)
		return ret;
	for (unsigned long i = 0; i < count; i++) {
		decode(scan, page + i, entries[i]);
		elsewhere += is_elsewhere(sight, entries[i]);
	}
	if (sight->frames_shown && sight->kpageflags_fd >= 0) {
		if (!(sight->categories & HM_SCAN_HUGE))
			look_for_huge(scan, page, count);
		look_at_odd(scan, page, count);
	}
	busy = ask(scan, page, count);
	return busy < 0 ? busy : busy + (long)elsewhere;
}

static int look(struct scan *scan, uint64_t page, unsigned long count)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	long unsettled = look_once(scan, page, count);

	for (int again = 0; unsettled > 0 && again < BATCH_AGAIN && scan->waits < MOST_AGAIN; again++) {
		scan->seen->tried_again += unsettled;
		scan->waits++;
		nanosleep(&pause, NULL);
		unsettled = look_once(scan, page, count);
	}
	return unsettled < 0 ? (int)unsettled : 0;
}

/* Batches end where huge pages do. */
static int look_at_all(struct scan *scan, uint64_t page, uint64_t stop)
{
	while (page < stop) {
		uint64_t count = BATCH - ((scan->first_page + page) & (BATCH - 1));
		int ret;

		if (count > stop - page)
			count = stop - page;
		ret = look(scan, page, count);
		if (ret)
			return ret;
		page += count;
	}
	return 0;
}

static void hint(struct scan *scan, const struct hm_stretch *stretch)
{
	uint8_t flags = (stretch->categories & HM_SCAN_HUGE ? HM_PAGE_HUGE : 0) |
			(stretch->categories & HM_SCAN_ZERO ? HM_PAGE_ZERO : 0);
	uint64_t first = stretch->start / scan->sight->page_bytes - scan->first_page;

	memset(scan->flags + first, flags, (stretch->stop - stretch->start) / scan->sight->page_bytes);
}

/* Look only where there are pages; a small gap is cheaper looked at than left out. */
static int look_at_stretches(struct scan *scan, uint64_t start, uint64_t stop, struct hm_stretch *stretches)
{
	const uint64_t page_bytes = scan->sight->page_bytes, gap_bytes = 64 * page_bytes;

	while (start < stop) {
		int64_t count = hm_stretches(scan->sight->pagemap_fd, scan->sight->categories, start, stop, 0, stretches,
					     STRETCHES);
		int64_t last;

		if (count < 0)
			return (int)count;
		for (int64_t i = 0; i < count; i = last + 1) {
			int ret;

			hint(scan, &stretches[i]);
			for (last = i; last + 1 < count; last++) {
				if (stretches[last + 1].start - stretches[last].stop > gap_bytes)
					break;
				hint(scan, &stretches[last + 1]);
			}
			ret = look_at_all(scan, stretches[i].start / page_bytes - scan->first_page,
					  stretches[last].stop / page_bytes - scan->first_page);
			if (ret)
				return ret;
		}
		if (count < STRETCHES)
			break;
		start = stretches[count - 1].stop;
	}
	return 0;
}

/*
 * Find node and flags of @pages pages from address @start on. Returns -ENODATA where the process has ended, or has
 * executed another program since its pagemap was opened.
 */
int hm_foreign_scan(const struct hm_sight *sight, uint64_t start, uint64_t pages, int16_t *nodes, uint8_t *flags,
		    struct hm_seen *seen)
{
	struct scan scan = {
		.sight = sight,
		.seen = seen,
		.first_page = start / sight->page_bytes,
		.nodes = nodes,
		.flags = flags,
		.batch = malloc(sizeof(struct batch)),
	};
	struct hm_stretch *stretches = malloc(STRETCHES * sizeof(*stretches));
	int ret = -ENOMEM;

	if (scan.batch && stretches) {
		memset(flags, 0, pages);
		for (uint64_t page = 0; page < pages; page++)
			nodes[page] = HM_NODE_NONE;
		if (sight->categories)
			ret = look_at_stretches(&scan, start, start + pages * sight->page_bytes, stretches);
		else
			ret = look_at_all(&scan, 0, pages);
	}
	free(scan.batch);
	free(stretches);
	return ret;
}

int hm_same_memory(int32_t first, int32_t second)
{
	long ret = syscall(SYS_kcmp, (pid_t)first, (pid_t)second, KCMP_VM, 0UL, 0UL);

	return ret < 0 ? -errno : ret == 0;
}
