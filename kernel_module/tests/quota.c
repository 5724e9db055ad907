// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What an administrator allows: in all, for a user, and what stays free. */
#include "cgroup.h"

#define PARAMETERS	"/sys/module/hybridmem/parameters/"
#define LIMIT_MIB	16L
#define LIMIT		(LIMIT_MIB * (long)(MIB / PAGE))	/* pages */
#define WORKERS		4
#define SOMEBODY	12345
#define ANOTHER		12346

static int a, b, tiny;

static void set(const char *name, long value)
{
	char path[128], text[32];
	int err;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	snprintf(text, sizeof(text), "%ld", value);
	err = spew(path, text);
	if (err)
		bail_out("%s: %s", path, strerror(-err));
}

/* The shared pages of a user, as sysfs has them; -1 if it has no region. */
static long user_pages(unsigned int uid)
{
	const char *at = slurp(STATS "users");
	char key[32];
	size_t n;

	n = snprintf(key, sizeof(key), "%u=", uid);
	for (; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
		if (!strncmp(at, key, n))
			return atol(at + n);
	return -1;
}

/* Pages that a system call can write to, one after the other, until EFAULT. */
static unsigned long fill(char *at, unsigned long pages)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	unsigned long n = 0;

	while (n < pages && read(zero, at + n * PAGE, 1) == 1)
		n++;
	close(zero);
	return n;
}

static void in_all(unsigned int shift)
{
	unsigned long len = 2 * LIMIT * PAGE, n;
	int fd = region_with(PATTERN(a, b), 0, shift);
	char *at = aligned_map(fd, len, MAP_SHARED, 0);
	long limited = stat_event("limited"), refused = stat_event("refused");

	set("max_mib", LIMIT_MIB);
	n = touch_until_sigbus(at, len, true);
	ok(caught_signal == SIGBUS && n == LIMIT,
	   "shift %u: SIGBUS after %lu of %ld pages", shift, n, LIMIT);
	ok(fdinfo(fd, "shared_pages") == LIMIT, "and so many are there");
	ok(!misplaced(at, n, 0, PATTERN(a, b), shift), "no page elsewhere");
	ok(fdinfo(fd, "limited") == 1 && stat_event("limited") == limited + 1 &&
	   stat_event("refused") == refused, "limited is counted, refused is not");
	ok(fill(at + n * PAGE, 1) == 0, "a system call gets EFAULT");
	ok(!madvise(at, LIMIT * PAGE, MADV_POPULATE_WRITE) || errno == EINVAL,
	   "what is there can be populated");
	ok(user_pages(0) == LIMIT, "the user's pages are counted (%ld)",
	   user_pages(0));
	ok(!region_punch(fd, 4 * MIB, 8 * MIB), "after a punch");
	ok(user_pages(0) == LIMIT - (long)(8 * MIB / PAGE),
	   "they count no more");
	n = touch_until_sigbus(at, len, true);
	ok(n == LIMIT, "and may come again (%lu)", n);
	set("max_mib", LIMIT_MIB / 2);
	ok(fill(at, LIMIT) == LIMIT, "a lower limit takes nothing away");
	ok(fill(at + LIMIT * PAGE, 1) == 0, "and lets nothing more come");
	set("max_mib", 0);
	ok(fill(at, len / PAGE) == len / PAGE, "without a limit all of it comes");
	munmap(at, len);
	close(fd);
	ok(user_pages(0) == -1, "a user without regions is not there");
}

static void private_pages(void)
{
	int fd = region_with(PATTERN(a, b), 0, 0);
	char *at = region_map(fd, 2 * LIMIT * PAGE, MAP_PRIVATE, 0);

	set("max_mib", LIMIT_MIB);
	ok(fill(at, 2 * LIMIT) == 2 * LIMIT && user_pages(0) == 0,
	   "private pages are the kernel's, and not counted");
	set("max_mib", 0);
	munmap(at, 2 * LIMIT * PAGE);
	close(fd);
}

