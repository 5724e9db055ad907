// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What the mm does to mappings: fork, copy, move, protect, lock, drop, punch. */
#include <sys/resource.h>

#include "region.h"

static int a, b;
static const int *abb;

struct view {
	int fd;
	char *at;
	unsigned long len;
};

static int child_writes(void *arg)
{
	struct view *v = arg;

	if (!touched(v->at, v->len))
		return 1;
	v->at[0] = 77;
	touch(v->at + v->len, v->len);	/* pages that the parent has not seen */
	return misplaced(v->at, 2 * v->len / PAGE, 0, abb, 0) != 0;
}

static void shared_fork(void)
{
	struct view v = { .len = 4 * MIB };

	v.fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	v.at = region_map(v.fd, 2 * v.len, MAP_SHARED, 0);
	touch(v.at, v.len);
	ok(!in_child(child_writes, &v), "shared: the child sees the pages");
	ok(v.at[0] == 77, "the parent sees what the child wrote");
	ok(touched(v.at + v.len, v.len), "also to pages that were not there");
	ok(!misplaced(v.at, 2 * v.len / PAGE, 0, abb, 0),
	   "every page in its place");
	ok(fdinfo(v.fd, "shared_pages") == (long)(2 * v.len / PAGE),
	   "and there is one of each");
	munmap(v.at, 2 * v.len);
	close(v.fd);
}

static int child_copies(void *arg)
{
	struct view *v = arg;
	unsigned long i;

	if (!touched(v->at, v->len))
		return 1;
	for (i = 0; i < v->len; i += PAGE)
		v->at[i] = 99;
	if (misplaced(v->at, v->len / PAGE, 0, abb, 0))
		return 2;
	return 0;
}

static void private_fork(void)
{
	struct view v = { .len = 4 * MIB };
	unsigned long i;
	pid_t pid;

	v.fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	v.at = region_map(v.fd, v.len, MAP_PRIVATE, 0);
	touch(v.at, v.len);
	ok(!misplaced(v.at, v.len / PAGE, 0, abb, 0),
	   "private: every page in its place");
	ok(!in_child(child_copies, &v), "the child's copies too");
	ok(touched(v.at, v.len), "and the parent has its own data");

	/* Now the parent writes first, so that it is the one who copies. */
	fflush(stdout);
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	for (i = 0; i < v.len; i += PAGE)
		v.at[i] = 55;
	ok(!misplaced(v.at, v.len / PAGE, 0, abb, 0),
	   "the parent's copies are in their places");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(v.at, v.len);
	close(v.fd);
}

static void private_over_shared(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *shared = region_map(fd, MIB, MAP_SHARED, 0);
	char *mine = region_map(fd, MIB, MAP_PRIVATE, 0);

	touch(shared, MIB);
	ok(touched(mine, MIB), "a private mapping shows the shared pages");
	memset(mine, 5, MIB);
	ok(touched(shared, MIB), "until it is written: its copies are its own");
	ok(!misplaced(mine, 256, 0, abb, 0), "and in their places");
	ok(region_punch(fd, 0, MIB) == 0 && mine[0] == 5 &&
	   mine[MIB - 1] == 5, "and stay when the shared ones are punched");
	ok(all_zero(shared, MIB), "which are zero again");
	munmap(shared, MIB);
	munmap(mine, MIB);
	close(fd);
}

static void read_then_write(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, MIB, MAP_PRIVATE, 0);

	ok(all_zero(at, MIB), "a private mapping reads zeroes");
	touch(at, MIB);
	ok(!misplaced(at, 256, 0, abb, 0), "written, it is in its place");
	ok(touched(at, MIB), "with the data");
	munmap(at, MIB);
	close(fd);
}

static int child_reads_and_writes(void *arg)
{
	struct view *v = arg;

	if (!all_zero(v->at, v->len))
		return 1;
	touch(v->at, v->len);
	if (!touched(v->at, v->len))
		return 2;
	return misplaced(v->at, v->len / PAGE, 0, abb, 0) ? 3 : 0;
}

/* HYBRIDMEM_F_SPARSE: what is only read takes no memory of the region. */
static void sparse(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT | HYBRIDMEM_F_SPARSE, 0);
	struct view v = { .len = 4 * MIB };
	char *shared;

	v.at = region_map(fd, v.len, MAP_PRIVATE, 0);
	ok(all_zero(v.at, v.len) && fdinfo(fd, "shared_pages") == 0,
	   "sparse: zeroes are read and no page is kept");
	ok(!in_child(child_reads_and_writes, &v),
	   "a child reads them too; what it writes is its own, in its place");
	ok(all_zero(v.at, v.len), "and its parent's is still zero");
	touch(v.at, v.len);
	ok(touched(v.at, v.len) && !misplaced(v.at, v.len / PAGE, 0, abb, 0),
	   "written after it was read, it is in its place");
	ok(!madvise(v.at, v.len, MADV_DONTNEED) && all_zero(v.at, v.len),
	   "dropped, it is zero");
	touch(v.at, v.len);
	ok(!misplaced(v.at, v.len / PAGE, 0, abb, 0) &&
	   fdinfo(fd, "shared_pages") == 0, "and placed again");
	ok(!madvise(v.at, v.len, MADV_DONTNEED) && !mlock(v.at, v.len) &&
	   !misplaced(v.at, v.len / PAGE, 0, abb, 0), "locked, in its place");
	shared = region_map(fd, v.len, MAP_SHARED, v.len);
	ok(all_zero(shared, v.len) &&
	   fdinfo(fd, "shared_pages") == (long)(v.len / PAGE),
	   "a shared mapping keeps what it reads");
	munmap(shared, v.len);
	shared = mmap(NULL, MIB, PROT_READ, MAP_PRIVATE, fd, 8 * MIB);
	ok(shared != MAP_FAILED && !mlock(shared, MIB) &&
	   all_zero(shared, MIB) && !munlock(shared, MIB) &&
	   !madvise(shared, MIB, MADV_DONTNEED) && !mlock(shared, MIB),
	   "what may only be read can be locked");
	munmap(shared, MIB);
	munmap(v.at, v.len);
	close(fd);
}

