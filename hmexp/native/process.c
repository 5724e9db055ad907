// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/prctl.h>

#include "core.h"

int hm_die_with_parent(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) ? -errno : 0;
}

uint32_t hm_sources_crc(void)
{
	return HM_SOURCES_CRC;
}
