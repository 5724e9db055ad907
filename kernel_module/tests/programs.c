// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a program may ask of a mapping of a region, and what it gets: the table
 * in hybridmem(4), "PROGRAMS", line by line.
 */
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "region.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

#define LEN	MIB
#define PAGES	(LEN / PAGE)

static const struct kind {
	const char *name;
	int flags;
} kinds[] = {
	{ "shared", MAP_SHARED },
	{ "private", MAP_PRIVATE },
};

/* Is this kernel of that version, or a newer one? */
static bool kernel_from(int major, int minor)
{
	int mine = 0, its_minor = 0;
	struct utsname name;

	if (uname(&name) ||
	    sscanf(name.release, "%d.%d", &mine, &its_minor) != 2)
		bail_out("the version of the kernel cannot be read");
	return mine > major || (mine == major && its_minor >= minor);
}

static bool fails(long result, int error)
{
	if (result == -1 && errno == error)
		return true;
	diag("returned %ld, %s", result, strerror(errno));
	return false;
}

/* ----------------------------------------------------------------- advice -- */

/* What would free memory: only the ioctl does that to the region's. */
static void freeing(const struct kind *k)
{
	int fd = region_open();
	char *at = region_map(fd, LEN, k->flags, 0);
	bool shared = k->flags == MAP_SHARED;

	touch(at, LEN);
	ok(fails(madvise(at, LEN, MADV_FREE), EINVAL),
	   "%s: MADV_FREE is EINVAL", k->name);
	ok(fails(madvise(at, LEN, MADV_REMOVE), shared ? ENODEV : EACCES),
	   "%s: MADV_REMOVE is %s", k->name, shared ? "ENODEV" : "EACCES");
	ok(fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			   LEN), ENODEV), "%s: fallocate is ENODEV", k->name);
	ok(touched(at, LEN), "%s: and the data stands", k->name);
	ok(!region_punch(fd, 0, LEN) && fdinfo(fd, "shared_pages") == 0,
	   "%s: HYBRIDMEM_IOC_PUNCH frees the region's pages", k->name);
	ok(shared ? all_zero(at, LEN) : touched(at, LEN),
	   "%s: %s", k->name,
	   shared ? "then there are zeroes" : "and keeps the copies");
	munmap(at, LEN);
	close(fd);
}

static void not_needed(const struct kind *k)
{
	int fd = region_open();
	char *at = region_map(fd, LEN, k->flags, 0);

	touch(at, LEN);
	ok(!madvise(at, LEN, MADV_DONTNEED), "%s: MADV_DONTNEED", k->name);
	if (k->flags == MAP_SHARED)
		ok(fdinfo(fd, "shared_pages") == PAGES && touched(at, LEN),
		   "shared: unmaps, and frees nothing");
	else
		ok(all_zero(at, LEN), "private: drops the copies");
	munmap(at, LEN);
	close(fd);
}

/* Hints that succeed, and change nothing that can be seen. */
static void hints(const struct kind *k)
{
	static const struct {
		const char *name;
		int advice;
	} each[] = {
		{ "MADV_WILLNEED", MADV_WILLNEED },
		{ "MADV_COLD", MADV_COLD },
		{ "MADV_PAGEOUT", MADV_PAGEOUT },
	};
	int fd = region_open();
	char *at = region_map(fd, LEN, k->flags, 0);
	long there = k->flags == MAP_SHARED ? PAGES : 0;
	unsigned long i;

	ok(!madvise(at, LEN, MADV_WILLNEED) && fdinfo(fd, "shared_pages") == 0,
	   "%s: MADV_WILLNEED brings no page", k->name);
	touch(at, LEN);
	for (i = 0; i < ARRAY(each); i++)
		ok(!madvise(at, LEN, each[i].advice) &&
		   fdinfo(fd, "shared_pages") == there && touched(at, LEN),
		   "%s: %s succeeds, the pages stay", k->name, each[i].name);
	munmap(at, LEN);
	close(fd);
}

/* ------------------------------------------------------------ userfaultfd -- */

static void user_faults(const struct kind *k)
{
	int fd = region_open(), uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	char *at = region_map(fd, LEN, k->flags, 0);
	struct uffdio_register r = {
		.range = { (uintptr_t)at, LEN },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		skip("userfaultfd", "this kernel has none");
	else
		ok(fails(ioctl(uffd, UFFDIO_REGISTER, &r), EINVAL),
		   "%s: userfaultfd for missing pages is EINVAL", k->name);
	if (uffd >= 0)
		close(uffd);
	munmap(at, LEN);
	close(fd);
}

/* --------------------------------------------------------------- io_uring -- */

struct ring {
	int fd;
	struct io_uring_params p;
	char *rings;
	struct io_uring_sqe *sqes;
};

static bool ring_open(struct ring *r)
{
	unsigned long size, completions;

	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 1, &r->p);
	if (r->fd < 0)
		return false;
	size = r->p.sq_off.array + r->p.sq_entries * sizeof(unsigned int);
	completions = r->p.cq_off.cqes +
		      r->p.cq_entries * sizeof(struct io_uring_cqe);
	r->rings = mmap(NULL, size > completions ? size : completions,
			PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes),
		       PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	return (r->p.features & IORING_FEAT_SINGLE_MMAP) &&
	       r->rings != MAP_FAILED && (void *)r->sqes != MAP_FAILED;
}

