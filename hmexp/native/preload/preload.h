/*
 * The preload library: large private anonymous mappings of any dynamic program
 * become private mappings of /dev/hybridmem, whose pages follow a pattern.
 *
 * The offset of such a mapping is its address, so that the page at an address
 * has its place by its virtual page number, whoever mapped it and when, and so
 * that neighbours are one mapping of the kernel's, as anonymous ones are.
 *
 * No lock and no list is kept: nothing can be held at a fork, and a signal
 * handler may map memory.  All that is needed is opened before main().
 */
#ifndef HM_PRELOAD_H
#define HM_PRELOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#if !defined(__LP64__)
#error "offsets are addresses: 64 bits are needed"
#endif

#define HM_EXPORT __attribute__((visibility("default")))

/* Longer patterns are refused before the program starts (program/preload.py). */
#define HM_MOST_NODES	4096

/* Names of programs that the library could not be in, in the counters' file. */
#define HM_NAMES	24
#define HM_NAME_BYTES	160

/*
 * What is counted, in a file that every process of the program shares; the
 * order is that of COUNTERS in program/preload_counters.py.
 */
struct hm_counters {
	char magic[8];			/* HM_MAGIC */
	_Atomic uint64_t processes;	/* that the library has started in */
	_Atomic uint64_t mappings;	/* given to the device */
	_Atomic uint64_t bytes;
	_Atomic uint64_t reservations;	/* of them, those that were not accessible */
	_Atomic uint64_t ordinary;	/* large mappings left ordinary: the device failed */
	_Atomic uint64_t ordinary_bytes;
	_Atomic uint64_t last_errno;	/* of such a failure */
	_Atomic uint64_t out_of_phase;	/* moved by mremap() to an address of the program's */
	_Atomic uint64_t reopened;	/* times that our descriptor was lost */
	_Atomic uint64_t without_device;	/* processes that could not open it */
	_Atomic uint64_t deepbind;	/* dlopen() with RTLD_DEEPBIND, taken out */
	_Atomic uint64_t uncovered;	/* programs started that the library is not in */
	char names[HM_NAMES][HM_NAME_BYTES];
};

#define HM_MAGIC "HMPRELD1"

struct hm_settings {
	uint16_t nodes[HM_MOST_NODES];
	uint32_t length;
	unsigned int granule_shift;	/* log2 of the pages in a granule */
	size_t period_bytes;		/* of the whole pattern */
	size_t threshold_bytes;
	size_t page_bytes;
	char files[4096];		/* ours in LD_PRELOAD; empty: unknown */
};

/* start.c */
extern struct hm_settings hm_settings;
extern struct hm_counters *hm_counters;
bool hm_ready(void);
void hm_note_name(const char *reason, const char *name);

#define hm_count(what, n) \
	atomic_fetch_add_explicit(&hm_counters->what, (n), memory_order_relaxed)

/* descriptors.c: the one descriptor, which programs may close */
void hm_keep_open(void);
void hm_watch_forks(void);
void hm_find_real_descriptors(void);
int hm_descriptor(void);
bool hm_device_noexec(void);

/* device.c, or standin.c in tests on a machine without the module */
extern const char hm_device_mark[];
int hm_device_open(void);

/* programs.c */
void hm_find_real(void);

#endif
