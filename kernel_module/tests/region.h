/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the tests share: regions, nodes, and the kernel's word on both. */
#ifndef REGION_H
#define REGION_H

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../hybridmem.h"
#include "tap.h"

#define DEVICE		"/dev/hybridmem"
#define STATS		"/sys/class/misc/hybridmem/stats/"
#define PAGE		4096UL
#define MIB		(1UL << 20)
#define ARRAY(a)	(sizeof(a) / sizeof((a)[0]))

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* ------------------------------------------------------------------ files -- */

/* The first bytes of a small file, "" if it cannot be read. */
__attribute__((unused))
static const char *slurp(const char *path)
{
	static char text[1 << 16];
	ssize_t n = -1;
	int fd = open(path, O_RDONLY);

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
	return text;
}

__attribute__((unused))
static int spew(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The number after "key:" at the start of a line of the text, or -1. */
__attribute__((unused))
static long field(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (text && *text) {
		if (!strncmp(text, key, n) && text[n] == ':')
			return atol(text + n + 1);
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return -1;
}

__attribute__((unused))
static long fdinfo(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return field(slurp(path), key);
}

__attribute__((unused))
static long fdinfo_node(int fd, int nid)
{
	char key[16];

	snprintf(key, sizeof(key), "N%d", nid);
	return fdinfo(fd, key);
}

__attribute__((unused))
static long stat_event(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), STATS "%s", name);
	return atol(slurp(path));
}

/* "N0=1 N2=3": the number of a node, 0 if it is not named */
__attribute__((unused))
static long stat_node(const char *name, int nid)
{
	char path[128], key[16];
	const char *at;

	snprintf(path, sizeof(path), STATS "%s", name);
	snprintf(key, sizeof(key), "N%d=", nid);
	at = strstr(slurp(path), key);
	return at ? atol(at + strlen(key)) : 0;
}

__attribute__((unused))
static long vmstat(const char *name)
{
	const char *at = slurp("/proc/vmstat");
	size_t n = strlen(name);

	for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (!strncmp(at, name, n) && at[n] == ' ')
			return atol(at + n);
	return -1;
}

__attribute__((unused))
static bool cmdline_has(const char *word)
{
	return strstr(slurp("/proc/cmdline"), word) != NULL;
}

/*
 * inject.sh: may allocations of this thread, and of those it starts, fail?
 * Opening the switch is one that may.
 */
__attribute__((unused))
static void inject(bool on)
{
	int i, err = 0;

	if (!getenv("HM_FAIL"))
		return;
	for (i = 0; i < 1000; i++) {
		err = spew("/proc/self/make-it-fail", on ? "1" : "0");
		if (!err)
			return;
	}
	bail_out("/proc/self/make-it-fail: %s", strerror(-err));
}

/* From here on, not while the program itself is being loaded. */
__attribute__((constructor))
static void inject_if_told(void)
{
	inject(true);
}

/* ------------------------------------------------------------------ nodes -- */

static int nodes[64], nr_nodes;		/* those that have memory */

__attribute__((unused))
static long node_meminfo(int nid, const char *what)	/* bytes */
{
	char path[96], key[64];
	const char *at;

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/meminfo", nid);
	snprintf(key, sizeof(key), "Node %d %s:", nid, what);
	at = strstr(slurp(path), key);
	return at ? atol(at + strlen(key)) * 1024 : -1;
}

/* Is all memory of the node in ZONE_MOVABLE? */
__attribute__((unused))
static bool node_movable(int nid)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	bool mine = false, movable = false, other = false;
	char line[256], zone[32] = "";
	long pages;
	int n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone %31s", &n, zone) == 2)
			mine = n == nid;
		else if (mine && sscanf(line, " managed %ld", &pages) == 1 &&
			 pages > 0)
			*(strcmp(zone, "Movable") ? &other : &movable) = true;
	}
	if (f)
		fclose(f);
	return movable && !other;
}

__attribute__((unused))
static void find_nodes(void)
{
	char *at = strdup(slurp("/sys/devices/system/node/has_memory"));
	char *p = at;

	nr_nodes = 0;
	while (isdigit((unsigned char)*p)) {
		long first = strtol(p, &p, 10), last = first;

		if (*p == '-')
			last = strtol(p + 1, &p, 10);
		while (first <= last && nr_nodes < (int)ARRAY(nodes))
			nodes[nr_nodes++] = first++;
		if (*p == ',')
			p++;
	}
	free(at);
	if (!nr_nodes) {	/* a kernel without NUMA */
		nodes[0] = 0;
		nr_nodes = 1;
	}
}

/* Two nodes with at least so much free memory each, not of ZONE_MOVABLE. */
__attribute__((unused))
static bool two_nodes(int *a, int *b, unsigned long free_bytes)
{
	int i, found[2], n = 0;

	find_nodes();
	for (i = 0; i < nr_nodes && n < 2; i++)
		if (!node_movable(nodes[i]) &&
		    node_meminfo(nodes[i], "MemFree") > (long)free_bytes)
			found[n++] = nodes[i];
	if (n < 2)
		return false;
	*a = found[0];
	*b = found[1];
	return true;
}

/* A node small enough to be filled: at most 512 MiB, not of ZONE_MOVABLE. */
__attribute__((unused))
static int tiny_node(void)
{
	int i;

	find_nodes();
	for (i = 0; i < nr_nodes; i++)
		if (nr_nodes > 1 && !node_movable(nodes[i]) &&
		    node_meminfo(nodes[i], "MemTotal") <= 512L << 20)
			return nodes[i];
	return -1;
}

__attribute__((unused))
static int movable_node(void)
{
	int i;

	find_nodes();
	for (i = 0; i < nr_nodes; i++)
		if (node_movable(nodes[i]))
			return nodes[i];
	return -1;
}

