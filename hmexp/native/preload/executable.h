#ifndef HM_EXECUTABLE_H
#define HM_EXECUTABLE_H

#include <stddef.h>

/* Can this library be in a program?  From HM_HARMED on, LD_PRELOAD would do it harm. */
enum hm_kind {
	HM_COVERED,		/* as far as anybody can tell */
	HM_STATIC,
	HM_PRIVILEGED,
	HM_HARMED,
	HM_32_BIT = HM_HARMED,
	HM_OTHER_MACHINE,
	HM_OTHER_LIBC,
};

extern const char *const hm_kind_names[];
enum hm_kind hm_kind_of(const char *path);

/* Where PATH leads for @file: @file itself, @room, or NULL. */
const char *hm_find(const char *file, char *room, size_t bytes);

#endif