/* Several processes reach the limit together: it is reached, and not exceeded. */
static void together(bool one_region)
{
	int fds[WORKERS], i, status;
	long most = 0, now, sum = 0;
	pid_t pids[WORKERS];
	char *at;

	set("max_mib", LIMIT_MIB);
	for (i = 0; i < WORKERS; i++)
		fds[i] = region_with(PATTERN(a, b), 0, 0);
	fflush(stdout);
	for (i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			int fd = fds[one_region ? 0 : i];
			unsigned long from = one_region ? i * LIMIT / 2 : 0;
			int turn;

			at = region_map(fd, 2 * LIMIT * PAGE, MAP_SHARED, 0);
			/*
			 * In one region some of it goes, and comes again.  Not
			 * in several: their numbers are not of one moment.
			 */
			for (turn = 0; turn < 20; turn++) {
				fill(at + from * PAGE, LIMIT / 2);
				if (one_region)
					region_punch(fd, from * PAGE, 64 * PAGE);
			}
			_exit(0);
		}
	}
	for (i = 0; i < WORKERS; ) {
		now = 0;
		for (int k = 0; k < WORKERS; k++)
			now += fdinfo(fds[k], "shared_pages");
		most = now > most ? now : most;
		while (i < WORKERS && waitpid(pids[i], &status, WNOHANG) > 0)
			i++;
	}
	for (i = 0; i < WORKERS; i++)
		sum += fdinfo(fds[i], "shared_pages");
	ok(most <= LIMIT, "%d processes, %s: %ld of %ld pages at most", WORKERS,
	   one_region ? "one region" : "a region each", most, LIMIT);
	ok(user_pages(0) == sum, "what is counted is there (%ld, %ld)",
	   user_pages(0), sum);
	at = region_map(fds[1], LIMIT * PAGE, MAP_SHARED, 0);
	fill(at, LIMIT);
	munmap(at, LIMIT * PAGE);
	ok(user_pages(0) == LIMIT, "to the last page (%ld)", user_pages(0));
	set("max_mib", 0);
	for (i = 0; i < WORKERS; i++)
		close(fds[i]);
	ok(user_pages(0) == -1, "and nothing is left of it");
}

struct visit {
	unsigned int uid;
	long expected;
};

/* As a user without rights: how much may be had? */
static int visitor(void *arg)
{
	const struct visit *visit = arg;
	char *at;
	int fd;

	if (setgid(visit->uid) || setuid(visit->uid))
		return 2;
	fd = region_with(PATTERN(a), 0, 0);
	at = region_map(fd, 2 * LIMIT * PAGE, MAP_SHARED, 0);
	if ((long)fill(at, 2 * LIMIT) != visit->expected)
		return 3;
	return user_pages(visit->uid) == visit->expected ? 0 : 4;
}

static void of_a_user(void)
{
	struct visit somebody = { SOMEBODY, LIMIT }, free = { SOMEBODY, 2 * LIMIT };
	struct visit another = { ANOTHER, LIMIT };
	int fd = region_with(PATTERN(a), 0, 0), status;
	char *at = region_map(fd, 2 * LIMIT * PAGE, MAP_SHARED, 0);

	if (chmod(DEVICE, 0666))
		bail_out("chmod " DEVICE);
	set("max_user_mib", LIMIT_MIB);
	ok(fill(at, 2 * LIMIT) == 2 * LIMIT,
	   "who has CAP_SYS_RESOURCE may have more");
	status = in_child(visitor, &somebody);
	ok(!status, "another user may not (%d)", status);
	status = in_child(visitor, &another);
	ok(!status, "nor a third, whatever the others have (%d)", status);
	set("max_user_mib", 0);
	status = in_child(visitor, &free);
	ok(!status, "without a limit it may (%d)", status);
	ok(user_pages(SOMEBODY) == -1 && user_pages(ANOTHER) == -1,
	   "they are gone, and so are their pages");
	chmod(DEVICE, 0600);
	munmap(at, 2 * LIMIT * PAGE);
	close(fd);
}

