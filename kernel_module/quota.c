// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What an administrator allows: shared pages in all, shared pages of a user, and
 * what stays free on each node.  Pages are charged to memory cgroups as well.
 *
 * A page is charged before it enters the page cache.  One that leaves it in a
 * truncation no longer knows its region, so a region remembers how many it was
 * charged for, and settles with those that it still has: hm_settle().
 */
#include <linux/capability.h>
#include <linux/cpuset.h>
#include <linux/cred.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/percpu_counter.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/uidgid.h>
#include <linux/vmstat.h>

#include "internal.h"

/* More would leave a node to nobody but the kernel. */
#define HM_MOST_PERCENT	90U

/**
 * struct hm_user - who has opened regions
 * @list: all of them, under hm_users_lock
 * @uid: the user
 * @regions: open regions, under hm_users_lock
 * @pages: shared pages, and those on their way
 */
struct hm_user {
	struct list_head list;
	kuid_t uid;
	unsigned long regions;
	struct percpu_counter pages;
};

static LIST_HEAD(hm_users);
static DEFINE_SPINLOCK(hm_users_lock);	/* hm_users, and regions of each */

static struct percpu_counter hm_pages;	/* of all users */

/* Exact where it matters: percpu_counter_compare() adds up all CPUs there. */
static bool hm_above(struct percpu_counter *pages, unsigned long mib)
{
	return mib && percpu_counter_compare(pages, (s64)min(mib, (unsigned long)
		LONG_MAX / SZ_1M) * (SZ_1M / PAGE_SIZE)) > 0;
}

static void hm_add_charge(struct hm_file *hf, long n)
{
	percpu_counter_add(&hm_pages, n);
	percpu_counter_add(&hf->user->pages, n);
}

/**
 * hm_uncharge() - pages were charged and have not come
 * @hf: the region
 * @n: how many
 */
void hm_uncharge(struct hm_file *hf, long n)
{
	/* Both at once for hm_settle(): between them a page would seem gone. */
	spin_lock(&hf->settling);
	atomic_long_sub(n, &hf->charged);
	atomic_long_sub(n, &hf->coming);
	spin_unlock(&hf->settling);
	hm_add_charge(hf, -n);
}

/**
 * hm_charge() - may so many shared pages come?
 * @hf: the region
 * @n: how many
 *
 * What is allowed is never exceeded.  Where several faults would do so at once,
 * each may be refused although one of them would have had room.
 *
 * Return: true if they may; hm_came() or hm_uncharge() must follow.
 */
bool hm_charge(struct hm_file *hf, long n)
{
	/* hm_settle() reads them in the other order. */
	atomic_long_add(n, &hf->coming);
	smp_mb__after_atomic();	/* pairs with hm_settle() */
	atomic_long_add(n, &hf->charged);
	hm_add_charge(hf, n);
	if (!hm_above(&hm_pages, READ_ONCE(hm_max_mib)) &&
	    (hf->unlimited ||
	     !hm_above(&hf->user->pages, READ_ONCE(hm_max_user_mib))))
		return true;
	hm_uncharge(hf, n);
	return false;
}

/**
 * hm_came() - pages that were charged are in the page cache
 * @hf: the region
 * @n: how many
 */
void hm_came(struct hm_file *hf, long n)
{
	smp_mb__before_atomic();	/* after they count in nrpages */
	atomic_long_sub(n, &hf->coming);
}

/**
 * hm_settle() - give back the charge of pages that have left
 * @hf: the region
 *
 * A page that comes meanwhile counts as there or as coming, or not as charged
 * yet: what is given back is never too much.  It may be too little by the pages
 * that come just now, until the region settles again.
 */
void hm_settle(struct hm_file *hf)
{
	long gone;

	spin_lock(&hf->settling);
	gone = atomic_long_read(&hf->charged);
	smp_rmb();	/* pairs with hm_charge() */
	gone -= atomic_long_read(&hf->coming);
	smp_rmb();	/* pairs with hm_came() */
	gone -= READ_ONCE(hf->inode->i_mapping->nrpages);
	if (gone > 0)
		atomic_long_sub(gone, &hf->charged);
	spin_unlock(&hf->settling);
	if (gone > 0)
		hm_add_charge(hf, -gone);
}

