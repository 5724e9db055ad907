// SPDX-License-Identifier: MIT
/*
 * Which parts of an address space have pages, by PAGEMAP_SCAN (Linux 6.7): what is sparse costs little, and which
 * pages are huge or the zero page is said to everybody who may read pagemap at all.
 */
#include <stdlib.h>
#include <unistd.h>

#include "pagemap.h"

enum { ASKED_FOR = 512 };		/* stretches in one call */

static int64_t scan(int fd, uint64_t categories, uint64_t start, uint64_t stop, struct hm_stretch *out, uint64_t room)
{
	struct hm_scan_argument argument = {
		.size = sizeof(argument),
		.start = start,
		.end = stop,
		.vec = (uintptr_t)out,
		.vec_len = room,
		.category_anyof_mask = categories & (HM_SCAN_PRESENT | HM_SCAN_SWAPPED),
		.return_mask = categories,
	};
	int got;

	do {
		got = ioctl(fd, HM_PAGEMAP_SCAN, &argument);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* PAGEMAP_SCAN finds nothing, and no error, in an address space that is gone; reading finds the end of the file. */
static int is_gone(int fd, uint64_t address)
{
	uint64_t entry;
	off_t at = (off_t)(address / (uint64_t)sysconf(_SC_PAGESIZE) * sizeof(entry));

	return pread(fd, &entry, sizeof(entry), at) == 0;
}

/* Some kernels with the call refuse one category or another with EINVAL: each is tried. Pages present are a must. */
int64_t hm_scan_categories(int pagemap_fd, uint64_t wanted)
{
	uint64_t known = HM_SCAN_PRESENT;
	struct hm_stretch one;

	if (!(wanted & HM_SCAN_PRESENT) || scan(pagemap_fd, known, 0, 0, &one, 1) < 0)
		return 0;
	for (uint64_t category = 1; category && category <= wanted; category <<= 1)
		if ((wanted & category) && scan(pagemap_fd, known | category, 0, 0, &one, 1) >= 0)
			known |= category;
	return (int64_t)known;
}

/*
 * List the stretches with pages between two addresses; @gap_bytes without any, or less, do not part two that have
 * the same categories, or any if that gap is not 0.
 *
 * The kernel's walk_end is stale once it has reported many: an answer that fills the list is resumed from its end,
 * and one that does not is the last. Returns -ENODATA if the address space is gone.
 */
int64_t hm_stretches(int pagemap_fd, uint64_t categories, uint64_t start, uint64_t stop, uint64_t gap_bytes,
		     struct hm_stretch *out, uint64_t room)
{
	struct hm_stretch *batch = malloc(ASKED_FOR * sizeof(*batch));
	const uint64_t first = start;
	uint64_t count = 0;
	int64_t got = 0;

	if (!batch)
		return -ENOMEM;
	while (start < stop && room) {
		got = scan(pagemap_fd, categories, start, stop, batch, ASKED_FOR);
		if (got < 0)
			break;
		for (int64_t i = 0; i < got; i++) {
			struct hm_stretch *last = count ? &out[count - 1] : NULL;

			if (last && batch[i].start - last->stop <= gap_bytes &&
			    (gap_bytes || last->categories == batch[i].categories)) {
				last->stop = batch[i].stop;
				last->categories |= batch[i].categories;
				continue;
			}
			if (count == room)
				goto out;
			out[count++] = batch[i];
		}
		if (got < ASKED_FOR)
			break;
		start = batch[got - 1].stop;
	}
out:
	free(batch);
	if (got >= 0 && is_gone(pagemap_fd, first))
		return -ENODATA;
	return got < 0 ? got : (int64_t)count;
}