/* Half of a small node stays free, whatever regions are filled with. */
static void reserved(unsigned int flags, unsigned int shift)
{
	unsigned long all = node_meminfo(tiny, "MemTotal"), n, half = all / 2;
	unsigned long len = (all + 64 * MIB) & -(2 * MIB);
	int fd = region_with(PATTERN(tiny), flags, shift);
	char *at = aligned_map(fd, len, MAP_SHARED, 0);
	long left;

	set("reserve_percent", 50);
	n = touch_until_sigbus(at, len, true);
	left = node_meminfo(tiny, "MemFree");
	diag("%lu of %lu pages, %ld of %lu MiB free", n, len / PAGE,
	     left / (long)MIB, all / MIB);
	/* Counters of free pages are a little late on each CPU. */
	ok(left > (long)(half - half / 8), "shift %u, %s: half of a node stays free",
	   shift, flags ? "strict" : "not strict");
	if (flags) {
		ok(caught_signal == SIGBUS && fdinfo(fd, "refused") > 0 &&
		   fdinfo(fd, "limited") == 0, "as on a full node: SIGBUS");
		set("reserve_percent", 0);
		ok(touch_until_sigbus(at + n * PAGE, 4 * MIB, true) ==
		   4 * MIB / PAGE, "without a reserve more may be had");
	} else {
		ok(n == len / PAGE && fdinfo(fd, "fallbacks") > 0,
		   "as on a full node: other nodes give the rest");
		ok(fdinfo(fd, "limited") == 0, "nothing is refused");
	}
	set("reserve_percent", 0);
	munmap(at, len);
	close(fd);
}

/* In a cpuset of the small node alone: touch all that is mapped, until SIGBUS. */
static int confined(void *arg)
{
	unsigned long len = node_meminfo(tiny, "MemTotal");
	int fd = *(int *)arg;
	char pid[16], *at;

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (cgroup_set("cgroup.procs", pid))
		return 100;
	at = region_map(fd, len, MAP_SHARED, 0);
	touch_until_sigbus(at, len, true);
	return caught_signal == SIGBUS ? 0 : 1;
}

/* Whom a cpuset confines to nodes at their reserve gets no more from those. */
static void reserved_in_cpuset(void)
{
	long half = node_meminfo(tiny, "MemTotal") / 2, left;
	int fd = region_with(PATTERN(tiny), 0, 0), r;
	char text[16];

	snprintf(text, sizeof(text), "%d", tiny);
	if (!cgroup2("cpuset") || cgroup_set("cpuset.mems", text)) {
		skip("reserve and cpuset", "no cgroup v2 cpuset controller here");
		close(fd);
		return;
	}
	set("reserve_percent", 50);
	r = in_child(confined, &fd);
	left = node_meminfo(tiny, "MemFree");
	set("reserve_percent", 0);
	ok(!r && fdinfo(fd, "limited") > 0,
	   "in a cpuset of such a node alone: SIGBUS, limited (%d)", r);
	ok(left > half - half / 4, "and half of it is free (%ld of %ld MiB)",
	   left / (long)MIB, 2 * half / (long)MIB);
	close(fd);
	rmdir(cgroup_root);
}

int main(void)
{
	unsigned int shifts[] = { 0, 4, 9 }, i;

	tiny = tiny_node();
	if (!two_nodes(&a, &b, 3 * LIMIT * PAGE)) {
		skip("limits", "no two nodes with room");
		return done();
	}
	for (i = 0; i < ARRAY(shifts); i++)
		in_all(shifts[i]);
	private_pages();
	together(false);
	together(true);
	of_a_user();
	if (tiny < 0) {
		skip("reserve", "no node of at most 512 MiB");
		return done();
	}
	for (i = 0; i < ARRAY(shifts); i++) {
		reserved(HYBRIDMEM_F_STRICT, shifts[i]);
		reserved(0, shifts[i]);
	}
	reserved_in_cpuset();
	return done();
}
