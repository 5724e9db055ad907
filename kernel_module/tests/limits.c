// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Where memory ends: a full node, a memory cgroup, a cpuset. */
#include <linux/loop.h>

#include "cgroup.h"

static int a, b, tiny;

/* ------------------------------------------------------------- full node -- */

/*
 * A system call writes to pages beyond the last that the node could give.  Some
 * may be had yet: what reclaim frees, it frees a little later (RCU, KASAN).
 */
static bool gets_efault(char *at, unsigned long pages)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	unsigned long i;
	ssize_t n = 0;

	for (i = 0; i < pages && n >= 0; i++) {
		errno = 0;
		n = read(zero, at + i * PAGE, PAGE);
	}
	if (i > 1)
		diag("the node had %lu pages more", i - 1);
	close(zero);
	return n == -1 && errno == EFAULT;
}

/*
 * So many pages at least of those that are free now is a strict region to have,
 * before it is refused any.  A debug kernel itself has a third of a small node.
 */
static unsigned long least_to_be_had(void)
{
	return node_meminfo(tiny, "MemFree") / PAGE / 4 * 3;
}

static void full_shared_strict(unsigned int shift)
{
	unsigned long len = node_meminfo(tiny, "MemTotal") + 64 * MIB, n;
	unsigned long least = least_to_be_had();
	long kills = vmstat("oom_kill");
	int fd = region_with(PATTERN(tiny), HYBRIDMEM_F_STRICT, shift);
	char *at = region_map(fd, len, MAP_SHARED, 0);
	double t = seconds();

	n = touch_until_sigbus(at, len, true);
	diag("SIGBUS after %lu pages, at least %lu, %ld folios of several, %.1f s",
	     n, least, fdinfo(fd, "large"), seconds() - t);
	ok(caught_signal == SIGBUS && n > least && n < len / PAGE,
	   "strict, shared, shift %u: SIGBUS when the node is full", shift);
	ok(!misplaced(at, n, 0, PATTERN(tiny), 0), "no page elsewhere");
	ok(fdinfo(fd, "refused") > 0 && fdinfo(fd, "fallbacks") == 0,
	   "refused is counted, and no fallback");
	ok(gets_efault(at + n * PAGE, len / PAGE - n),
	   "a system call gets EFAULT");
	ok(vmstat("oom_kill") == kills, "no process was killed");
	/* Much more than is touched again: some of it goes to the node's reserve. */
	ok(!region_punch(fd, 0, 48 * MIB), "after a punch");
	ok(touch_until_sigbus(at, 8 * MIB, true) == 8 * MIB / PAGE,
	   "there is room again");
	munmap(at, len);
	close(fd);
}

/*
 * Pages that are on another node.  Compaction of a full node moves and splits
 * folios meanwhile, which unmaps them: they are touched, and looked at, again.
 */
static long elsewhere(char *at, unsigned long pages, int nid)
{
	int *status = malloc(pages * sizeof(*status)), tries;
	unsigned long i, unknown = pages;
	long n = -1;

	for (tries = 0; unknown && tries < 100; tries++) {
		if (tries)
			usleep(100000);
		touched(at, pages * PAGE);
		page_nodes(at, pages, status);
		unknown = 0;
		n = 0;
		for (i = 0; i < pages; i++) {
			unknown += status[i] < 0;
			n += status[i] >= 0 && status[i] != nid;
		}
	}
	if (unknown)
		diag("%lu pages are not mapped", unknown);
	free(status);
	return unknown ? -1 : n;
}

static void full_shared_fallback(unsigned int shift)
{
	unsigned long len = node_meminfo(tiny, "MemTotal") + 64 * MIB;
	long kills = vmstat("oom_kill"), all = stat_event("fallbacks"), bad;
	int fd = region_with(PATTERN(tiny), 0, shift);
	char *at = region_map(fd, len, MAP_SHARED, 0);
	double t = seconds();

	touch(at, len);
	t = seconds() - t;
	bad = elsewhere(at, len / PAGE, tiny);
	diag("%ld pages of %lu elsewhere, %ld huge, %.1f s", bad, len / PAGE,
	     fdinfo(fd, "huge"), t);
	ok(bad > 0 && fdinfo(fd, "fallbacks") == bad,
	   "shared, shift %u: fallbacks are counted, each one (%ld)", shift,
	   fdinfo(fd, "fallbacks"));
	ok(stat_event("fallbacks") == all + bad, "in sysfs too");
	ok(touched(at, len), "the data is there");
	ok(vmstat("oom_kill") == kills, "no process was killed");
	munmap(at, len);
	close(fd);
}

