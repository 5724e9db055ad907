// SPDX-License-Identifier: MIT
/*
 * Moving pages of another process, a batch at a time. What to move, when, and what became of it is decided above:
 * no status is proof of where a page is (one pinned page leaves those of its call unwritten), only a look at
 * the pages afterwards is.
 */
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#ifndef SYS_process_madvise
#define SYS_process_madvise 440		/* Linux 5.10 */
#endif
#ifndef MADV_COLD
#define MADV_COLD 20			/* Linux 5.4 */
#endif

enum { VECTOR = 64 };			/* pages of one process_madvise */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/*
 * One move_pages(2). Statuses that the kernel does not write stay HM_UNWRITTEN. Returns a negative errno, or what
 * the call returned: 0, or how many pages it says were not moved. @everybody moves pages that other processes
 * map, too (MPOL_MF_MOVE_ALL). With a @count of 0 it is asked only whether we may.
 */
int hm_move_foreign(int pid, uint64_t count, const uint64_t *addresses, const int32_t *nodes, int32_t *status,
		    int everybody, int64_t *taken_ns)
{
	const int flags = everybody ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE;
	const int64_t start = now_ns();
	long ret;

	for (uint64_t i = 0; i < count; i++)
		status[i] = HM_UNWRITTEN;
	ret = syscall(SYS_move_pages, pid, count, addresses, nodes, status, flags);
	if (ret < 0)
		ret = -errno;
	*taken_ns = now_ns() - start;
	return (int)ret;
}

/*
 * Split the huge pages that these pages are part of: cold advice on a part of one makes the kernel split it. Returns
 * how many pages the kernel took the advice for (not: how many huge pages it split), or a negative errno
 * if it was none. Pages that it refuses (locked ones, ranges that are gone) are passed over.
 */
int64_t hm_split_foreign(int pidfd, uint64_t count, const uint64_t *addresses, uint64_t page_bytes)
{
	struct iovec parts[VECTOR];
	int64_t taken = 0;
	int refused = 0;

	for (uint64_t done = 0; done < count; ) {
		const uint64_t left = count - done;
		const uint64_t some = left < VECTOR ? left : VECTOR;
		uint64_t good;
		long ret;

		for (uint64_t i = 0; i < some; i++) {
			parts[i].iov_base = (void *)addresses[done + i];
			parts[i].iov_len = page_bytes;
		}
		ret = syscall(SYS_process_madvise, pidfd, parts, some, MADV_COLD, 0);
		if (ret < 0 && (errno == EPERM || errno == ESRCH || errno == ENOSYS || errno == EBADF))
			return taken ? taken : -errno;
		if (ret < 0)
			refused = errno;
		good = ret < 0 ? 0 : (uint64_t)ret / page_bytes;
		taken += (int64_t)good;
		/* The kernel stops at the first part that it refuses. */
		done += good < some ? good + 1 : some;
	}
	return taken || !refused ? taken : -refused;
}
