/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * hybridmem - user interface of /dev/hybridmem
 *
 * open()    gives a private, empty region with no pattern.
 * write()   replaces the pattern, one byte per node; length 0 clears it.
 * read()    returns the pattern, one byte per node.
 * mmap()    maps the region; page i of the file offset is on
 *           pattern[(i >> granule_shift) % length].
 *
 * A new pattern or configuration applies to pages that are not resident yet.
 * See hybridmem(4).
 */
#ifndef _UAPI_HYBRIDMEM_H
#define _UAPI_HYBRIDMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Never fall back to another node: SIGBUS when the wanted one has no room. */
#define HYBRIDMEM_F_STRICT	0x1U

/*
 * A private page that is read before it was ever written shows a page of zeroes
 * that is nobody's, as anonymous memory does, and takes no memory of the region.
 * What a shared mapping writes there later is then not seen by who has read it.
 */
#define HYBRIDMEM_F_SPARSE	0x2U

/* A fault allocates the page that is touched, and none of those behind it. */
#define HYBRIDMEM_F_NO_AHEAD	0x4U

/* Every flag that this version knows; any other is refused with EINVAL. */
#define HYBRIDMEM_F_ALL		(HYBRIDMEM_F_STRICT | HYBRIDMEM_F_SPARSE | \
				 HYBRIDMEM_F_NO_AHEAD)

/**
 * struct hybridmem_config - how a pattern is applied
 * @flags: HYBRIDMEM_F_*
 * @granule_shift: log2 of the pages that come in a row from one entry of the
 *	pattern: 0 is one page, 9 is 2 MiB and 18 is 1 GiB where pages are 4 KiB
 * @reserved: zero; any other value is refused with EINVAL
 */
struct hybridmem_config {
	__u32 flags;
	__u32 granule_shift;
	__u64 reserved[3];
};

/**
 * struct hybridmem_range - a range of the region
 * @offset: first byte, a multiple of the page size
 * @len: bytes, a multiple of the page size, not zero
 * @reserved: zero; any other value is refused with EINVAL
 */
struct hybridmem_range {
	__u64 offset;
	__u64 len;
	__u64 reserved[2];
};

/**
 * struct hybridmem_pattern - a pattern with 16-bit node ids
 * @nodes: address of an array of __u16
 * @len: entries in the array; HYBRIDMEM_IOC_GET_PATTERN replaces it by the
 *	length of the pattern, also when it fails with E2BIG because the array
 *	is too short
 * @reserved: zero
 */
struct hybridmem_pattern {
	__u64 nodes;
	__u32 len;
	__u32 reserved;
};

/* Those that change the region need a descriptor open for writing (EBADF). */
#define HYBRIDMEM_IOC_SET_CONFIG  _IOW('H', 0x40, struct hybridmem_config)
#define HYBRIDMEM_IOC_GET_CONFIG  _IOR('H', 0x41, struct hybridmem_config)
/* Free the pages of a range, as FALLOC_FL_PUNCH_HOLE does for a file. */
#define HYBRIDMEM_IOC_PUNCH	  _IOW('H', 0x42, struct hybridmem_range)
#define HYBRIDMEM_IOC_SET_PATTERN _IOW('H', 0x43, struct hybridmem_pattern)
#define HYBRIDMEM_IOC_GET_PATTERN _IOWR('H', 0x44, struct hybridmem_pattern)

/*
 * The same without the reserved words, as first published: every version of the
 * module accepts these, and reads and writes the first 8 or 16 bytes alone.
 */
#define HYBRIDMEM_IOC_SET_CONFIG_V1 _IOC(_IOC_WRITE, 'H', 0x40, 8)
#define HYBRIDMEM_IOC_GET_CONFIG_V1 _IOC(_IOC_READ, 'H', 0x41, 8)
#define HYBRIDMEM_IOC_PUNCH_V1	    _IOC(_IOC_WRITE, 'H', 0x42, 16)

#endif /* _UAPI_HYBRIDMEM_H */
