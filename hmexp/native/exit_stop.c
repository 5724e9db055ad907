// SPDX-License-Identifier: MIT
// A child of ours is stopped when it exits, before its memory goes: so that somebody can look at it.
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "core.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

int hm_exit_stop_seize(int pid)
{
	/* It is killed with the thread that calls this. */
	return ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL) ? -errno : 0;
}

/* What a stop of another kind needs in order to go as if nobody watched. */
static int resume(int pid, int status)
{
	const int signal = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		return ptrace(PTRACE_LISTEN, pid, 0, 0); /* it is stopped by job control, and stays so */
	return ptrace(PTRACE_CONT, pid, 0, event ? 0 : signal);
}

int hm_exit_stop_wait(int pid, int *stopped)
{
	for (;;) {
		siginfo_t info = {0};
		int status;

		/* How it has ended is for whoever waits for it: that must not be taken here. */
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL)) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
			*stopped = 0;
			return 0;
		}
		if (waitpid(pid, &status, __WALL | WNOHANG) != pid || !WIFSTOPPED(status))
			continue;
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			*stopped = 1;
			return 0;
		}
		if (resume(pid, status) && errno != ESRCH)
			return -errno;
	}
}

int hm_exit_stop_release(int pid)
{
	return ptrace(PTRACE_DETACH, pid, 0, 0) && errno != ESRCH ? -errno : 0;
}
