// SPDX-License-Identifier: MIT
/*
 * A thread that resolves the page faults of a region: it binds the mapping to the node of the granule and
 * copies zeros in. UFFDIO_ZEROPAGE would map the one zero page of the kernel, which is on no node of ours.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mempolicy.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1			/* Linux 5.11 */
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)	/* Linux 6.1 */
#endif

enum {
	COPY_PAGES = 512,			/* at most so much of a granule for one fault */
	MESSAGES = 16,
};

struct hm_handler {
	int fd;
	int stop;				/* eventfd: end the thread */
	pthread_t thread;
	char *base;
	struct hm_layout layout;		/* its nodes are a copy of ours */
	int32_t *nodes;
	char *zeros;
	uint64_t zeros_bytes;
	struct hm_mask all;			/* the nodes of the pattern */
	int bound;				/* node that the mapping is bound to; -1: another policy */
	atomic_int settled;			/* the mapping is bound to all nodes when no fault is resolved */
	atomic_int error;
	atomic_llong faults;
};

/* Where faults of the kernel itself may not be handled, those of programs may, and that is enough. */
int hm_userfaultfd_open(int *fd)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	struct uffdio_api api = { .api = UFFD_API };
	int device, ret;

	*fd = (int)syscall(SYS_userfaultfd, flags);
	if (*fd < 0) {
		ret = -errno;
		if (ret != -EPERM)
			return ret;
		device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
		if (device >= 0) {
			*fd = ioctl(device, USERFAULTFD_IOC_NEW, flags);
			close(device);
		}
		if (*fd < 0)
			*fd = (int)syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY);
		if (*fd < 0)
			return errno == EINVAL ? ret : -errno;	/* EINVAL: before 5.11 */
	}
	if (ioctl(*fd, UFFDIO_API, &api)) {
		ret = -errno;
		close(*fd);
		return ret;
	}
	return 0;
}

/* The policy of the whole mapping, so that it stays one in the kernel's list. */
static int bind(struct hm_handler *handler, const struct hm_mask *mask)
{
	return hm_mbind(handler->base, handler->layout.pages * handler->layout.page_bytes, MPOL_BIND, mask);
}

/* Zeros on their node for the page at @address and what follows it in its granule. */
static int resolve(struct hm_handler *handler, uintptr_t address)
{
	const struct hm_layout *layout = &handler->layout;
	uint64_t page = (address - (uintptr_t)handler->base) / layout->page_bytes;
	uint64_t rest = layout->granule_pages - page % layout->granule_pages;
	struct hm_run run = hm_run_at(layout, page, rest < COPY_PAGES ? rest : COPY_PAGES);
	char *start = handler->base + page * layout->page_bytes;
	struct uffdio_copy copy;
	int ret;

	if (handler->bound != run.node) {
		struct hm_mask mask = { 0 };

		ret = hm_mask_add(&mask, run.node);
		if (!ret)
			ret = bind(handler, &mask);
		if (ret)
			return ret;
		handler->bound = run.node;
	}
	do {
		copy = (struct uffdio_copy){
			.dst = (uintptr_t)start,
			.src = (uintptr_t)handler->zeros,
			.len = run.pages * layout->page_bytes,
		};
		ret = ioctl(handler->fd, UFFDIO_COPY, &copy) ? -errno : 0;
		/* EAGAIN without a page copied: the address space is changing; again. */
	} while (ret == -EAGAIN && copy.copy <= 0);
	if (ret == -EAGAIN) {
		ret = 0;		/* later pages of the granule are there already */
	} else if (ret == -EEXIST) {
		/* Another thread touched the same page; this one must be woken, too. */
		struct uffdio_range range = { .start = (uintptr_t)start, .len = layout->page_bytes };

		ret = ioctl(handler->fd, UFFDIO_WAKE, &range) ? -errno : 0;
	}
	if (!ret && atomic_load(&handler->settled)) {
		handler->bound = -1;
		ret = bind(handler, &handler->all);
	}
	return ret;
}

/* Nobody may wait for ever for a thread that cannot continue: give the pages back to the kernel. */
static void give_up(struct hm_handler *handler, int error)
{
	struct uffdio_range range = {
		.start = (uintptr_t)handler->base,
		.len = handler->layout.pages * handler->layout.page_bytes,
	};

	atomic_store(&handler->error, error);
	/* If even this fails, closing the descriptor in hm_handler_stop lets the waiters go. */
	(void)ioctl(handler->fd, UFFDIO_UNREGISTER, &range);
}