static void full_private_strict(void)
{
	unsigned long len = node_meminfo(tiny, "MemTotal") + 64 * MIB, n;
	unsigned long least = least_to_be_had();
	long kills = vmstat("oom_kill");
	int fd = region_with(PATTERN(tiny), HYBRIDMEM_F_STRICT, 0);
	char *at = region_map(fd, len, MAP_PRIVATE, 0);
	double t = seconds();

	n = touch_until_sigbus(at, len, true);
	diag("SIGBUS after %lu pages, at least %lu, %.1f s", n, least,
	     seconds() - t);
	ok(caught_signal == SIGBUS && n > least && n < len / PAGE,
	   "strict, private: SIGBUS when the node is full");
	ok(!misplaced(at, n, 0, PATTERN(tiny), 0), "no page elsewhere");
	ok(fdinfo(fd, "refused") > 0 && fdinfo(fd, "private_fallbacks") == 0,
	   "refused is counted, and no fallback");
	ok(vmstat("oom_kill") == kills, "no process was killed");
	munmap(at, len);
	close(fd);
}

static void full_private_fallback(void)
{
	unsigned long len = node_meminfo(tiny, "MemTotal") + 64 * MIB;
	long kills = vmstat("oom_kill"), bad;
	int fd = region_with(PATTERN(tiny), 0, 0);
	char *at = region_map(fd, len, MAP_PRIVATE, 0);
	double t = seconds();

	touch(at, len);
	t = seconds() - t;
	bad = misplaced(at, len / PAGE, 0, PATTERN(tiny), 0);
	diag("%ld pages of %lu elsewhere, %.1f s", bad, len / PAGE, t);
	ok(bad > 0 && fdinfo(fd, "private_fallbacks") == bad,
	   "private: fallbacks are counted, each one (%ld)",
	   fdinfo(fd, "private_fallbacks"));
	ok(touched(at, len) && vmstat("oom_kill") == kills,
	   "the data is there, no process was killed");
	munmap(at, len);
	close(fd);
}

/*
 * Something to read that is all page cache and costs no memory itself: a loop
 * device on a file without content.  A file descriptor, or -1.
 */