/* ---------------------------------------------------------------- regions -- */

__attribute__((unused))
static int region_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bail_out("%s: %s (is the module loaded?)", DEVICE,
			 strerror(errno));
	return fd;
}

__attribute__((unused))
static int region_config(int fd, unsigned int flags, unsigned int shift)
{
	struct hybridmem_config c = { .flags = flags, .granule_shift = shift };

	return ioctl(fd, HYBRIDMEM_IOC_SET_CONFIG, &c) ? -errno : 0;
}

__attribute__((unused))
static int region_punch(int fd, unsigned long offset, unsigned long len)
{
	struct hybridmem_range r = { .offset = offset, .len = len };

	return ioctl(fd, HYBRIDMEM_IOC_PUNCH, &r) ? -errno : 0;
}

/* A region with a pattern: nodes ended by -1. */
__attribute__((unused))
static int region_with(const int *pattern, unsigned int flags,
		       unsigned int shift)
{
	int fd = region_open();
	unsigned char bytes[256];
	size_t n = 0;

	for (; pattern[n] >= 0; n++)
		bytes[n] = pattern[n];
	if (write(fd, bytes, n) != (ssize_t)n)
		bail_out("write a pattern: %s", strerror(errno));
	if (region_config(fd, flags, shift))
		bail_out("set the configuration");
	return fd;
}

#define PATTERN(...)	((const int[]){ __VA_ARGS__, -1 })

__attribute__((unused))
static char *region_map(int fd, unsigned long len, int flags,
			unsigned long offset)
{
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, offset);

	if (at == MAP_FAILED)
		bail_out("mmap %lu bytes: %s", len, strerror(errno));
	return at;
}

/* At the start of a page table, and of a huge page. */
__attribute__((unused))
static char *aligned_map(int fd, unsigned long len, int flags,
			 unsigned long offset)
{
	char *room = mmap(NULL, len + 2 * MIB, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)room + 2 * MIB - 1) & -(2 * MIB));

	if (room == MAP_FAILED ||
	    mmap(at, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
		 offset) != at)
		bail_out("mmap %lu bytes: %s", len, strerror(errno));
	return at;
}

__attribute__((unused))
static void touch(char *at, unsigned long len)
{
	unsigned long i;

	for (i = 0; i < len; i += PAGE)
		*(volatile char *)(at + i) = (char)(i / PAGE) | 1;
}

/* Does the data that touch() wrote stand everywhere? */
__attribute__((unused))
static bool touched(char *at, unsigned long len)
{
	unsigned long i;

	for (i = 0; i < len; i += PAGE)
		if (*(volatile char *)(at + i) != (char)((char)(i / PAGE) | 1))
			return false;
	return true;
}

__attribute__((unused))
static bool all_zero(const char *at, unsigned long len)
{
	const unsigned long *word = (const unsigned long *)at;
	unsigned long i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* The node of each page, or a negative errno: the kernel's page by page. */
__attribute__((unused))
static void page_nodes(char *at, unsigned long pages, int *status)
{
	void *address[1024];
	unsigned long i, n;

	for (; pages; pages -= n, at += n * PAGE, status += n) {
		n = pages < 1024 ? pages : 1024;
		for (i = 0; i < n; i++)
			address[i] = at + i * PAGE;
		if (syscall(SYS_move_pages, 0, n, address, NULL, status, 0) < 0)
			bail_out("move_pages: %s", strerror(errno));
	}
}

/* Pages that are not where the pattern says; first is the file's page there. */
__attribute__((unused))
static long misplaced(char *at, unsigned long pages, unsigned long first,
		      const int *pattern, unsigned int shift)
{
	int *status = malloc(pages * sizeof(*status));
	unsigned long i, n = 0;
	long bad = 0;

	while (pattern[n] >= 0)
		n++;
	page_nodes(at, pages, status);
	for (i = 0; i < pages; i++) {
		int want = pattern[((first + i) >> shift) % n];

		if (status[i] != want && bad++ < 3)
			diag("page %lu: node %d, wanted %d", first + i,
			     status[i], want);
	}
	free(status);
	return bad;
}

/* The numa_maps line of a mapping. */
__attribute__((unused))
static const char *numa_maps(char *at)
{
	static char line[1024];
	FILE *f = fopen("/proc/self/numa_maps", "r");
	char key[32];

	snprintf(key, sizeof(key), "%lx ", (unsigned long)at);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			goto out;
	line[0] = 0;
out:
	if (f)
		fclose(f);
	return line;
}

/* ---------------------------------------------------------------- signals -- */

static sigjmp_buf caught_here;
static volatile sig_atomic_t caught_signal;

static void caught(int signal)
{
	caught_signal = signal;
	siglongjmp(caught_here, 1);
}

/* Touch a range; return the pages touched before a SIGBUS (or all). */
__attribute__((unused))
static unsigned long touch_until_sigbus(char *at, unsigned long len, bool write)
{
	struct sigaction sa = { .sa_handler = caught }, old;
	static volatile unsigned long i;

	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &old);
	caught_signal = 0;
	i = 0;
	if (!sigsetjmp(caught_here, 1)) {
		for (; i < len; i += PAGE) {
			if (write)
				*(volatile char *)(at + i) = 1;
			else
				(void)*(volatile char *)(at + i);
		}
	}
	sigaction(SIGBUS, &old, NULL);
	return i / PAGE;
}

/* -------------------------------------------------------------- processes -- */

/* Run in a child; its exit status, or 128 + the signal that killed it. */
__attribute__((unused))
static int in_child(int (*run)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid)
		_exit(run(arg));
	if (waitpid(pid, &status, 0) != pid)
		bail_out("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

__attribute__((unused))
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

#endif
