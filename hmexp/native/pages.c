// SPDX-License-Identifier: MIT
/*
 * Mapping regions, moving their pages to nodes, and asking the kernel where they are.
 * The system calls are made directly: libnuma's wrappers neither report every error nor know
 * about more than one request at a time.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mempolicy.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41		/* Linux 5.17 */
#define PR_SET_VMA_ANON_NAME 0
#endif

enum {
	BATCH = 4096,			/* pages in one query by move_pages(2) */
	MOVE_BATCH = 1024,		/* pages to be moved by one move_pages(2) */
};

/*
 * A mapping of its own between two inaccessible pages: without them the kernel may merge it with a
 * neighbour, and then no line of numa_maps would be about this region alone. With @fd, it is a shared
 * mapping of that file from its start; otherwise it is anonymous.
 */
int hm_map(uint64_t bytes, uint64_t page_bytes, uint64_t align, int huge, int fd, void **base)
{
	uint64_t span = bytes + align + 2 * page_bytes;
	uintptr_t start, aligned;
	char *reserved;
	int ret;

	if (!bytes || bytes % page_bytes || align % page_bytes || span < bytes)
		return -EINVAL;
	reserved = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	start = (uintptr_t)reserved;
	aligned = (start + page_bytes + align - 1) / align * align;
	if ((aligned - page_bytes > start && munmap(reserved, aligned - page_bytes - start)) ||
	    munmap((void *)(aligned + bytes + page_bytes), start + span - (aligned + bytes + page_bytes))) {
		ret = -errno;
		goto unmap;
	}
	if (fd < 0 ? mprotect((void *)aligned, bytes, PROT_READ | PROT_WRITE) != 0 :
		     mmap((void *)aligned, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		     MAP_FAILED) {
		ret = -errno;
		goto unmap;
	}
	/* EINVAL: a kernel without transparent huge pages, which is what was asked for. */
	if (madvise((void *)aligned, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    (huge || errno != EINVAL)) {
		ret = -errno;
		goto unmap;
	}
	/*
	 * A process may have inherited PR_SET_MEMORY_MERGE (systemd's MemoryKSM=), across fork and exec: equal pages
	 * would then share a frame, on one node. EINVAL: a kernel without KSM.
	 */
	if (madvise((void *)aligned, bytes, MADV_UNMERGEABLE) && errno != EINVAL) {
		ret = -errno;
		goto unmap;
	}
	/* A name helps who reads /proc/PID/smaps; kernels without CONFIG_ANON_VMA_NAME refuse it. */
	(void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, aligned, bytes, "hmexp-region");
	*base = (void *)aligned;
	return 0;

unmap:
	/* Nothing more can be done about a failure here: the process is out of mappings. */
	(void)munmap((void *)(aligned - page_bytes), bytes + 2 * page_bytes);
	return ret;
}

int hm_unmap(void *base, uint64_t bytes, uint64_t page_bytes)
{
	return munmap((char *)base - page_bytes, bytes + 2 * page_bytes) ? -errno : 0;
}

/* madvise(2) of a whole range. */
int hm_advise(void *base, uint64_t bytes, int advice)
{
	return madvise(base, bytes, advice) ? -errno : 0;
}

static int64_t elapsed_ns(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * INT64_C(1000000000) + now.tv_nsec - start->tv_nsec;
}

/*
 * Ask for every @stride-th page to be moved to its node. Pages that are busy (under write-back, or in a
 * per-CPU list) are asked for again @retries times. failures[e] counts pages refused with errno e.
 *
 * The kernel itself tries a busy page ten times; parts of a huge page kept it at that for minutes. So
 * after @limit_ns no page is asked for any more: those that were not are counted under ETIME.
 */
int hm_move(void *base, const struct hm_layout *layout, uint64_t stride, int retries, int64_t limit_ns,
	    int64_t *requested, int64_t failures[256])
{
	void **pages = malloc(MOVE_BATCH * sizeof(*pages));
	int *nodes = malloc(MOVE_BATCH * sizeof(*nodes));
	int *status = malloc(MOVE_BATCH * sizeof(*status));
	struct timespec start;
	int ret = 0;

	*requested = 0;
	memset(failures, 0, 256 * sizeof(*failures));
	if (!pages || !nodes || !status) {
		ret = -ENOMEM;
		goto out;
	}
	if (!stride) {
		ret = -EINVAL;
		goto out;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t page = 0; page < layout->pages; ) {
		unsigned long count = 0;

		for (; count < MOVE_BATCH && page < layout->pages; page += stride) {
			pages[count] = (char *)base + page * layout->page_bytes;
			nodes[count++] = layout->nodes[page / layout->granule_pages % layout->entries];
		}
		*requested += (int64_t)count;
		if (elapsed_ns(&start) >= limit_ns) {
			failures[ETIME] += (int64_t)count;
			continue;
		}
		for (int attempt = 0; ; attempt++) {
			const struct timespec pause = { .tv_nsec = 1000 * 1000 };
			unsigned long busy = 0;

			/*
			 * Older kernels leave the status of pages untouched that they did not reach:
			 * "not tried" must not read as "on node 0".
			 */
			for (unsigned long i = 0; i < count; i++)
				status[i] = -EBUSY;
			if (syscall(SYS_move_pages, 0, count, pages, nodes, status, MPOL_MF_MOVE) < 0) {
				ret = -errno;
				goto out;
			}
			for (unsigned long i = 0; i < count; i++) {
				if (status[i] == -EBUSY || status[i] == -EAGAIN) {
					pages[busy] = pages[i];
					nodes[busy++] = nodes[i];
				} else if (status[i] < 0 && status[i] > -256) {
					failures[-status[i]]++;
				}
			}
			count = busy;
			if (!count || attempt == retries || elapsed_ns(&start) >= limit_ns)
				break;
			nanosleep(&pause, NULL);
		}
		failures[EBUSY] += (int64_t)count;
	}
out:
	free(status);
	free(nodes);
	free(pages);
	return ret;
}

/* The node of each page, or a negative errno for a page that is not there. */
int hm_query(const void *base, uint64_t first_page, uint64_t pages, uint64_t page_bytes, int32_t *nodes)
{
	const void **addresses = malloc(BATCH * sizeof(*addresses));
	int ret = 0;

	if (!addresses)
		return -ENOMEM;
	for (uint64_t done = 0; done < pages; ) {
		uint64_t left = pages - done;
		unsigned long count = left < BATCH ? left : BATCH;

		for (unsigned long i = 0; i < count; i++)
			addresses[i] = (const char *)base + (first_page + done + i) * page_bytes;
		if (syscall(SYS_move_pages, 0, count, addresses, NULL, nodes + done, 0) < 0) {
			ret = -errno;
			break;
		}
		done += count;
	}
	free(addresses);
	return ret;
}
