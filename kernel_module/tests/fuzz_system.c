// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The fuzzer's operations on where pages are, copies by the kernel, children, and
 * the region that all processes have in common.
 */
#include <sys/uio.h>

#include "fuzz.h"

int common_fd = -1;

/* -------------------------------------------------------------- placement -- */

/* A node: mostly one that there is. */
static int any_node(void)
{
	return one_in(16) ? (int)draw() : all_nodes[below(nr_all_nodes)];
}

static int move_some(char *at, unsigned long pages)
{
	static const int flags[] = { 2, 2, 2, 4, 6, 0, 1, 64 };
	unsigned long i, n = 1 + below(32);
	int to[32], status[32];
	void *address[32];

	for (i = 0; i < n; i++) {
		address[i] = at + below(pages) * PAGE;
		to[i] = any_node();
	}
	if (one_in(16))
		address[below(n)] = (void *)draw();
	return result(syscall(SYS_move_pages, one_in(16) ? 1 : 0, n, address,
			      one_in(4) ? NULL : to, status,
			      flags[below(ARRAY(flags))]));
}

int op_move_pages(void)
{
	struct view *v = any_view();

	return v ? move_some(v->at, v->pages) : NOTHING;
}

int op_mbind(void)
{
	struct view *v = any_view();
	unsigned long mask = 1UL << plenty[below(2)];
	int mode = 1 + below(4), err;	/* preferred, bind, interleave, local */

	if (!v)
		return NOTHING;
	if (mode == 4)
		mask = 0;
	/* To move pages, all processors must let go of some first: it takes long. */
	err = result(syscall(SYS_mbind, v->at, v->pages * PAGE, mode, &mask, 64,
			     one_in(4) ? below(16) : below(2)));
	if (!err && !has_hole(v, 0, v->pages))
		wrong("mbind has overridden a pattern");
	return err;
}

int op_migrate(void)
{
	unsigned long from = 1UL << any_node() % 64, to = 1UL << any_node() % 64;

	return result(syscall(SYS_migrate_pages, 0, 64, &from, &to));
}

/* The task's own, which holds where there is no pattern; and a question. */
int op_policy(void)
{
	unsigned long mask = 1UL << plenty[0] | 1UL << plenty[1];
	struct view *v = any_view();
	int mode = below(2) * 3, node;	/* default or interleave */

	if (one_in(2))
		return result(syscall(SYS_set_mempolicy, mode,
				      mode ? &mask : NULL, mode ? 64 : 0));
	if (!v)
		return NOTHING;
	return result(syscall(SYS_get_mempolicy, &node, NULL, 0,
			      v->at + below(v->pages) * PAGE, 2 + below(2)));
}

/* A region of its own, strict: every page where its pattern says. */
int op_placed(void)
{
	unsigned int shift = one_in(3) ? 9 : below(4), flags = 1 + below(4) * 2;
	int pattern[4], n = one_in(8) ? 1 : 2 + below(2), i, fd, status[600];
	int kind = one_in(2) ? MAP_SHARED : MAP_PRIVATE;
	unsigned long pages = 1 + below(one_in(16) ? 600 : 24), first = below(1000), p;
	unsigned char bytes[4];
	void *address[600];
	char *at;

	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (i = 0; i < n; i++)
		bytes[i] = pattern[i] = plenty[i < 2 ? (first + i) % 2 : below(2)];
	if (write(fd, bytes, n) != n || region_config(fd, flags, shift)) {
		i = -errno;	/* ENOMEM, or the longest pattern is very short */
		close(fd);
		return i;
	}
	at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, kind, fd,
		  first * PAGE);
	if (at == MAP_FAILED) {
		close(fd);
		return -errno;
	}
	for (p = 0; p < pages; p++) {
		unsigned long q = one_in(8) ? below(pages) : p;
		bool torn;

		if (poke(at + q * PAGE, 1, 1, &torn))
			wrong("SIGBUS at page %lu on a node with room", q);
		address[p] = at + p * PAGE;
	}
	syscall(SYS_move_pages, 0, pages, address, NULL, status, 0);
	for (p = 0; p < pages; p++) {
		int nid = pattern[((first + p) >> shift) % n];

		if (status[p] >= 0 && status[p] != nid)
			wrong("a strict %s page is on node %d, not %d",
			      kind == MAP_SHARED ? "shared" : "private",
			      status[p], nid);
	}
	munmap(at, pages * PAGE);
	return result(close(fd));
}

/* -------------------------------------------------- copies by the kernel --- */

/* A file in memory, through which pages go in and out by read() and write(). */
static int scratch(unsigned long *words)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (words && pwrite(fd, words, PAGE, 0) != (ssize_t)PAGE)
		return -1;
	return fd;
}

int op_copy_in(void)
{
	static unsigned long words[512];
	struct view *v = any_view();
	unsigned long page, middle, value = new_value();
	struct iovec from = { words, PAGE }, to;
	ssize_t n;

	if (!v)
		return NOTHING;
	page = any_page(v);
	middle = middle_of(v->first + page);
	words[0] = value;
	words[middle] = value;
	words[511] = value;
	to = (struct iovec){ v->at + page * PAGE, PAGE };
	if (one_in(2))
		n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	else
		n = pread(scratch(words), to.iov_base, PAGE, 0);
	words[middle] = 0;
	if (n >= 0)
		written(v, page, n == (ssize_t)PAGE ? value : UNSURE);
	else
		maybe_copied(v, page, 1);
	if (n > 0 && !(v->prot[page] & (UNCLEAR | PROT_WRITE)))
		wrong("the kernel has written to protection %x", v->prot[page]);
	return result(n);
}

