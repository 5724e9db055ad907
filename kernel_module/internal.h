/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef HM_INTERNAL_H
#define HM_INTERNAL_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uio.h>

#include "compat.h"
#include "hybridmem.h"

/* The page cache, and unmap_mapping_range(), count bytes in a loff_t. */
#define HM_MAX_SIZE	(MAX_LFS_FILESIZE & PAGE_MASK)
#define HM_MAX_PAGES	((pgoff_t)(HM_MAX_SIZE >> PAGE_SHIFT))

/**
 * struct hm_pattern - a pattern and how to apply it
 * @rcu: to free it when the last fault has read it
 * @len: entries; 0 is no pattern: the configuration alone
 * @shift: log2 of the pages in a granule
 * @strict: no other node will do
 * @sparse: a private page that is only read is nobody's page of zeroes
 * @no_ahead: a fault brings its own page and no other
 * @nodes: the nodes, in order
 *
 * Never changed once a file points to it.
 */
struct hm_pattern {
	struct rcu_head rcu;
	u32 len;
	u8 shift;
	bool strict;
	bool sparse;
	bool no_ahead;
	u16 nodes[];
};

/**
 * enum hm_event - what is counted for a region, and for the module
 * @HM_FALLBACKS: shared pages allocated, but not on the wanted node
 * @HM_REFUSED: faults answered with SIGBUS because of HYBRIDMEM_F_STRICT
 * @HM_LIMITED: shared faults answered with SIGBUS because of what an
 *	administrator allows
 * @HM_MIGRATED: shared pages moved to another node by the kernel
 * @HM_HUGE: huge pages among the shared pages allocated, each counted once
 * @HM_LARGE: smaller folios of several pages among them, each counted once
 * @HM_AHEAD: shared pages brought by a fault of a page before them
 * @HM_PRIVATE: pages of private mappings placed at their first write
 * @HM_PRIVATE_FALLBACKS: those of them that are not on the wanted node
 * @HM_PRIVATE_RELAXED: times that a strict private page was allowed anywhere
 *	because its node was full: an upper bound of the copies (by a write after
 *	a read or a fork) that may have been misplaced
 * @HM_NR_EVENTS: their number
 */
enum hm_event {
	HM_FALLBACKS,
	HM_REFUSED,
	HM_LIMITED,
	HM_MIGRATED,
	HM_HUGE,
	HM_LARGE,
	HM_AHEAD,
	HM_PRIVATE,
	HM_PRIVATE_FALLBACKS,
	HM_PRIVATE_RELAXED,
	HM_NR_EVENTS
};

/* The last of them are those that faults of private pages count. */
#define HM_NR_SHARED_EVENTS	HM_PRIVATE
#define HM_NR_PRIVATE_EVENTS	(HM_NR_EVENTS - HM_PRIVATE)

/**
 * struct hm_private_events - what a CPU has counted of a region's private pages
 * @n: by &enum hm_event, from %HM_PRIVATE on
 */
struct hm_private_events {
	long n[HM_NR_PRIVATE_EVENTS];
};

/**
 * struct hm_file - one region: what an open file of the device owns
 * @lock: serialises writers of @pattern; taken with no other lock held and
 *	never by a fault
 * @pattern: the current pattern, never NULL; read under RCU
 * @inode: its page cache holds the shared pages
 * @user: who has opened it
 * @unlimited: its user may have more than users may
 * @settling: makes hm_settle() and hm_uncharge() exclude each other
 * @charged: shared pages charged to its user
 * @coming: those of them that are on their way into the page cache
 * @private_events: what happened to private pages, per CPU
 * @events: what happened to shared ones, by &enum hm_event
 * @allocated: shared pages ever allocated, per node
 */
struct hm_file {
	struct mutex lock;	/* writers of pattern */
	struct hm_pattern __rcu *pattern;
	struct inode *inode;
	struct hm_user *user;
	bool unlimited;
	spinlock_t settling;	/* charged and coming, in hm_settle() */
	atomic_long_t charged;
	atomic_long_t coming;
	struct hm_private_events __percpu *private_events;
	atomic_long_t events[HM_NR_SHARED_EVENTS];
	atomic_long_t allocated[];
};

/**
 * struct hm_want - where a page should be
 * @nid: the node, or NUMA_NO_NODE: the task's own policy decides
 * @shift: log2 of the pages in the granule
 * @strict: no other node will do
 * @sparse: a private page that is only read is nobody's page of zeroes
 * @no_ahead: a fault brings its own page and no other
 */
