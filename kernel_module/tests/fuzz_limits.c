// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The fuzzer's operations on what a kernel has besides: memory cgroups, userfaultfd. */
#include <linux/userfaultfd.h>

#include "fuzz.h"
#include "cgroup.h"

/* ---------------------------------------------------------- memory cgroup -- */

#define LIMIT		"3M"
#define LIMIT_PAGES	768UL
#define SURELY_IN	256UL	/* the rest is for what the kernel holds besides */
#define SURELY_OUT	1024UL

static bool limit_made(void)
{
	static int made = -1;

	if (made < 0) {
		made = cgroup2("memory") && !cgroup_set("memory.max", LIMIT);
		if (made)
			cgroup_set("memory.swap.max", "0");
		spew("/proc/sys/vm/oom_dump_tasks", "0");
	}
	return made;
}

/* A cgroup that is left would outlive the test. */
void limit_ends(void)
{
	if (*cgroup_root && rmdir(cgroup_root))
		wrong("rmdir %s: %s", cgroup_root, strerror(errno));
}

/* In a child: a region of its own, as large as the cgroup allows or larger. */
static int touch_limited(unsigned long pages, int kind, bool populate)
{
	unsigned int shift = one_in(3) ? 9 : below(9);
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	unsigned char pattern[2] = { plenty[0], plenty[1] };
	unsigned long i, value;
	char text[16], *at;
	bool torn;

	snprintf(text, sizeof(text), "%d", getpid());
	if (fd < 0 || cgroup_set("cgroup.procs", text) ||
	    write(fd, pattern, 2) != 2 || region_config(fd, 0, shift))
		return 100;
	at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, kind, fd, 0);
	if (at == MAP_FAILED)
		return 101;
	if (populate)
		madvise(at, pages * PAGE, MADV_POPULATE_WRITE);
	for (i = 0; i < pages; i++)
		if (poke(at + i * PAGE, middle_of(i), i + 1, &torn))
			return 102;
	for (i = 0; i < pages; i++)
		if (peek(at + i * PAGE, middle_of(i), &value, &torn) || torn ||
		    value != i + 1)
			return 103;
	return 0;
}

/* Killed where the cgroup has no room, and nowhere else; never another signal. */
int op_limit(void)
{
	unsigned long pages = one_in(2) ? 1 + below(SURELY_IN) :
					  SURELY_OUT + below(512);
	int kind = one_in(2) ? MAP_SHARED : MAP_PRIVATE, status;
	bool populate = one_in(3);
	pid_t pid;

	if (!limit_made())
		return NOTHING;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(touch_limited(pages, kind, populate));
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		if (pages <= SURELY_IN)
			wrong("%lu pages were too many for a cgroup of %lu",
			      pages, LIMIT_PAGES);
		return -ENOMEM;
	}
	if (status)
		wrong("a child in a cgroup has ended with status %x", status);
	else if (pages >= SURELY_OUT)
		wrong("%lu pages fitted in a cgroup of %lu", pages, LIMIT_PAGES);
	return 0;
}

/* ------------------------------------------------------------ userfaultfd -- */

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/* A userfaultfd; *async if the kernel itself answers write protection (6.7). */
static int new_userfaultfd(bool *async)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (*async)
		api.features = UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC;
	if (!ioctl(fd, UFFDIO_API, &api))
		return fd;
	close(fd);
	if (!*async)
		return -errno;
	*async = false;
	return new_userfaultfd(async);
}

/* Nobody may bring a region's pages but the module; to learn of writes is fine. */
int op_userfault(void)
{
	static const int modes[] = {
		UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_WP,
		UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MISSING,
		UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING,
		4 /* MINOR */, 0,
	};
	struct uffdio_register r = { .mode = modes[below(ARRAY(modes))] };
	struct uffdio_writeprotect p = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct view *v = any_view();
	bool async = !one_in(4);
	unsigned long page, n, i;
	int fd, err;

	if (!v)
		return NOTHING;
	page = any_page(v);
	n = few(v->pages - page);
	fd = new_userfaultfd(&async);
	if (fd < 0)
		return fd;
	r.range.start = (unsigned long)v->at + page * PAGE;
	r.range.len = n * PAGE;
	err = result(ioctl(fd, UFFDIO_REGISTER, &r));
	if (!err && (!async || r.mode != UFFDIO_REGISTER_MODE_WP)) {
		wrong("userfaultfd has taken a region, mode %llx", r.mode);
	} else if (!err) {
		p.range = r.range;
		ioctl(fd, UFFDIO_WRITEPROTECT, &p);
		for (i = page; i < page + n; i++)
			touch_page(v, i, one_in(2));
		if (one_in(2))
			ioctl(fd, UFFDIO_UNREGISTER, &r.range);
	}
	close(fd);
	return err;
}
