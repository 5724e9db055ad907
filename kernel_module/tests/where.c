// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * where PID FILE NODE...: is every page of the process's mapping of FILE on the
 * node that the pattern says?  Asks the kernel page by page.
 */
#include "region.h"

int main(int argc, char **argv)
{
	unsigned long from = 0, to = 0, offset = 0, i, k, bad = 0, absent = 0;
	char path[64], line[512];
	void *address[1024];
	int status[1024];
	FILE *f;

	if (argc < 4) {
		fprintf(stderr, "where PID FILE NODE...\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/%s/maps", argv[1]);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, argv[2]) &&
		    sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) == 3)
			break;
	if (from == to) {
		printf("no mapping of %s\n", argv[2]);
		return 1;
	}
	for (i = 0; i < (to - from) / PAGE; i += 1024) {
		unsigned long n = (to - from) / PAGE - i;

		n = n < 1024 ? n : 1024;
		for (k = 0; k < n; k++)
			address[k] = (void *)(from + (i + k) * PAGE);
		if (syscall(SYS_move_pages, atoi(argv[1]), n, address, NULL,
			    status, 0) < 0) {
			printf("move_pages: %s\n", strerror(errno));
			return 1;
		}
		for (k = 0; k < n; k++) {
			absent += status[k] < 0;
			bad += status[k] >= 0 && status[k] !=
			       atoi(argv[3 + (offset / PAGE + i + k) % (argc - 3)]);
		}
	}
	printf("%lu pages, %lu misplaced, %lu absent\n", (to - from) / PAGE,
	       bad, absent);
	return bad || absent;
}