/* One read of a file into the registered buffer; what it returned. */
static int ring_read(struct ring *r, int file, char *at, unsigned int len)
{
	unsigned int *tail = (void *)(r->rings + r->p.sq_off.tail);
	unsigned int *array = (void *)(r->rings + r->p.sq_off.array);
	struct io_uring_cqe *cqe = (void *)(r->rings + r->p.cq_off.cqes);

	memset(r->sqes, 0, sizeof(*r->sqes));
	r->sqes->opcode = IORING_OP_READ_FIXED;
	r->sqes->fd = file;
	r->sqes->addr = (uintptr_t)at;
	r->sqes->len = len;
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return -errno;
	return cqe->res;
}

static void fixed_buffers(const struct kind *k)
{
	int fd = region_open(), file = memfd_create("hm-programs", MFD_CLOEXEC);
	char *at = region_map(fd, LEN, k->flags, 0), *copy = malloc(LEN);
	struct iovec v = { at, LEN };
	unsigned long i;
	struct ring r;
	long err;

	for (i = 0; i < LEN; i++)
		copy[i] = i * 7 + (i >> 12);
	if (!ring_open(&r)) {
		skip("io_uring", "this kernel has none, or permits none (%s)",
		     strerror(errno));
		goto out;
	}
	err = syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &v,
		      1);
	if (!kernel_from(6, 5)) {
		ok(fails(err, EOPNOTSUPP),
		   "%s: a fixed buffer of io_uring is EOPNOTSUPP", k->name);
		goto out;
	}
	ok(!err, "%s: a fixed buffer of io_uring (%s)", k->name,
	   err ? strerror(errno) : "registered");
	ok(write(file, copy, LEN) == (ssize_t)LEN &&
	   ring_read(&r, file, at, LEN) == (int)LEN && !memcmp(at, copy, LEN),
	   "%s: what is read into it is there", k->name);
out:
	if (r.fd >= 0)
		close(r.fd);
	close(file);
	munmap(at, LEN);
	close(fd);
	free(copy);
}

/* ------------------------------------------------------------------ mlock -- */

struct job {
	int fd;
	int flags;
	const char *filter;
	bool keep_out;
};

/* Without privileges; 0, or the number of the step that went wrong. */
static int lock_within_limit(void *arg)
{
	struct rlimit little = { 16 * PAGE, 16 * PAGE }, none = { };
	struct job *j = arg;
	char *at = region_map(j->fd, LEN, j->flags, 0);

	if (setrlimit(RLIMIT_MEMLOCK, &little) || setresuid(65534, 65534, 65534))
		return 1;
	touch(at, LEN);
	if (field(slurp("/proc/self/status"), "VmLck") != 0)
		return 2;
	if (!fails(mlock(at, LEN), ENOMEM))
		return 3;
	if (mlock(at, 8 * PAGE))
		return 4;
	if (field(slurp("/proc/self/status"), "VmLck") != 8 * PAGE / 1024)
		return 5;
	if (munlock(at, 8 * PAGE) || setrlimit(RLIMIT_MEMLOCK, &none))
		return 6;
	if (!fails(mlock(at, PAGE), EPERM))
		return 7;
	return touched(at, LEN) ? 0 : 8;
}

static void locked(const struct kind *k)
{
	struct job j = { .fd = region_open(), .flags = k->flags };
	int r;

	if (geteuid()) {
		skip("mlock", "needs root, to become nobody");
	} else {
		r = in_child(lock_within_limit, &j);
		ok(!r, "%s: RLIMIT_MEMLOCK counts what is locked by mlock, and no other page (%d)",
		   k->name, r);
	}
	close(j.fd);
}

/* ------------------------------------------------------------- core dumps -- */

#define CORE	"/tmp/hm-programs-core"

/* Words that stand nowhere else in the memory of who dumps. */
static uint64_t word(unsigned int i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL ^ 0x5851f42d4c957f2dULL;
}

static int dump_core(void *arg)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct job *j = arg;
	char *at = region_map(j->fd, LEN, j->flags, 0);
	unsigned int i;

	setrlimit(RLIMIT_CORE, &all);
	spew("/proc/self/coredump_filter", j->filter);
	for (i = 0; i < 8; i++)
		((volatile uint64_t *)at)[i] = word(i);
	if (j->keep_out)
		madvise(at, LEN, MADV_DONTDUMP);
	abort();
}