static long hm_free_pages(int nid, unsigned long *all)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	long n = 0;
	int i;

	*all = 0;
	for (i = 0; i < MAX_NR_ZONES; i++) {
		if (!managed_zone(&zones[i]))
			continue;
		n += zone_page_state(&zones[i], NR_FREE_PAGES);
		*all += zone_managed_pages(&zones[i]);
	}
	return n;
}

/**
 * hm_node_spares() - may regions take pages of a node?
 * @nid: the node, which has memory
 * @n: how many pages
 *
 * Return: true if as much as is reserved would stay free.
 */
bool hm_node_spares(int nid, long n)
{
	unsigned int percent = READ_ONCE(hm_reserve_percent);
	unsigned long all;
	long left;

	if (!percent)
		return true;
	left = hm_free_pages(nid, &all) - n;
	return left >= 0 &&
	       left >= all / 100 * min(percent, HM_MOST_PERCENT);
}

/**
 * hm_spared_nodes() - the nodes that regions may take a page of
 * @nodes: the mask
 *
 * Return: NULL if nothing is reserved, else @nodes.
 */
nodemask_t *hm_spared_nodes(nodemask_t *nodes)
{
	int nid;

	if (!READ_ONCE(hm_reserve_percent))
		return NULL;
	nodes_clear(*nodes);
	/* A mask outside of the task's cpuset would be dropped by the allocator. */
	for_each_node_state(nid, N_MEMORY)
		if (node_isset(nid, cpuset_current_mems_allowed) &&
		    hm_node_spares(nid, 1))
			node_set(nid, *nodes);
	return nodes;
}

static struct hm_user *hm_user_find(kuid_t uid)
{
	struct hm_user *user;

	list_for_each_entry(user, &hm_users, list)
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

static void hm_user_free(struct hm_user *user)
{
	percpu_counter_destroy(&user->pages);
	kfree(user);
}

/**
 * hm_quota_open() - a region is opened: by whom?
 * @hf: the region
 *
 * Return: 0 or -ENOMEM.
 */
int hm_quota_open(struct hm_file *hf)
{
	kuid_t uid = current_fsuid();
	struct hm_user *user, *new;

	spin_lock_init(&hf->settling);
	hf->unlimited = capable(CAP_SYS_RESOURCE);
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	if (percpu_counter_init(&new->pages, 0, GFP_KERNEL_ACCOUNT)) {
		kfree(new);
		return -ENOMEM;
	}
	new->uid = uid;

	spin_lock(&hm_users_lock);
	user = hm_user_find(uid);
	if (!user) {
		user = new;
		new = NULL;
		list_add(&user->list, &hm_users);
	}
	user->regions++;
	spin_unlock(&hm_users_lock);
	hf->user = user;
	if (new)
		hm_user_free(new);
	return 0;
}

/**
 * hm_quota_close() - a region is gone, and so are its pages
 * @hf: the region
 */
void hm_quota_close(struct hm_file *hf)
{
	struct hm_user *user = hf->user;

	hm_add_charge(hf, -atomic_long_read(&hf->charged));
	spin_lock(&hm_users_lock);
	if (--user->regions)
		user = NULL;
	else
		list_del(&user->list);
	spin_unlock(&hm_users_lock);
	if (user)
		hm_user_free(user);
}

/**
 * hm_users_show() - the users that have regions, and their shared pages
 * @buf: a page
 *
 * Return: the length of the text: "0=123 1000=246".
 */
ssize_t hm_users_show(char *buf)
{
	struct hm_user *user;
	int at = 0;

	spin_lock(&hm_users_lock);
	list_for_each_entry(user, &hm_users, list)
		at += sysfs_emit_at(buf, at, "%s%u=%lld", at ? " " : "",
				    from_kuid_munged(&init_user_ns, user->uid),
				    percpu_counter_sum_positive(&user->pages));
	spin_unlock(&hm_users_lock);
	return at + sysfs_emit_at(buf, at, "\n");
}

/**
 * hm_quota_init() - make the counter of all pages
 *
 * Return: 0 or -ENOMEM.
 */
int __init hm_quota_init(void)
{
	return percpu_counter_init(&hm_pages, 0, GFP_KERNEL);
}

/**
 * hm_quota_exit() - free it
 */
void hm_quota_exit(void)
{
	percpu_counter_destroy(&hm_pages);
}
