// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What happens meanwhile, and is nobody's who fuzzes: the module's parameters and
 * attempts to unload it, memory that goes offline, a node that is full, compaction,
 * KSM.  What takes a second of an emulated processor comes seldom.
 */
#include <dirent.h>

#include "fuzz.h"

#define PARAMETERS "/sys/module/hybridmem/parameters/"
#define KSM "/sys/kernel/mm/ksm/"

static const char * const settings[] = {
	PARAMETERS "ahead", PARAMETERS "huge", PARAMETERS "strict",
	PARAMETERS "max_pattern", KSM "run", KSM "sleep_millisecs",
	KSM "pages_to_scan", "/proc/sys/vm/oom_dump_tasks",
};

static char remembered[ARRAY(settings)][32];
static int tiny, movable;	/* nodes: one to fill, one to take offline; or -1 */

void remember_settings(void)
{
	unsigned long i;

	tiny = tiny_node();
	movable = movable_node();
	for (i = 0; i < ARRAY(settings); i++)
		snprintf(remembered[i], sizeof(remembered[i]), "%.31s",
			 slurp(settings[i]));
}

int op_ahead(void)
{
	static const char * const values[] = {
		"0", "1", "2", "3", "8", "16", "16", "16", "1000000",
	};

	return spew(PARAMETERS "ahead", values[below(ARRAY(values))]);
}

int op_parameter(void)
{
	static const char * const values[][2] = {
		{ "huge", "0" }, { "huge", "1" }, { "huge", "1" },
		{ "strict", "0" }, { "strict", "1" },
		{ "max_pattern", "3" }, { "max_pattern", "1048576" },
		{ "max_pattern", "100" },
	};
	unsigned long i = below(ARRAY(values));
	char path[96];

	snprintf(path, sizeof(path), PARAMETERS "%s", values[i][0]);
	return spew(path, values[i][1]);
}

int op_bad_parameter(void)
{
	static const char * const values[][2] = {
		{ "huge", "7" }, { "strict", "maybe" }, { "ahead", "-1" },
		{ "max_pattern", "99999999999999999999" }, { "ahead", "" },
		{ "mode", "438" },
	};
	unsigned long i = below(ARRAY(values));
	char path[96];
	int err;

	snprintf(path, sizeof(path), PARAMETERS "%s", values[i][0]);
	err = spew(path, values[i][1]);
	if (!err && *values[i][1] && strcmp(values[i][0], "mode"))
		wrong("%s has taken the value %s", path, values[i][1]);
	return err;
}

/* There is a region: it may not go. */
int op_unload(void)
{
	int err = result(syscall(SYS_delete_module, "hybridmem", O_NONBLOCK));

	if (!err) {
		wrong("the module could be unloaded under a region");
		_exit(97);
	}
	return err;
}

/* ----------------------------------------------------------------- memory -- */

static void interrupted(int signal)
{
	(void)signal;
}

/* One block of memory of the movable node. */
static int block_state(const char *state, bool all)
{
	struct sigaction sa = { .sa_handler = interrupted };
	int err = NOTHING;
	char path[300], file[600];
	struct dirent *e;
	DIR *d;

	if (movable < 0 || !risky[movable])
		return NOTHING;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", movable);
	d = opendir(path);
	sigaction(SIGALRM, &sa, NULL);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "memory", 6) ||
		    !isdigit((unsigned char)e->d_name[6]) || (!all && one_in(2)))
			continue;
		snprintf(file, sizeof(file),
			 "/sys/devices/system/memory/%s/state", e->d_name);
		if (!strncmp(slurp(file), state, 6))	/* it is online, or offline */
			continue;
		alarm(20);	/* it tries for ever */
		err = spew(file, state);
		alarm(0);
	}
	if (d)
		closedir(d);
	return err;
}

int op_offline(void)
{
	static bool before;
	bool all = !before || one_in(2);

	before = true;
	return block_state("offline", all);
}

int op_online(void)
{
	return block_state("online_movable", true);
}

#define FILL_BASE	0x4000000000UL
#define FILL_SPACE	0x1000000000UL

/* A region that has what the node gives, by touches at such distances; or -1. */
static int fill(int kind, unsigned int shift, unsigned long bytes, char *at)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	unsigned long i;
	bool torn;

	if (fd < 0)
		return -1;
	if (write(fd, &(char){ tiny }, 1) == 1 &&
	    !region_config(fd, HYBRIDMEM_F_STRICT, shift) &&
	    mmap(at, bytes, PROT_READ | PROT_WRITE, kind | MAP_FIXED, fd, 0) == at)
		for (i = 0; i < bytes; i += PAGE << shift)
			if (poke(at + i, 1, 1, &torn))
				break;
	return fd;
}

/* A node without a free page, for a moment: huge pages first, then the small. */
int op_fill_node(void)
{
	char *huge = (char *)FILL_BASE, *small = huge + FILL_SPACE;
	unsigned long bytes;
	int a, b;

	if (tiny < 0)
		return NOTHING;
	bytes = node_meminfo(tiny, "MemTotal");
	spew(PARAMETERS "huge", "1");
	a = fill(MAP_SHARED, 9, bytes & -512 * PAGE, huge);
	b = fill(one_in(2) ? MAP_SHARED : MAP_PRIVATE, 0, bytes, small);
	usleep(100000);
	munmap(huge, bytes);
	munmap(small, bytes);
	return result((a < 0 ? -1 : close(a)) | (b < 0 ? -1 : close(b)));
}

int op_compact(void)
{
	if (one_in(2))
		return spew("/proc/sys/vm/drop_caches", "1");
	return spew("/proc/sys/vm/compact_memory", "1");
}

/* The daemon works for ever once it runs: slowly, and at times not at all. */
int op_merge(void)
{
	static const char * const runs[] = { "0", "0", "1", "1", "2" };

	spew(KSM "sleep_millisecs", "100");
	spew(KSM "pages_to_scan", "100");
	return spew(KSM "run", runs[below(ARRAY(runs))]);
}

void restore_settings(void)
{
	unsigned long i;

	block_state("online_movable", true);
	spew(KSM "run", "2");	/* what was merged is apart again */
	for (i = 0; i < ARRAY(settings); i++)
		if (*remembered[i])
			spew(settings[i], remembered[i]);
}
