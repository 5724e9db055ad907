// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What happens meanwhile, and is nobody's who fuzzes: the module's parameters and
 * attempts to unload it, memory that goes offline, a node that is full, compaction,
 * KSM.  And, in some processes, a thread that reads whatever is mapped just then.
 */
#include <dirent.h>

#include "fuzz.h"

#define PARAMETERS "/sys/module/hybridmem/parameters/"
#define KSM "/sys/kernel/mm/ksm/"

static const char * const settings[] = {
	PARAMETERS "ahead", PARAMETERS "huge", PARAMETERS "strict",
	PARAMETERS "max_pattern", KSM "run", KSM "sleep_millisecs",
	KSM "pages_to_scan",
};

static char remembered[ARRAY(settings)][32];

void remember_settings(void)
{
	unsigned long i;

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
	int m = movable_node(), err = NOTHING;
	char path[300], file[600];
	struct dirent *e;
	DIR *d;

	if (m < 0)
		m = all_nodes[nr_all_nodes - 1];
	if (!risky[m])
		return NOTHING;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", m);
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
	return block_state("offline", one_in(2));
}

int op_online(void)
{
	return block_state("online_movable", true);
}

/* A node without a free page, for a moment. */
int op_fill_node(void)
{
	int tiny = tiny_node(), fd;
	unsigned long len, i;
	bool torn;
	char *at;

	if (tiny < 0)
		return NOTHING;
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = node_meminfo(tiny, "MemTotal");
	at = mmap(NULL, len, PROT_READ | PROT_WRITE,
		  one_in(2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (at != MAP_FAILED && write(fd, &(char){ tiny }, 1) == 1 &&
	    !region_config(fd, HYBRIDMEM_F_STRICT, one_in(2) ? 0 : 9)) {
		for (i = 0; i < len; i += PAGE)
			if (poke(at + i, 1, 1, &torn))
				break;
		usleep(300000);
	}
	if (at != MAP_FAILED)
		munmap(at, len);
	return result(close(fd));
}

int op_compact(void)
{
	if (one_in(2))
		return spew("/proc/sys/vm/drop_caches", "1");
	return spew("/proc/sys/vm/compact_memory", "1");
}

int op_merge(void)
{
	spew(KSM "sleep_millisecs", "20");
	spew(KSM "pages_to_scan", "500");
	return spew(KSM "run", one_in(3) ? "2" : "1");
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

/* ----------------------------------------------------------------- thread -- */

/* Reads change no page; nor does what is written to the common region here. */
void *blind_reader(void *stop)
{
	volatile bool *over = stop;
	unsigned long x = seed, value;
	bool torn;

	while (!*over) {
		const volatile struct view *v = &views[x >> 40 & 7];
		unsigned long pages = v->pages, page;

		x = x * 6364136223846793005UL + 1442695040888963407UL;
		page = pages ? (x >> 20) % pages : 0;
		if (v->used)
			peek(v->at + page * PAGE, 1, &value, &torn);
		page = x >> 30 & (COMMON_PAGES - 1);
		if (!(x >> 60))
			poke((char *)COMMON_BASE + page * PAGE, middle_of(page),
			     page + 1, &torn);
		usleep(100);
	}
	return NULL;
}
