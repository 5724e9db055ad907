// SPDX-License-Identifier: MIT
/*
 * Who refuses a system call: the kernel, or a filter before it. Each is called with arguments that every kernel
 * answers in one way (EINVAL, EFAULT) whoever asks; a filter (seccomp) looks at the number alone, or at flags that
 * it allows, and has another answer.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.h"

#define NO_FLAGS 0x40000000UL		/* a flag that none of them has */

int hm_try_call(int call)
{
	long ret;

	switch (call) {
	case HM_CALL_GET_MEMPOLICY:
		ret = syscall(SYS_get_mempolicy, NULL, NULL, 0UL, NULL, NO_FLAGS);
		break;
	case HM_CALL_SET_MEMPOLICY:
		ret = syscall(SYS_set_mempolicy, 0x0fff, NULL, 0UL);
		break;
	case HM_CALL_MBIND:
		ret = syscall(SYS_mbind, NULL, 0UL, 0x0fffUL, NULL, 0UL, 0UL);
		break;
	case HM_CALL_MOVE_PAGES:
		ret = syscall(SYS_move_pages, 0, 0UL, NULL, NULL, NULL, NO_FLAGS);
		break;
	case HM_CALL_MIGRATE_PAGES:
		/* No address is that of a list of nodes. */
		ret = syscall(SYS_migrate_pages, 0, 64UL, (void *)-1L, (void *)-1L);
		break;
	case HM_CALL_USERFAULTFD:
		ret = syscall(SYS_userfaultfd, NO_FLAGS | 1UL);	/* UFFD_USER_MODE_ONLY: everybody may */
		break;
	case HM_CALL_PERF_EVENT_OPEN:
		ret = syscall(SYS_perf_event_open, NULL, 0, -1, -1, NO_FLAGS);
		break;
	case HM_CALL_MADVISE:
		ret = madvise(NULL, 4096, -1);
		break;
	case HM_CALL_MLOCK:
		ret = syscall(SYS_mlock2, NULL, 0UL, 0x4000);
		break;
	default:
		return -EINVAL;
	}
	return ret < 0 ? -errno : 0;
}
