/* SPDX-License-Identifier: MIT */
#ifndef HMEXP_PAGEMAP_H
#define HMEXP_PAGEMAP_H

#include <linux/types.h>
#include <sys/ioctl.h>

#include "core.h"

/* Documentation/admin-guide/mm/pagemap.rst; the headers of the system may be older than its kernel */
#define PAGEMAP_PRESENT		(1ULL << 63)
#define PAGEMAP_SWAP		(1ULL << 62)
#define PAGEMAP_FILE		(1ULL << 61)
#define PAGEMAP_GUARD		(1ULL << 58)
#define PAGEMAP_EXCLUSIVE	(1ULL << 56)
#define PAGEMAP_FRAME		((1ULL << 55) - 1)
#define PAGEMAP_SWAP_TYPE	31ULL

/* PAGEMAP_SCAN, Linux 6.7 */
#define HM_SCAN_PRESENT		(1ULL << 3)
#define HM_SCAN_SWAPPED		(1ULL << 4)
#define HM_SCAN_ZERO		(1ULL << 5)
#define HM_SCAN_HUGE		(1ULL << 6)

struct hm_scan_argument {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};

#define HM_PAGEMAP_SCAN		_IOWR('f', 16, struct hm_scan_argument)

#endif
