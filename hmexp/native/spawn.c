// SPDX-License-Identifier: MIT
/*
 * Starting a program that is not ours: with a memory policy and without huge pages if that is asked for, and with
 * everything else as if its caller had started it. And seeing signals that are meant for it, with who sent them.
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mempolicy.h"

#define WEIGHTED_INTERLEAVE 6		/* Linux 6.9; the headers that we are built with may be older */

struct failure {			/* what the child could not do, through a pipe that exec closes */
	int32_t stage, error;
};

static int set_policy(const struct hm_spawn *how)
{
	static const int modes[] = {
		[HM_POLICY_LOCAL] = MPOL_LOCAL,
		[HM_POLICY_PREFER] = MPOL_PREFERRED | MPOL_F_STATIC_NODES,
		[HM_POLICY_EVENLY] = MPOL_INTERLEAVE | MPOL_F_STATIC_NODES,
		[HM_POLICY_WEIGHTED] = WEIGHTED_INTERLEAVE | MPOL_F_STATIC_NODES,
	};
	struct hm_mask mask = { 0 };

	if (how->policy == HM_POLICY_AS_IS)
		return 0;
	if (how->policy < 0 || how->policy >= (int)(sizeof(modes) / sizeof(modes[0])))
		return EINVAL;
	for (uint64_t i = 0; i < how->node_count; i++)
		if (hm_mask_add(&mask, how->nodes[i]))
			return EINVAL;
	/* The kernel takes one bit less than the size it is given. */
	return syscall(SYS_set_mempolicy, modes[how->policy], how->node_count ? mask.words : NULL,
		       how->node_count ? HM_MASK_BITS + 1UL : 0UL) ? errno : 0;
}

/* A signal that comes now is the program's: no handler of ours may see it. */
static void reset_signals(const sigset_t *mask)
{
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) || action.sa_handler == SIG_DFL)
			continue;
		/* Python ignores these two for itself; what else is ignored was ignored before hmexp, as by nohup. */
		if (action.sa_handler == SIG_IGN && number != SIGPIPE && number != SIGXFSZ)
			continue;
		signal(number, SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
}

/* Whoever holds a child may end before it lets go: then nobody waits for the program. */
static void wait_at(int gate)
{
	char go;
	ssize_t got;

	do
		got = read(gate, &go, sizeof(go));
	while (got < 0 && errno == EINTR);
	if (got != sizeof(go))
		_exit(125);
}

static void become(const struct hm_spawn *how, const sigset_t *mask, int gate, int out)
{
	struct failure failure = { .stage = HM_STAGE_POLICY, .error = set_policy(how) };

	if (!failure.error && how->without_huge) {
		failure.stage = HM_STAGE_HUGE;
		failure.error = prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) ? errno : 0;
	}
	if (how->held)
		wait_at(gate);
	if (!failure.error) {
		reset_signals(mask);
		/* With a slash in its name nothing is searched; what is neither ELF nor #! goes to the shell. */
		execvpe(how->path, (char *const *)how->argv, (char *const *)how->environment);
		failure.stage = HM_STAGE_EXEC;
		failure.error = errno;
	}
	if (write(out, &failure, sizeof(failure)) != sizeof(failure))
		_exit(126);
	_exit(125);
}

static void close_both(const int ends[2])
{
	if (ends[0] < 0)
		return;
	close(ends[0]);
	close(ends[1]);
}

int hm_spawn(const struct hm_spawn *how, struct hm_spawned *child)
{
	sigset_t all, before;
	int gate[2] = { -1, -1 }, ends[2], error;

	child->stage = HM_STAGE_FORK;
	if (how->held && pipe2(gate, O_CLOEXEC))
		return -errno;
	if (pipe2(ends, O_CLOEXEC)) {
		error = errno;
		close_both(gate);
		return -error;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child->pid = fork();
	if (child->pid == 0) {
		if (how->held)
			close(gate[1]);
		become(how, &before, gate[0], ends[1]);
	}
	error = child->pid < 0 ? errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		close_both(gate);
		close_both(ends);
		return -error;
	}
	if (how->held)
		close(gate[0]);
	close(ends[1]);
	child->gate = gate[1];
	child->out = ends[0];
	return 0;
}

int hm_spawn_go(struct hm_spawned *child)
{
	struct failure failure = { 0 };
	ssize_t got;

	/* One that was killed meanwhile reads nothing, and how it ended is for whoever waits for it. */
	if (child->gate >= 0) {
		got = write(child->gate, "", 1);
		close(child->gate);
	}
	do
		got = read(child->out, &failure, sizeof(failure));
	while (got < 0 && errno == EINTR);
	close(child->out);
	if (got == 0)
		return 0;
	child->stage = failure.stage;
	return got == sizeof(failure) ? -failure.error : -EIO;
}

/* ---- signals ---- */

static int seen_fd = -1;
static struct sigaction former[NSIG];
static unsigned char watched[NSIG];

static void see(int number, siginfo_t *info, void *context)
{
	struct hm_signal seen = { .number = number, .code = info->si_code, .pid = info->si_pid };
	int saved = errno;

	/* A full pipe: so many signals wait to be passed on that one more makes no difference. */
	if (write(seen_fd, &seen, sizeof(seen)) < 0)
		errno = saved;
	errno = saved;
}

/* From now on the @count signals @numbers are written to *@fd; those that are ignored stay so. */
int hm_signals_watch(const int32_t *numbers, uint64_t count, int *fd)
{
	struct sigaction action = { .sa_sigaction = see, .sa_flags = SA_SIGINFO | SA_RESTART };
	int ends[2];

	if (seen_fd >= 0)
		return -EBUSY;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	*fd = ends[0];
	seen_fd = ends[1];
	for (uint64_t i = 0; i < count; i++) {
		int number = numbers[i];

		if (number <= 0 || number >= NSIG || watched[number] || sigaction(number, NULL, &former[number]))
			continue;
		if (former[number].sa_handler == SIG_IGN)
			continue;
		watched[number] = !sigaction(number, &action, NULL);
	}
	return 0;
}

int hm_signals_leave(int fd)
{
	if (seen_fd < 0)
		return -EINVAL;
	for (int number = 1; number < NSIG; number++) {
		if (watched[number])
			sigaction(number, &former[number], NULL);
		watched[number] = 0;
	}
	close(seen_fd);
	close(fd);
	seen_fd = -1;
	return 0;
}
