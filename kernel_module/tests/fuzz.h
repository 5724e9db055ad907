/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the parts of the fuzzer share.
 *
 * A process knows what each page of its regions holds.  A store is what it knows
 * of a region, a view what it knows of a mapping.  Stores and tallies are shared
 * with its children, which change the region for their parent, too; views are
 * not, as mappings are not.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "region.h"

#define STORES		4
#define STORE_PAGES	1024UL			/* two huge pages */
#define VIEWS		8
#define VIEW_BYTES	(16 * MIB)		/* of addresses, for each view */
#define VIEW_BASE	0x1000000000UL		/* far from all that the kernel chooses */
#define COMMON_BASE	0x2000000000UL		/* the region that all processes share */
#define COMMON_PAGES	2048UL
#define PATTERN_MOST	96			/* entries of a pattern that is remembered */
#define OPS_MOST	64
#define ERRNO_MOST	134

#define UNSURE		(~0UL)			/* a value that nobody knows */

/* Of a page of a view, with the bits of PROT_*. */
#define HOLE		0x40			/* nothing is mapped here */
#define GUARD		0x20			/* maybe a guard page: MADV_GUARD_INSTALL */
#define ANY		0x80			/* half a system call has failed here */
#define UNCLEAR		(GUARD | ANY)

struct tally {
	unsigned long done[OPS_MOST];
	unsigned long failed[OPS_MOST][ERRNO_MOST];
	unsigned long cpu_ns[OPS_MOST];	/* with FUZZ_TIMES=1 */
	unsigned long total, reads, writes, checked, sigbus, sigsegv;
	unsigned long wrong, serial, attempt, by_thread;
};

struct store {
	int fd;					/* -1: closed, but maybe mapped */
	bool used, can_read, can_write;
	bool was_sparse;			/* a private page may show old zeroes */
	struct hybridmem_config config;
	uint32_t len;
	uint16_t pattern[PATTERN_MOST];
	unsigned long value[STORE_PAGES];
};

enum state {
	PLAIN,		/* a view of the region's page */
	COPIED,		/* the view's own page */
	MAYBE,		/* its own since value, or plain still */
	UNKNOWN,
};

struct view {
	bool used, shared, locked, no_fork;
	struct store *store;
	unsigned long first, pages;		/* of the region */
	char *at;
	unsigned char prot[STORE_PAGES], state[STORE_PAGES];
	unsigned long value[STORE_PAGES];
};

enum who { WORKER, CHILD, DISTURBER, THREAD };	/* a worker does a child's, too */

struct op {
	const char *name;
	enum who who;
	unsigned int weight;
	int (*run)(void);			/* 0, a negative errno, or NOTHING */
};

#define NOTHING		(-ERRNO_MOST)		/* there was nothing to do it with */

/* fuzz_model.c */
extern struct tally *tally;
extern struct store *stores;
extern struct view views[VIEWS];
extern unsigned long seed;
extern bool is_child;
extern bool risky[64];		/* nodes that may be full or offline */
extern int plenty[2], all_nodes[8], nr_all_nodes;

unsigned long mix(unsigned long x);
void draw_from(unsigned long a, unsigned long b);
unsigned long draw(void);
unsigned long below(unsigned long n);
bool one_in(unsigned long n);
unsigned long few(unsigned long most);
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
int result(long r);

void catch_signals(void);
int peek(const char *at, unsigned long middle, unsigned long *value, bool *torn);
int poke(char *at, unsigned long middle, unsigned long value, bool *torn);

int want(const struct store *s, unsigned long page);
unsigned long middle_of(unsigned long page);
unsigned long new_value(void);
struct store *any_store(void);
struct store *open_store(void);
struct store *free_store(void);
struct view *any_view(void);
struct view *free_view(void);
unsigned long any_index(void);
unsigned long any_page(const struct view *v);
char *view_place(const struct view *v, unsigned long first);
void check_value(struct view *v, unsigned long page, unsigned long got, bool torn);
void written(struct view *v, unsigned long page, unsigned long value);
void touch_page(struct view *v, unsigned long page, bool write);
void maybe_copied(struct view *v, unsigned long page, unsigned long n);
void dropped_copies(struct view *v, unsigned long page, unsigned long n, bool surely);
void forget_view(struct view *v);
bool has_hole(const struct view *v, unsigned long page, unsigned long n);

/* fuzz_memory.c, fuzz_touch.c, fuzz_device.c, fuzz_system.c: the operations */
int op_map(void);
int op_unmap(void);
int op_fill(void);
int op_remap(void);
int op_protect(void);
int op_lock(void);
int op_advise(void);
int op_soft_offline(void);
int op_sync(void);
int op_touch_read(void);
int op_touch_write(void);
int op_anywhere(void);
int op_edge(void);

int op_open(void);
int op_close(void);
int op_write(void);
int op_writev(void);
int op_write_garbage(void);
int op_read(void);
int op_readv(void);
int op_set_config(void);
int op_get_config(void);
int op_set_pattern(void);
int op_get_pattern(void);
int op_punch(void);
int op_ioctl_garbage(void);
int op_fallocate(void);
int op_truncate(void);
int op_fsync(void);
int op_seek(void);

int op_move_pages(void);
int op_mbind(void);
int op_migrate(void);
int op_policy(void);
int op_copy_in(void);
int op_copy_out(void);
int op_look(void);
int op_placed(void);
int op_common(void);
int op_fork(void);
void common_check(const char *at, unsigned long i);
extern int common_fd;

/* fuzz_disturb.c: the operations of another process */
int op_ahead(void);
int op_parameter(void);
int op_bad_parameter(void);
int op_unload(void);
int op_offline(void);
int op_online(void);
int op_fill_node(void);
int op_compact(void);
int op_merge(void);
void remember_settings(void);
void restore_settings(void);

/* fuzz_limits.c */
int op_limit(void);
int op_userfault(void);
void limit_ends(void);

/* fuzz_race.c */
int op_race(void);
void *other_thread(void *stop);

/* fuzz.c */
void one_operation(enum who who);

#endif
