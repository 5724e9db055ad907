/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A control group of the test's own, in the v2 hierarchy. */
#ifndef CGROUP_H
#define CGROUP_H

#include <sys/mount.h>

#include "region.h"

static char cgroup_root[64];

/* The v2 hierarchy with a controller enabled for children, or NULL. */
__attribute__((unused))
static const char *cgroup2(const char *controller)
{
	static const char * const places[] = {
		"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/tmp/hm-cgroup",
	};
	char path[128], text[64];
	unsigned long i;

	for (i = 0; i < ARRAY(places); i++) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", places[i]);
		if (access(path, R_OK)) {
			if (i == 2)
				mkdir(places[i], 0700);
			mount("cgroup2", places[i], "cgroup2", 0, NULL);
		}
		if (!strstr(slurp(path), controller))
			continue;
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control",
			 places[i]);
		snprintf(text, sizeof(text), "+%s", controller);
		spew(path, text);
		snprintf(cgroup_root, sizeof(cgroup_root), "%s/hm-test-%d",
			 places[i], getpid());
		if (!mkdir(cgroup_root, 0700) || errno == EEXIST)
			return cgroup_root;
	}
	return NULL;
}

__attribute__((unused))
static int cgroup_set(const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", cgroup_root, file);
	return spew(path, value);
}

__attribute__((unused))
static const char *cgroup_get(const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", cgroup_root, file);
	return slurp(path);
}

#endif