/* Are the words in the core?  1 or 0; -1: there is no core. */
static int in_core(void)
{
	int fd = open(CORE, O_RDONLY | O_CLOEXEC), found = 0;
	uint64_t page[PAGE / 8];
	unsigned int i;

	if (fd < 0)
		return -1;
	while (!found && read(fd, page, PAGE) == (ssize_t)PAGE) {
		for (i = 0; i < 8 && page[i] == word(i); i++)
			;
		found = i == 8;
	}
	close(fd);
	return found;
}

/* A core of a child that has written one page; and the region's pages then. */
static int core_of(struct job j, long *pages)
{
	int found, status;

	unlink(CORE);
	status = in_child(dump_core, &j);
	found = status == 128 + SIGABRT ? in_core() : -1;
	*pages = fdinfo(j.fd, "shared_pages");
	unlink(CORE);
	close(j.fd);
	return found;
}

static void dumped(const struct kind *k)
{
	static const char usual[] = "0x33", with_files[] = "0x3b";
	bool shared = k->flags == MAP_SHARED;
	struct job j = { .flags = k->flags, .filter = usual };
	int found;
	long n;

	j.fd = region_open();
	found = core_of(j, &n);
	if (found < 0) {
		skip("core dumps", "none can be had in " CORE);
		close(j.fd);
		return;
	}
	ok(found == !shared, "%s: %s a core dump", k->name,
	   shared ? "not in" : "in");
	ok(n == (shared ? 1 : (long)PAGES - 1),
	   "%s: which brings %s (%ld pages)", k->name,
	   shared ? "no page" : "the holes of a mapping that has copies", n);
	j.filter = with_files;
	j.fd = region_open();
	ok(core_of(j, &n) == 1 && n == (long)PAGES - !shared,
	   "%s: bit 3 of coredump_filter: in it, with its holes (%ld)", k->name,
	   n);
	j.keep_out = true;
	j.fd = region_open();
	ok(core_of(j, &n) == 0 && n == shared,
	   "%s: MADV_DONTDUMP keeps it out, and brings nothing (%ld)", k->name,
	   n);
	j.keep_out = false;
	j.fd = region_open();
	region_config(j.fd, HYBRIDMEM_F_SPARSE, 0);
	ok(core_of(j, &n) == 1 && n == (shared ? (long)PAGES : 0),
	   "%s: HYBRIDMEM_F_SPARSE: holes of a private mapping stay (%ld)",
	   k->name, n);
}

/* A core goes to a file of ours, and what was set is set again. */
static void core_dumps(void)
{
	char pattern[256], *end;
	bool numbered = atoi(slurp("/proc/sys/kernel/core_uses_pid"));
	unsigned long i;

	snprintf(pattern, sizeof(pattern), "%s",
		 slurp("/proc/sys/kernel/core_pattern"));
	end = strchr(pattern, '\n');
	if (end)
		*end = 0;
	if (!pattern[0] || spew("/proc/sys/kernel/core_pattern", CORE)) {
		skip("core dumps", "core_pattern cannot be set");
		return;
	}
	spew("/proc/sys/kernel/core_uses_pid", "0");
	for (i = 0; i < ARRAY(kinds); i++)
		dumped(&kinds[i]);
	spew("/proc/sys/kernel/core_pattern", pattern);
	spew("/proc/sys/kernel/core_uses_pid", numbered ? "1" : "0");
}

/* ------------------------------------------------------------------ mseal -- */

/* A sealed mapping stays until the end of the process: this is the last. */
static void sealed(const struct kind *k)
{
	int fd = region_open();
	char *at = region_map(fd, LEN, k->flags, 0);

	touch(at, LEN);
	if (syscall(SYS_mseal, at, LEN, 0)) {
		if (errno == ENOSYS)
			skip("mseal", "this kernel has none (Linux 6.10 has)");
		else
			ok(false, "%s: mseal (%s)", k->name, strerror(errno));
		munmap(at, LEN);
		close(fd);
		return;
	}
	ok(fails(munmap(at, LEN), EPERM) &&
	   fails(mprotect(at, LEN, PROT_READ), EPERM),
	   "%s: mseal: the mapping cannot be changed", k->name);
	ok(!region_punch(fd, 0, LEN) &&
	   (k->flags == MAP_SHARED ? all_zero(at, LEN) : touched(at, LEN)),
	   "%s: HYBRIDMEM_IOC_PUNCH works as before", k->name);
	touch(at, LEN);
	ok(touched(at, LEN), "%s: and so does writing", k->name);
	close(fd);
}

int main(void)
{
	unsigned long i;

	for (i = 0; i < ARRAY(kinds); i++) {
		freeing(&kinds[i]);
		not_needed(&kinds[i]);
		hints(&kinds[i]);
		user_faults(&kinds[i]);
		fixed_buffers(&kinds[i]);
		locked(&kinds[i]);
	}
	core_dumps();
	for (i = 0; i < ARRAY(kinds); i++)
		sealed(&kinds[i]);
	return done();
}