struct hm_want {
	int nid;
	u8 shift;
	bool strict;
	bool sparse;
	bool no_ahead;
};

/* main.c */
extern bool hm_strict_default;
extern bool hm_use_huge;
/* A window, in pages; what the core mm maps around a read fault at most. */
#define HM_WINDOW	16U
extern unsigned int hm_ahead;
extern unsigned int hm_max_pattern;
extern unsigned long hm_max_mib;
extern unsigned long hm_max_user_mib;
extern unsigned int hm_reserve_percent;

/* pattern.c */
struct hm_pattern *hm_pattern_alloc(size_t len);
ssize_t hm_pattern_write(struct hm_file *hf, const char __user *buf, size_t len);
ssize_t hm_pattern_write_iter(struct hm_file *hf, struct iov_iter *from);
ssize_t hm_pattern_read(struct hm_file *hf, char __user *buf, size_t len,
			loff_t *ppos);
long hm_pattern_set(struct hm_file *hf, void __user *arg);
long hm_pattern_get(struct hm_file *hf, void __user *arg);
long hm_config_set(struct hm_file *hf, void __user *arg, size_t size);
long hm_config_get(struct hm_file *hf, void __user *arg, size_t size);
struct hm_want hm_wanted(struct hm_file *hf, pgoff_t index);
unsigned int hm_wanted_ahead(struct hm_file *hf, pgoff_t index, int *nids,
			     unsigned int n);

/* placement.c */
struct folio *hm_alloc_folio(struct hm_want want, gfp_t gfp);
struct folio *hm_alloc_huge(struct hm_want want, gfp_t gfp);
vm_fault_t hm_check_private(struct hm_file *hf, struct vm_fault *vmf);
#ifdef CONFIG_NUMA
struct mempolicy *hm_get_policy(HM_GET_POLICY_ARGS);
int hm_set_policy(struct vm_area_struct *vma, struct mempolicy *policy);
#endif
int hm_placement_init(void);
void hm_placement_exit(void);

/* mapping.c */
extern const struct vm_operations_struct hm_vm_ops;
int hm_insert(struct hm_file *hf, struct folio *folio, pgoff_t index,
	      gfp_t gfp);
int hm_insert_counted(struct hm_file *hf, struct folio *folio, pgoff_t index,
		      gfp_t gfp);
bool hm_has_pages(struct hm_file *hf, pgoff_t index, unsigned long n);
struct inode *hm_inode_alloc(struct hm_file *hf);
long hm_punch(struct hm_file *hf, void __user *arg, size_t size);
int hm_mapping_init(void);
void hm_mapping_exit(void);

/* ahead.c */
unsigned int hm_reach(struct hm_file *hf, struct vm_fault *vmf,
		      struct hm_want want);
struct folio *hm_add_large(struct hm_file *hf, struct vm_fault *vmf,
			   struct hm_want want, unsigned int reach);
unsigned int hm_populate_ahead(struct hm_file *hf, struct vm_fault *vmf,
			       pgoff_t first, unsigned int n);

/* quota.c */
bool hm_charge(struct hm_file *hf, long n);
void hm_uncharge(struct hm_file *hf, long n);
void hm_came(struct hm_file *hf, long n);
void hm_settle(struct hm_file *hf);
bool hm_node_spares(int nid, long n);
nodemask_t *hm_spared_nodes(nodemask_t *nodes);
int hm_quota_open(struct hm_file *hf);
void hm_quota_close(struct hm_file *hf);
ssize_t hm_users_show(char *buf);
int hm_quota_init(void);
void hm_quota_exit(void);

/* stats.c */
extern const struct attribute_group *hm_stats_groups[];
void hm_count(struct hm_file *hf, enum hm_event event, long n);
void hm_count_allocated(struct hm_file *hf, int nid, long n);
void hm_count_freed(struct folio *folio);
void hm_count_moved(struct hm_file *hf, struct folio *from, struct folio *to);
void hm_count_region(int n);
int hm_events_alloc(struct hm_file *hf);
void hm_events_free(struct hm_file *hf);
void hm_show_fdinfo(struct seq_file *m, struct file *file);
int hm_stats_init(void);
void hm_stats_exit(void);

#endif /* HM_INTERNAL_H */
