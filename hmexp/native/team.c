// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "team.h"

/*
 * Spinning, so that all leave within a cache miss of each other; it yields now and then, for a
 * machine that has given one of the CPUs to somebody else.
 */
void hm_barrier_wait(struct hm_barrier *barrier)
{
	unsigned int generation = atomic_load(&barrier->generation);

	if (atomic_fetch_add(&barrier->waiting, 1) + 1 == barrier->parties) {
		atomic_store(&barrier->waiting, 0);
		atomic_fetch_add(&barrier->generation, 1);
		return;
	}
	for (unsigned int spins = 0; atomic_load(&barrier->generation) == generation; spins++)
		if (spins % 4096 == 4095)
			sched_yield();
}

enum { WAITING, GO, ABORT };

struct team {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int state;
	void (*work)(void *context, int thread);
	void *context;
};

struct member {
	struct team *team;
	int index;
};

static void *member_main(void *argument)
{
	struct member *member = argument;
	struct team *team = member->team;
	int state;

	pthread_mutex_lock(&team->lock);
	while (team->state == WAITING)
		pthread_cond_wait(&team->changed, &team->lock);
	state = team->state;
	pthread_mutex_unlock(&team->lock);
	if (state == GO)
		team->work(team->context, member->index);
	return NULL;
}

static int start_member(pthread_t *thread, struct member *member, int32_t cpu)
{
	pthread_attr_t attributes;
	cpu_set_t *set;
	size_t size;
	int ret;

	if (cpu < 0)
		return EINVAL;
	set = CPU_ALLOC(cpu + 1);
	if (!set)
		return ENOMEM;
	size = CPU_ALLOC_SIZE(cpu + 1);
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	ret = pthread_attr_init(&attributes);
	if (!ret) {
		ret = pthread_attr_setaffinity_np(&attributes, size, set);
		if (!ret)
			ret = pthread_create(thread, &attributes, member_main, member);
		pthread_attr_destroy(&attributes);
	}
	CPU_FREE(set);
	return ret;
}

int hm_team_run(int threads, const int32_t *cpus, void (*work)(void *context, int thread), void *context)
{
	struct team team = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.state = WAITING,
		.work = work,
		.context = context,
	};
	struct member *members;
	pthread_t *handles;
	int started, ret = 0;

	if (threads < 1)
		return -EINVAL;
	members = calloc((size_t)threads, sizeof(*members));
	handles = calloc((size_t)threads, sizeof(*handles));
	if (!members || !handles) {
		ret = -ENOMEM;
		goto out;
	}
	for (started = 0; started < threads; started++) {
		members[started] = (struct member){ .team = &team, .index = started };
		ret = -start_member(&handles[started], &members[started], cpus[started]);
		if (ret)
			break;
	}
	pthread_mutex_lock(&team.lock);
	team.state = ret ? ABORT : GO;
	pthread_cond_broadcast(&team.changed);
	pthread_mutex_unlock(&team.lock);
	while (started-- > 0)
		pthread_join(handles[started], NULL);
out:
	free(handles);
	free(members);
	return ret;
}