static void *handle(void *argument)
{
	struct hm_handler *handler = argument;
	struct pollfd polled[] = {
		{ .fd = handler->fd, .events = POLLIN },
		{ .fd = handler->stop, .events = POLLIN },
	};
	struct uffd_msg messages[MESSAGES];

	for (;;) {
		ssize_t got;

		if (poll(polled, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			give_up(handler, -errno);
			return NULL;
		}
		if (polled[1].revents)
			return NULL;
		got = read(handler->fd, messages, sizeof(messages));
		if (got < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			give_up(handler, -errno);
			return NULL;
		}
		for (ssize_t i = 0; i < got / (ssize_t)sizeof(messages[0]); i++) {
			int ret;

			if (messages[i].event != UFFD_EVENT_PAGEFAULT)
				continue;
			atomic_fetch_add(&handler->faults, 1);
			ret = resolve(handler, messages[i].arg.pagefault.address);
			if (ret) {
				give_up(handler, ret);
				return NULL;
			}
		}
	}
}

static void release(struct hm_handler *handler)
{
	if (handler->stop >= 0)
		close(handler->stop);
	if (handler->fd >= 0)
		close(handler->fd);
	if (handler->zeros != MAP_FAILED)
		munmap(handler->zeros, handler->zeros_bytes);
	free(handler->nodes);
	free(handler);
}

static int start_thread(struct hm_handler *handler)
{
	sigset_t all, old;
	int ret;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	ret = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (ret)
		return -ret;
	ret = pthread_create(&handler->thread, NULL, handle, handler);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

int hm_handler_start(void *base, const struct hm_layout *layout, struct hm_handler **out)
{
	struct hm_handler *handler = calloc(1, sizeof(*handler));
	struct uffdio_register request;
	int ret = -ENOMEM;

	if (!handler)
		return -ENOMEM;
	handler->fd = handler->stop = handler->bound = -1;
	handler->base = base;
	handler->layout = *layout;
	handler->zeros_bytes = COPY_PAGES * layout->page_bytes;
	handler->zeros = mmap(NULL, handler->zeros_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handler->nodes = malloc(layout->entries * sizeof(*handler->nodes));
	if (!handler->nodes || handler->zeros == MAP_FAILED)
		goto fail;
	memcpy(handler->nodes, layout->nodes, layout->entries * sizeof(*handler->nodes));
	handler->layout.nodes = handler->nodes;
	for (uint64_t i = 0; i < layout->entries; i++) {
		ret = hm_mask_add(&handler->all, layout->nodes[i]);
		if (ret)
			goto fail;
	}
	handler->stop = eventfd(0, EFD_CLOEXEC);
	if (handler->stop < 0) {
		ret = -errno;
		goto fail;
	}
	ret = hm_userfaultfd_open(&handler->fd);
	if (ret)
		goto fail;
	request = (struct uffdio_register){
		.range = { .start = (uintptr_t)base, .len = layout->pages * layout->page_bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	if (ioctl(handler->fd, UFFDIO_REGISTER, &request)) {
		ret = -errno;
		goto fail;
	}
	ret = start_thread(handler);
	if (ret)
		goto fail;
	*out = handler;
	return 0;

fail:
	release(handler);
	return ret;
}

/*
 * When all pages are there: have the mapping bound to all its nodes again after each later fault, for the
 * sake of pages that are copied after a fork, whose faults are none of ours.
 */
int hm_handler_settle(struct hm_handler *handler)
{
	int ret = atomic_load(&handler->error);

	if (ret)
		return ret;
	atomic_store(&handler->settled, 1);
	return bind(handler, &handler->all);
}

int64_t hm_handler_faults(const struct hm_handler *handler)
{
	return atomic_load(&handler->faults);
}

int hm_handler_stop(struct hm_handler *handler)
{
	const uint64_t one = 1;
	int ret;

	if (write(handler->stop, &one, sizeof(one)) != sizeof(one))
		return -errno;
	ret = pthread_join(handler->thread, NULL);
	if (ret)
		return -ret;
	ret = atomic_load(&handler->error);
	release(handler);
	return ret;
}

/* Store to every page as a program does: a fault of the kernel's may not be ours to handle. */
void hm_touch(void *base, uint64_t first_page, uint64_t pages, uint64_t page_bytes)
{
	for (uint64_t page = first_page; page < first_page + pages; page++)
		*(volatile char *)((char *)base + page * page_bytes) = 0;
}