static int empty_disk(long bytes)
{
	int control, disk = -1, n, file = memfd_create("hm-limits", MFD_CLOEXEC);
	struct loop_config config = {
		.fd = file,
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
	};
	char path[32];

	if (system("modprobe -q loop 2>/dev/null") == -1 || file < 0 ||
	    ftruncate(file, bytes))
		return -1;
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (n >= 0) {
		snprintf(path, sizeof(path), "/dev/loop%d", n);
		disk = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (disk >= 0 && ioctl(disk, LOOP_CONFIGURE, &config)) {
		close(disk);
		disk = -1;
	}
	if (control >= 0)
		close(control);
	close(file);
	return disk;
}

/*
 * Read from a disk until the page cache has so many bytes on the node; what it
 * has then.
 */
static long fill_page_cache(int nid, long bytes, int disk)
{
	static char buffer[1 << 20];

	syscall(SYS_set_mempolicy, 2 /* MPOL_BIND */, (long[]){ 1L << nid }, 64);
	while (node_meminfo(nid, "FilePages") < bytes &&
	       read(disk, buffer, sizeof(buffer)) > 0)
		;
	syscall(SYS_set_mempolicy, 0 /* MPOL_DEFAULT */, NULL, 0);
	return node_meminfo(nid, "FilePages");
}

/* Page cache that can be read again gives way before strict says no. */
static void reclaim(int flags)
{
	const char *name = flags == MAP_SHARED ? "shared" : "private";
	long total = node_meminfo(tiny, "MemTotal");
	unsigned long len = total / 2 & -PAGE, n;
	int fd = region_with(PATTERN(tiny), HYBRIDMEM_F_STRICT, 0);
	int disk = empty_disk(total);
	double t = seconds(), filled;
	long cache = disk < 0 ? -1 :
			       fill_page_cache(tiny, total * 6 / 10, disk);
	char *at;

	/* With as much again, more than the node has, in any case. */
	if (cache < total / 2) {
		skip("reclaim", disk < 0 ? "no loop device" :
					   "the node cannot be filled with page cache");
		goto out;
	}
	filled = seconds();
	at = region_map(fd, len, flags, 0);
	n = touch_until_sigbus(at, len, true);
	diag("%ld of %ld MiB are page cache (%.1f s), then %ld (%.1f s)",
	     cache >> 20, total >> 20, filled - t,
	     node_meminfo(tiny, "FilePages") >> 20, seconds() - filled);
	ok(n == len / PAGE && !misplaced(at, len / PAGE, 0, PATTERN(tiny), 0),
	   "strict, %s: page cache gives way (%lu of %lu pages)", name, n,
	   len / PAGE);
	munmap(at, len);
out:
	if (disk >= 0)
		close(disk);
	close(fd);
}

/* --------------------------------------------------------------- cgroups -- */

struct job {
	int fd;
	int flags;
	unsigned long len;
};

static int enter_and_touch(void *arg)
{
	struct job *j = arg;
	char pid[16], *at;
	unsigned long n;

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (cgroup_set("cgroup.procs", pid))
		return 100;
	at = region_map(j->fd, j->len, j->flags, 0);
	n = touch_until_sigbus(at, j->len, true);
	return n == j->len / PAGE ? 0 : caught_signal == SIGBUS ? 1 : 2;
}

static long memcg_event(const char *name)
{
	const char *at = strstr(cgroup_get("memory.events"), name);

	return at ? atol(at + strlen(name)) : 0;
}

static int enter_and_touch_most(void *arg)
{
	struct job *j = arg;
	char pid[16], *at = aligned_map(j->fd, j->len, MAP_SHARED, 0);

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (cgroup_set("cgroup.procs", pid))
		return 100;
	touch(at, j->len - MIB);
	return 0;
}

/* A huge page that does not fit is not forced: there is room for small ones. */
static void memcg_huge(void)
{
	struct job j = { .len = 16 * MIB };
	long kills = memcg_event("oom_kill "), tries, all;
	int r;

	cgroup_set("memory.max", "16M");
	j.fd = region_with(PATTERN(a, b), 0, 9);
	tries = memcg_event("max ");
	r = in_child(enter_and_touch_most, &j);
	tries = memcg_event("max ") - tries;
	all = fdinfo(j.fd, "shared_pages");
	if (!fdinfo(j.fd, "huge")) {
		skip("a huge page at a cgroup's limit", "this kernel has none here");
	} else {
		ok(!r && fdinfo(j.fd, "huge") == 7 && all == 15 * MIB / PAGE,
		   "huge pages up to a cgroup's limit, then small ones (%d, %ld, %ld)",
		   r, fdinfo(j.fd, "huge"), all);
		/* An allocation that does all that it can asks seventeen times. */
		ok(memcg_event("oom_kill ") == kills && tries <= 4,
		   "none of them forced (%ld times at the limit)", tries);
	}
	close(j.fd);
}

static void memcg(void)
{
	struct job j = { .len = 64 * MIB, .flags = MAP_SHARED };
	static const unsigned int shifts[] = { 0, 4, 8, 9 };
	unsigned long i;
	long kills;
	int r;

	if (!cgroup2("memory")) {
		skip("memcg", "no cgroup v2 memory controller here");
		return;
	}
	cgroup_set("memory.swap.max", "0");
	cgroup_set("memory.oom.group", "0");
	for (i = 0; i < ARRAY(shifts); i++) {
		j.fd = region_with(PATTERN(a, b), 0, shifts[i]);
		cgroup_set("memory.max", "16M");
		kills = strstr(cgroup_get("memory.events"), "oom_kill ") ?
			atol(strstr(cgroup_get("memory.events"), "oom_kill ") + 9) : 0;
		r = in_child(enter_and_touch, &j);
		ok(r == 128 + SIGKILL, "shift %u: 64 MiB in a cgroup of 16: killed (%d)",
		   shifts[i], r);
		ok(atol(strstr(cgroup_get("memory.events"), "oom_kill ") + 9) >
		   kills, "by the cgroup's own limit");
		diag("%ld of %ld pages stay charged", fdinfo(j.fd, "shared_pages"),
		     16 * MIB / PAGE);
		ok(fdinfo(j.fd, "shared_pages") <= (long)(16 * MIB / PAGE),
		   "no more than the limit was taken");
		close(j.fd);
	}
	memcg_huge();
	cgroup_set("memory.max", "128M");
	j.fd = region_with(PATTERN(a, b), 0, 0);
	r = in_child(enter_and_touch, &j);
	ok(!r, "64 MiB in a cgroup of 128: fine (%d)", r);
	r = atol(cgroup_get("memory.current")) / MIB;
	ok(r >= 64, "charged to it: %d MiB", r);
	ok(strstr(cgroup_get("memory.numa_stat"), "unevictable ") != NULL,
	   "as unevictable memory");
	close(j.fd);
	ok(atol(cgroup_get("memory.current")) < (long)(32 * MIB),
	   "and uncharged when the region is closed");
	rmdir(cgroup_root);
}

static void cpuset(void)
{
	struct job j = { .len = 4 * MIB };
	char text[16];
	int r;

	if (!cgroup2("cpuset")) {
		skip("cpuset", "no cgroup v2 cpuset controller here");
		return;
	}
	snprintf(text, sizeof(text), "%d", a);
	if (cgroup_set("cpuset.mems", text)) {
		skip("cpuset", "cannot set cpuset.mems");
		return;
	}
	for (j.flags = MAP_SHARED; j.flags <= MAP_PRIVATE; j.flags++) {
		const char *name = j.flags == MAP_SHARED ? "shared" : "private";
		const char *key = j.flags == MAP_SHARED ? "fallbacks" :
							  "private_fallbacks";
		long kills = vmstat("oom_kill");

		j.fd = region_with(PATTERN(a), HYBRIDMEM_F_STRICT, 0);
		r = in_child(enter_and_touch, &j);
		ok(!r, "%s, inside the cpuset: fine (%d)", name, r);
		close(j.fd);
		j.fd = region_with(PATTERN(a, b), HYBRIDMEM_F_STRICT, 0);
		r = in_child(enter_and_touch, &j);
		ok(r == 1, "%s, strict, outside of it: SIGBUS (%d)", name, r);
		ok(fdinfo(j.fd, "refused") == 1, "counted");
		close(j.fd);
		j.fd = region_with(PATTERN(a, b), 0, 0);
		r = in_child(enter_and_touch, &j);
		ok(!r && fdinfo(j.fd, key) == 512,
		   "%s, not strict: fallbacks counted (%d, %ld)", name, r,
		   fdinfo(j.fd, key));
		ok(vmstat("oom_kill") == kills, "no process was killed");
		close(j.fd);
	}
	rmdir(cgroup_root);
}

/* Ask for pages of the node that this task may not have, until it is to stop. */
static int ask_in_vain(void *arg)
{
	volatile long *asked = arg;	/* then: stop */
	int fd = region_with(PATTERN(tiny), 0, 0);
	char pid[16], *at = region_map(fd, MIB, MAP_SHARED, 0);

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (cgroup_set("cgroup.procs", pid))
		return 100;
	while (!asked[1]) {
		touch(at, MIB);
		asked[0] = fdinfo(fd, "fallbacks");
		region_punch(fd, 0, MIB);
	}
	return 0;
}

/* That says nothing about the node: for others its page cache still gives way. */
static void asked_in_vain(void)
{
	long total = node_meminfo(tiny, "MemTotal"), falls;
	unsigned long len = total / 2 & -PAGE;
	volatile long *asked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = region_with(PATTERN(tiny), 0, 0), disk = empty_disk(total);
	char text[16], *at;
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%d", a);
	if (!cgroup2("cpuset") || cgroup_set("cpuset.mems", text)) {
		skip("asked in vain", "no cgroup v2 cpuset controller here");
		goto out;
	}
	if (disk < 0 || fill_page_cache(tiny, total * 6 / 10, disk) < total / 2) {
		skip("asked in vain", "the node cannot be filled with page cache");
		goto out_cgroup;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(ask_in_vain((void *)asked));
	while (!asked[0] && !waitpid(pid, &status, WNOHANG))
		usleep(1000);
	at = region_map(fd, len, MAP_SHARED, 0);
	touch(at, len);
	asked[1] = 1;
	falls = fdinfo(fd, "fallbacks");
	waitpid(pid, &status, 0);
	ok(asked[0] > 0, "a task outside of the cpuset falls back (%ld times)",
	   asked[0]);
	ok(falls * 20 <= (long)(len / PAGE),
	   "which does not fill the node for others (%ld of %lu pages fall back)",
	   falls, len / PAGE);
	munmap(at, len);
out_cgroup:
	rmdir(cgroup_root);
out:
	if (disk >= 0)
		close(disk);
	close(fd);
	munmap((void *)asked, PAGE);
}

int main(void)
{
	if (!two_nodes(&a, &b, 128 * MIB)) {
		skip("limits", "needs two nodes with 128 MiB free each");
		return done();
	}
	if (geteuid()) {
		skip("limits", "needs root");
		return done();
	}
	memcg();
	cpuset();
	tiny = tiny_node();
	if (tiny < 0) {
		skip("full node", "needs a node of at most 512 MiB beside others");
		return done();
	}
	full_shared_strict(0);
	full_shared_strict(8);
	full_shared_fallback(0);
	full_shared_fallback(4);
	full_shared_fallback(9);
	full_private_strict();
	full_private_fallback();
	reclaim(MAP_SHARED);
	reclaim(MAP_PRIVATE);
	asked_in_vain();
	return done();
}
