// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "noise.h"

static int64_t thread_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static int64_t preemptions(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nivcsw;
}

/* Time that the hypervisor gave to others, of one CPU; 0 where the kernel does not say. */
static int64_t stolen_ns(int cpu)
{
	long long user, nice, system, idle, iowait, irq, softirq, steal;
	long ticks_per_second = sysconf(_SC_CLK_TCK);
	char line[256], name[16];
	int64_t stolen = 0;
	FILE *file;

	file = fopen("/proc/stat", "re");
	if (!file)
		return 0;
	snprintf(name, sizeof(name), "cpu%d ", cpu);
	while (fgets(line, sizeof(line), file) && !strncmp(line, "cpu", 3)) {
		if (strncmp(line, name, strlen(name)))
			continue;
		if (sscanf(line + strlen(name), "%lld %lld %lld %lld %lld %lld %lld %lld", &user, &nice, &system,
			   &idle, &iowait, &irq, &softirq, &steal) == 8 && ticks_per_second > 0)
			stolen = steal * (1000000000 / ticks_per_second);
		break;
	}
	fclose(file);
	return stolen;
}

void hm_sample_prepare(struct hm_noise *noise)
{
	noise->cpu = sched_getcpu();
	noise->stolen_ns = stolen_ns(noise->cpu);
}

void hm_sample_begin(struct hm_noise *noise)
{
	noise->preempted = preemptions();
	noise->cpu_ns = thread_cpu_ns();
	noise->start_ns = hm_now_ns();
}

void hm_sample_end(const struct hm_noise *noise, struct hm_sample *sample)
{
	int64_t off_cpu_ns;

	sample->end_ns = hm_now_ns();
	sample->start_ns = noise->start_ns;
	off_cpu_ns = sample->end_ns - noise->start_ns - (thread_cpu_ns() - noise->cpu_ns);
	/* Two clocks: their difference can come out below nothing. */
	sample->off_cpu_ns = off_cpu_ns > 0 ? off_cpu_ns : 0;
	sample->preempted = preemptions() - noise->preempted;
	sample->migrated = sched_getcpu() != noise->cpu;
	sample->stolen_ns = stolen_ns(noise->cpu) - noise->stolen_ns;
}
