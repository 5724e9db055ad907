// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Pages on the move: migration, memory offlined under a mapping, NUMA
 * balancing, swap, poison.
 */
#include <dirent.h>

#include "region.h"

static int a, b;

static void migrate(unsigned int shift)
{
	unsigned long len = 8 * MIB, i;
	int fd = region_with(PATTERN(a, b), HYBRIDMEM_F_STRICT, shift);
	char *at = region_map(fd, len, MAP_SHARED, 0);
	long in_b = stat_node("resident", b);
	void *address[2048];
	int to[2048], status[2048], moved = 0;

	touch(at, len);
	for (i = 0; i < len / PAGE; i++) {
		address[i] = at + i * PAGE;
		to[i] = b;
	}
	if (syscall(SYS_move_pages, 0, len / PAGE, address, to, status, 2) < 0)
		diag("move_pages: %s", strerror(errno));
	page_nodes(at, len / PAGE, status);
	for (i = 0; i < len / PAGE; i++)
		moved += status[i] == b;
	ok(moved == (int)(len / PAGE), "shift %u: move_pages moves them (%d)",
	   shift, moved);
	ok(touched(at, len), "the data is intact");
	ok(fdinfo(fd, "migrated") == (long)(len / PAGE / 2),
	   "counted: %ld", fdinfo(fd, "migrated"));
	ok(stat_node("resident", b) == in_b + (long)(len / PAGE),
	   "and resident follows");
	munmap(at, len);
	close(fd);
	ok(stat_node("resident", b) == in_b, "and none is left");
}

/* Set the state of every memory block of a node; blocks that now have it. */
static int node_state(int nid, const char *state, const char *shows, int *total)
{
	char path[300];
	struct dirent *e;
	int good = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", nid);
	d = opendir(path);
	*total = 0;
	while (d && (e = readdir(d))) {
		char file[600];

		if (strncmp(e->d_name, "memory", 6) ||
		    !isdigit((unsigned char)e->d_name[6]))
			continue;
		snprintf(file, sizeof(file),
			 "/sys/devices/system/memory/%s/state", e->d_name);
		if (state)
			spew(file, state);
		good += !strncmp(slurp(file), shows, strlen(shows));
		++*total;
	}
	if (d)
		closedir(d);
	return good;
}

static void offline(unsigned int shift)
{
	int m = movable_node(), blocks, gone, fd;
	unsigned long len = 48 * MIB, n;
	char *at, *mine;
	long kills;

	if (m < 0) {
		skip("offline", "no node has all of its memory in ZONE_MOVABLE");
		return;
	}
	fd = region_with(PATTERN(m), 0, shift);
	at = region_map(fd, len, MAP_SHARED, 0);
	mine = region_map(fd, len / 4, MAP_PRIVATE, 1024 * MIB);
	touch(at, len);
	touch(mine, len / 4);
	ok(!misplaced(at, len / PAGE, 0, PATTERN(m), 0) &&
	   !misplaced(mine, len / PAGE / 4, 0, PATTERN(m), 0),
	   "shift %u: pages in ZONE_MOVABLE of node %d", shift, m);
	gone = node_state(m, "offline", "offline", &blocks);
	ok(gone == blocks && blocks > 0, "the node goes offline (%d of %d blocks)",
	   gone, blocks);
	ok(touched(at, len) && touched(mine, len / 4), "no data is lost");
	ok(fdinfo(fd, "migrated") == (long)(len / PAGE),
	   "the migration is counted (%ld)", fdinfo(fd, "migrated"));
	if (gone == blocks) {
		unsigned char byte = m;
		int fd2 = region_open();

		ok(misplaced(at, len / PAGE, 0, PATTERN(m), 0) ==
		   (long)(len / PAGE), "no page is left on it");
		errno = 0;
		ok(write(fd2, &byte, 1) == -1 && errno == EINVAL,
		   "a new pattern cannot name it");
		close(fd2);
		kills = vmstat("oom_kill");
		region_punch(fd, 0, len);
		touch(at, MIB);
		ok(fdinfo(fd, "fallbacks") == 256, "fallbacks are counted (%ld)",
		   fdinfo(fd, "fallbacks"));
		madvise(mine, len / 4, MADV_DONTNEED);
		touch(mine, MIB);
		ok(fdinfo(fd, "private_fallbacks") == 256, "private ones too");
		region_config(fd, HYBRIDMEM_F_STRICT, shift);
		n = touch_until_sigbus(at + 2 * MIB, MIB, true);
		ok(n == 0 && caught_signal == SIGBUS, "strict: SIGBUS");
		madvise(mine, len / 4, MADV_DONTNEED);
		n = touch_until_sigbus(mine, MIB, true);
		ok(n == 0 && caught_signal == SIGBUS, "private too");
		ok(vmstat("oom_kill") == kills, "no process was killed");
	}
	node_state(m, "online_movable", "online", &blocks);
	region_punch(fd, 0, len);
	region_config(fd, HYBRIDMEM_F_STRICT, shift);
	touch(at, len);
	ok(!misplaced(at, len / PAGE, 0, PATTERN(m), 0),
	   "online again: the pattern rules again");
	munmap(at, len);
	munmap(mine, len / 4);
	close(fd);
}