int op_copy_out(void)
{
	static unsigned long words[512];
	struct view *v = any_view();
	unsigned long page, middle;
	struct iovec to = { words, PAGE }, from;
	ssize_t n;

	if (!v)
		return NOTHING;
	page = any_page(v);
	middle = middle_of(v->first + page);
	from = (struct iovec){ v->at + page * PAGE, PAGE };
	if (one_in(2)) {
		n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	} else {
		n = pwrite(scratch(NULL), from.iov_base, PAGE, 0);
		if (n == (ssize_t)PAGE && pread(scratch(NULL), words, PAGE, 0) != n)
			n = -1;
	}
	if (n == (ssize_t)PAGE)
		check_value(v, page, words[0], words[middle] != words[0] ||
			    words[511] != words[0]);
	return result(n);
}

/* -------------------------------------------------------------- the views -- */

int op_look(void)
{
	static const char * const files[] = {
		"/proc/self/maps", "/proc/self/numa_maps", "/proc/self/smaps",
		"/proc/self/smaps_rollup", STATS "resident", STATS "allocated",
		STATS "regions", STATS "ahead", STATS "private_relaxed",
	};
	struct store *s = open_store();
	struct view *v = any_view();
	unsigned char there[8];
	unsigned long i, least = 0;
	uint64_t entries[64];
	long pages;
	int fd;

	switch (below(16)) {
	case 0:
		return *slurp(files[below(ARRAY(files))]) ? 0 : -EIO;
	case 1:
	case 2:
	case 3:
	case 4:
		if (!v)
			return NOTHING;
		i = any_page(v);
		return result(mincore(v->at + i * PAGE,
				      few(v->pages - i) * PAGE, there));
	case 5:
	case 6:
	case 7:
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (pread(fd, entries, sizeof(entries),
			  (VIEW_BASE + below(VIEWS) * VIEW_BYTES) / PAGE * 8) < 0)
			wrong("pagemap: %s", strerror(errno));
		return result(close(fd));
	}
	if (!s)
		return NOTHING;
	for (i = 0; i < STORE_PAGES; i++)
		least += s->value[i] && s->value[i] != UNSURE;
	pages = fdinfo(s->fd, "shared_pages");
	/* A read-only region may have some at its far end, from op_edge(). */
	if (pages < (long)least || (s->can_write && pages > (long)STORE_PAGES))
		wrong("%ld pages where at least %lu have data", pages, least);
	return 0;
}

/* --------------------------------------------------- what all have at once -- */

/* Page i holds i + 1 in each of its words, or zero. */
void common_check(const char *at, unsigned long i)
{
	unsigned long value;
	bool torn;

	/* Not torn: it may go, or come, between two words. */
	if (!peek(at, middle_of(i), &value, &torn) && value && value != i + 1)
		wrong("page %lu of the common region: %lx", i, value);
	tally->checked++;
}

static int common_private(unsigned long i, unsigned long n)
{
	unsigned long k;
	bool torn;
	char *at;

	at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, common_fd,
		  i * PAGE);
	if (at == MAP_FAILED)
		return -errno;
	for (k = 0; k < n; k++) {
		common_check(at + k * PAGE, i + k);
		if (one_in(2))
			poke(at + k * PAGE, middle_of(i + k), i + k + 1, &torn);
	}
	for (k = 0; k < n; k++)
		common_check(at + k * PAGE, i + k);
	return result(munmap(at, n * PAGE));
}

int op_common(void)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_WILLNEED, MADV_RANDOM, MADV_SEQUENTIAL,
		MADV_POPULATE_WRITE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};
	unsigned long i = below(COMMON_PAGES), n = 1 + below(one_in(16) ? 64 : 8), k;
	unsigned char pattern[8];
	char *at;
	bool torn;

	if (n > COMMON_PAGES - i)
		n = COMMON_PAGES - i;
	at = (char *)COMMON_BASE + i * PAGE;
	switch (below(12)) {
	case 0:
		return region_punch(common_fd, i * PAGE, n * PAGE);
	case 1:
		for (k = 0; k < sizeof(pattern); k++)
			pattern[k] = plenty[below(2)];
		return result(write(common_fd, pattern, below(8)));
	case 2:
		return region_config(common_fd, below(8), one_in(2) ? 0 : 9);
	case 3:
		return one_in(8) ? move_some(at, n) : 0;
	case 4:
		return result(madvise(at, n * PAGE, advices[below(ARRAY(advices))]));
	case 5:
		return common_private(i, n);
	case 6:
	case 7:
	case 8:
		for (k = 0; k < n; k++)
			common_check(at + k * PAGE, i + k);
		return 0;
	default:
		for (k = 0; k < n; k++)
			if (poke(at + k * PAGE, middle_of(i + k), i + k + 1, &torn))
				wrong("a signal at page %lu of the common region", i + k);
		return 0;
	}
}

/* --------------------------------------------------------------- children -- */

static void child_runs(void)
{
	unsigned long i, k, n = 1 + below(30), attempt = tally->attempt;

	is_child = true;
	for (i = 0; i < VIEWS; i++) {
		struct view *v = &views[i];

		if (v->used && v->no_fork) {
			munmap(v->at, v->pages * PAGE);
			v->used = false;
		}
	}
	for (k = 0; k < n; k++) {
		draw_from(seed ^ (k + 1) << 32, attempt);
		one_operation(CHILD);
	}
	for (i = 0; i < VIEWS; i++)
		for (k = 0; k < views[i].pages && views[i].used; k += 1 + below(512))
			touch_page(&views[i], k, one_in(2));
	fflush(stdout);
	_exit(0);
}

int op_fork(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		child_runs();
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (status)
		wrong("a child has ended with status %x", status);
	return 0;
}