static void moved(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, MIB, MAP_SHARED, 7 * PAGE), *to;

	touch(at, MIB);
	to = mremap(at, MIB, 4 * MIB, MREMAP_MAYMOVE);
	ok(to != MAP_FAILED && touched(to, MIB), "mremap keeps the pages");
	touch(to + MIB, 3 * MIB);
	ok(!misplaced(to, 1024, 7, abb, 0), "new pages continue the pattern");
	at = mmap(NULL, 5 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at = mremap(to, 4 * MIB, 4 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED,
		    at + PAGE);
	ok(at != MAP_FAILED && touched(at, MIB), "also when moved by a page");
	munmap(at + MIB, MIB);	/* two mappings of what was one */
	madvise(at + 2 * MIB, MIB, MADV_DONTNEED);
	ok(touched(at + 2 * MIB, 2 * MIB) &&
	   !misplaced(at + 2 * MIB, 512, 7 + 512, abb, 0),
	   "and after it is cut in two");
	munmap(at, MIB);
	munmap(at + 2 * MIB, 2 * MIB);
	close(fd);
}

static void protected(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, MIB, MAP_SHARED, 0);

	touch(at, MIB);
	ok(!mprotect(at + PAGE, MIB - 2 * PAGE, PROT_READ) && touched(at, MIB),
	   "mprotect to read only: readable");
	ok(!mprotect(at, MIB, PROT_NONE) &&
	   !mprotect(at, MIB, PROT_READ | PROT_WRITE) && touched(at, MIB),
	   "to nothing and back: the data is there");
	ok(!misplaced(at, 256, 0, abb, 0), "every page in its place");
	munmap(at, MIB);
	close(fd);
}

static void locked(void)
{
	struct rlimit r = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0), err;
	char *at = region_map(fd, MIB, MAP_SHARED, 0), *mine;

	setrlimit(RLIMIT_MEMLOCK, &r);
	err = mlock(at, MIB);
	ok(!err && fdinfo(fd, "shared_pages") == 256, "mlock brings the pages");
	ok(!misplaced(at, 256, 0, abb, 0), "every page in its place");
	ok(!munlock(at, MIB), "munlock");
	mine = region_map(fd, MIB, MAP_PRIVATE | MAP_POPULATE, MIB);
	ok(!misplaced(mine, 256, 256, abb, 0),
	   "MAP_POPULATE of a private mapping too");
	munmap(at, MIB);
	munmap(mine, MIB);
	close(fd);
}

static void dropped(void)
{
	int fd = region_with(abb, HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, 2 * MIB, MAP_SHARED, 0), *mine;

	touch(at, 2 * MIB);
	ok(!madvise(at, MIB, MADV_DONTNEED) && touched(at, 2 * MIB),
	   "shared: MADV_DONTNEED loses nothing");
	mine = region_map(fd, MIB, MAP_PRIVATE, 0);
	memset(mine, 9, MIB);
	ok(!madvise(mine, MIB, MADV_DONTNEED) && touched(mine, MIB),
	   "private: it brings back the shared pages");
	ok(!region_punch(fd, PAGE, 3 * PAGE) && all_zero(at + PAGE, 3 * PAGE) &&
	   at[0] == 1 && at[4 * PAGE] == 5, "a punch frees what it names");
	ok(!misplaced(at, 512, 0, abb, 0), "and new pages are in their places");
	ok(madvise(at, MIB, MADV_REMOVE) == -1, "MADV_REMOVE is refused");
	ok(madvise(at, MIB, MADV_WILLNEED) == 0 && touched(at + MIB, MIB),
	   "MADV_WILLNEED harms nothing");
	munmap(at, 2 * MIB);
	munmap(mine, MIB);
	close(fd);
}

int main(void)
{
	if (!two_nodes(&a, &b, 64 * MIB)) {
		skip("sharing", "needs two nodes with 64 MiB free each");
		return done();
	}
	abb = (int[]){ a, b, b, -1 };
	shared_fork();
	private_fork();
	private_over_shared();
	read_then_write();
	sparse();
	moved();
	protected();
	locked();
	dropped();
	return done();
}