static void balancing(void)
{
	const char *knob = "/proc/sys/kernel/numa_balancing";
	unsigned long len = 16 * MIB;
	int was = atoi(slurp(knob)), fd, r;
	long before, hinted;
	char *at, *mine, *control;
	double end;

	if (access(knob, W_OK)) {
		skip("NUMA balancing", "this kernel has none");
		return;
	}
	spew("/proc/sys/kernel/numa_balancing_scan_delay_ms", "10");
	spew("/sys/kernel/debug/sched/numa_balancing/scan_delay_ms", "10");
	spew("/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms", "20");
	spew("/sys/kernel/debug/sched/numa_balancing/scan_period_max_ms", "40");
	spew(knob, "1");
	fd = region_with(PATTERN(a, b), 0, 0);
	at = region_map(fd, len, MAP_SHARED, 0);
	mine = region_map(fd, len, MAP_PRIVATE, len);
	touch(at, len);
	touch(mine, len);
	/* Ordinary memory, not local: does balancing look at it at all? */
	control = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	syscall(SYS_set_mempolicy, 2 /* MPOL_BIND */, (long[]){ 1L << b }, 64);
	touch(control, len);
	syscall(SYS_set_mempolicy, 0 /* MPOL_DEFAULT */, NULL, 0);
	before = vmstat("numa_pte_updates");
	for (end = seconds() + 6, r = 0; seconds() < end; r++) {
		touch(at, len);
		touch(mine, len);
		touch(control, len);
	}
	hinted = vmstat("numa_pte_updates") - before;
	diag("%d rounds, %ld entries looked at, numa_balancing was %d", r,
	     hinted, was);
	if (hinted <= 0)
		skip("NUMA balancing", "it looked at nothing, not even at ordinary memory");
	else
		ok(!misplaced(at, len / PAGE, 0, PATTERN(a, b), 0) &&
		   !misplaced(mine, len / PAGE, len / PAGE, PATTERN(a, b), 0) &&
		   fdinfo(fd, "migrated") == 0,
		   "NUMA balancing moves other pages, not these");
	spew(knob, was ? "1" : "0");
	munmap(at, len);
	munmap(mine, len);
	munmap(control, len);
	close(fd);
}

static unsigned long swapped(char *at, unsigned long len)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned long i, n = 0;
	uint64_t entry;

	for (i = 0; i < len; i += PAGE)
		if (pread(fd, &entry, 8, ((unsigned long)at + i) / PAGE * 8) == 8)
			n += entry >> 62 & 1;
	close(fd);
	return n;
}

static void swap(void)
{
	unsigned long len = 8 * MIB, out;
	const int *p = PATTERN(a, b, b);
	int fd = region_with(p, HYBRIDMEM_F_STRICT, 0);
	char *mine, *shared;

	if (system("modprobe -q zram 2>/dev/null; "
		   "echo 64M >/sys/block/zram0/disksize && "
		   "mkswap /dev/zram0 >/dev/null && swapon /dev/zram0")) {
		skip("swap", "no zram to swap to");
		close(fd);
		return;
	}
	mine = region_map(fd, len, MAP_PRIVATE, 0);
	shared = region_map(fd, MIB, MAP_SHARED, 64 * MIB);
	touch(mine, len);
	touch(shared, MIB);
	madvise(mine, len, MADV_PAGEOUT);
	madvise(shared, MIB, MADV_PAGEOUT);
	out = swapped(mine, len);
	if (out < len / PAGE / 2) {
		skip("swap", "only %lu of %lu pages went out", out, len / PAGE);
	} else {
		ok(touched(mine, len), "%lu private pages back from swap", out);
		ok(!misplaced(mine, len / PAGE, 0, p, 0), "in their places");
	}
	ok(touched(shared, MIB) && !swapped(shared, MIB),
	   "shared pages do not swap");
	munmap(mine, len);
	munmap(shared, MIB);
	close(fd);
	if (system("swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset"))
		diag("swap stays on");
}

/* Poison a page; the signal may come at once or only with the next access. */
static int poison_page(char *at)
{
	struct sigaction sa = { .sa_handler = caught }, old;
	static int err;

	err = 0;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &old);
	if (!sigsetjmp(caught_here, 1))
		err = madvise(at, PAGE, MADV_HWPOISON) ? errno : 0;
	sigaction(SIGBUS, &old, NULL);
	return err;
}

static void poison(unsigned int shift)
{
	int fd = region_with(PATTERN(a, b), HYBRIDMEM_F_STRICT, shift), err;
	char *at = region_map(fd, MIB, MAP_SHARED, 0);

	touch(at, MIB);
	err = poison_page(at + 35 * PAGE);
	/*
	 * EBUSY: the page is poisoned, but the kernel wanted it out of the page
	 * cache and we keep it there, as tmpfs does.
	 */
	if (err && err != EBUSY) {
		skip("poison", "MADV_HWPOISON: %s", strerror(err));
		goto out;
	}
	ok(touch_until_sigbus(at + 35 * PAGE, PAGE, false) == 0 &&
	   caught_signal == SIGBUS, "shift %u: a poisoned page: SIGBUS", shift);
	ok(touch_until_sigbus(at + 35 * PAGE, PAGE, true) == 0,
	   "and again, not a page of zeroes");
	ok(at[34 * PAGE] == 35 && at[36 * PAGE] == 37,
	   "its neighbours are intact");
out:
	munmap(at, MIB);
	close(fd);
}

int main(void)
{
	if (!two_nodes(&a, &b, 64 * MIB)) {
		skip("movement", "needs two nodes with 64 MiB free each");
		return done();
	}
	if (geteuid()) {
		skip("movement", "needs root");
		return done();
	}
	migrate(0);
	migrate(4);
	migrate(9);
	offline(0);
	offline(4);
	offline(9);
	balancing();
	swap();
	poison(0);
	poison(4);
	return done();
}
