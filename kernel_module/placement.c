// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Placement: memory on the wanted node, or a clear answer why not.
 *
 * Shared pages are allocated here.  Private pages are allocated by the core mm,
 * which asks hm_get_policy(); the first write to one passes through the fault
 * handler, where hm_check_private() sees the page before it is mapped.
 */
#include <linux/cpuset.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "internal.h"

/* By node: when reclaim last failed to make room there; 0 is never. */
static unsigned long *hm_full;

/* May this task have memory of the node at all? */
static bool hm_node_allowed(int nid)
{
	return node_state(nid, N_MEMORY) &&
	       node_isset(nid, cpuset_current_mems_allowed);
}

/* For so long the next node is taken without reclaiming this one again. */
#define HM_FULL_JIFFIES	(HZ / 10)

static bool hm_recently_full(int nid)
{
	unsigned long when = READ_ONCE(hm_full[nid]);

	return when && time_before(jiffies, when + HM_FULL_JIFFIES);
}

/*
 * A page of one node and no other.  __GFP_THISNODE never invokes the OOM killer.
 * Strict has no second choice and so lets reclaim try hard.  Else a single round
 * will do, and not for every page: where a node is full of memory that cannot be
 * reclaimed, each fallback would pay for it.  Nor where it is not for this task:
 * that says nothing about the node, and others may yet have room made there.
 */
static struct folio *hm_alloc_on_node(int nid, bool strict, gfp_t gfp)
{
	struct folio *folio;

	if (!node_state(nid, N_MEMORY))
		return NULL;
	gfp |= __GFP_THISNODE | __GFP_NOWARN;
	if (strict)
		return __folio_alloc(gfp | __GFP_RETRY_MAYFAIL, 0, nid, NULL);
	if (hm_recently_full(nid) || !hm_node_allowed(nid))
		return __folio_alloc(gfp & ~__GFP_DIRECT_RECLAIM, 0, nid, NULL);
	folio = __folio_alloc(gfp | __GFP_NORETRY, 0, nid, NULL);
	if (!folio)
		WRITE_ONCE(hm_full[nid], jiffies | 1);
	return folio;
}

/*
 * The nearest node that has memory to spare; or as the task's policy says, if
 * there is no node to be near to, or it is offline.
 */
static struct folio *hm_alloc_anywhere(int nid, gfp_t gfp)
{
	bool near = nid != NUMA_NO_NODE && node_state(nid, N_MEMORY);
	struct folio *folio = NULL;
	nodemask_t room, *nodes = hm_spared_nodes(&room);

	if (!near) {
		folio = folio_alloc(gfp, 0);
		if (!folio || !nodes || node_isset(folio_nid(folio), *nodes))
			return folio ? folio : ERR_PTR(-ENOMEM);
		folio_put(folio);
		nid = numa_mem_id();
	}
	if (nodes && nodes_empty(*nodes))
		return ERR_PTR(-EDQUOT);
	folio = __folio_alloc(gfp, 0, nid, nodes);
	return folio ? folio : ERR_PTR(-ENOMEM);
}

/**
 * hm_alloc_folio() - a zeroed page for the page cache
 * @want: where
 * @gfp: how to allocate
 *
 * The allocator itself keeps to the cpuset of the task.
 *
 * Return: the page, on the wanted node if strict; or an ERR_PTR(): -ENOSPC if
 * strict and the node has none to give, -EDQUOT if all nodes keep what they have
 * in reserve, -ENOMEM.
 */
struct folio *hm_alloc_folio(struct hm_want want, gfp_t gfp)
{
	struct folio *folio = NULL;

	gfp |= __GFP_ZERO;
	if (want.nid == NUMA_NO_NODE)
		return hm_alloc_anywhere(want.nid, gfp);
	if (node_state(want.nid, N_MEMORY) && hm_node_spares(want.nid, 1))
		folio = hm_alloc_on_node(want.nid, want.strict, gfp);
	if (folio)
		return folio;
	if (want.strict)
		return ERR_PTR(-ENOSPC);
	return hm_alloc_anywhere(want.nid, gfp);
}

/**
 * hm_alloc_huge() - a zeroed huge page for the page cache
 * @want: where
 * @gfp: how to allocate
 *
 * Return: a huge page on the wanted node, or NULL when it has none to give
 * without effort: small pages will do.
 */
struct folio *hm_alloc_huge(struct hm_want want, gfp_t gfp)
{
	/* As a whole, not page by page; unless the mm clears it anyway. */
	bool clear = !IS_ENABLED(CONFIG_HIGHMEM) && !want_init_on_alloc(0) &&
		     !want_init_on_free();
	struct folio *folio;

	if (!node_state(want.nid, N_MEMORY) ||
	    !hm_node_spares(want.nid, HM_HUGE_NR))
		return NULL;
	if (!clear)
		gfp |= __GFP_ZERO;
	folio = __folio_alloc(gfp | __GFP_COMP | __GFP_THISNODE | __GFP_NOWARN |
			      __GFP_NORETRY,
			      HM_HUGE_ORDER, want.nid, NULL);
	if (folio && clear)
		memset(page_address(folio_file_page(folio, 0)), 0,
		       HM_HUGE_NR << PAGE_SHIFT);
	return folio;
}

/* Pages to spare above the watermark: other CPUs allocate meanwhile. */
#define HM_ROOM_SLACK	256

/* Can the node give a page without scraping the barrel (and the OOM killer)? */
static bool hm_node_has_room(int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int i;

	for (i = 0; i <= ZONE_MOVABLE; i++) {
		struct zone *zone = &zones[i];

		if (managed_zone(zone) &&
		    zone_page_state(zone, NR_FREE_PAGES) >
		    min_wmark_pages(zone) + zone->lowmem_reserve[ZONE_MOVABLE] +
		    HM_ROOM_SLACK)
			return true;
	}
	return false;
}

/* Reclaim so many pages at first, and up to so many, to make room. */
#define HM_RECLAIM_FIRST	(4 * HM_ROOM_SLACK)
#define HM_RECLAIM_MOST		(64 * HM_ROOM_SLACK)

static DEFINE_MUTEX(hm_room_lock);	/* two would take from each other */

/*
 * Reclaim memory of the node until it has room: pages are taken, held and given
 * back together, for one alone would leave it at the watermark.  Some stay on
 * the lists of this CPU, which do not count: then more are taken.
 */
static bool hm_make_room(int nid)
{
	unsigned int i, n = HM_RECLAIM_FIRST;
	struct folio *folio, *next;
	LIST_HEAD(held);

	if (mutex_lock_killable(&hm_room_lock))
		return false;
	while (!hm_node_has_room(nid) && n <= HM_RECLAIM_MOST) {
		for (i = 0; i < n; i++) {
			folio = hm_alloc_on_node(nid, true,
						 GFP_HIGHUSER_MOVABLE);
			if (!folio)
				break;
			list_add(&folio->lru, &held);
		}
		list_for_each_entry_safe(folio, next, &held, lru) {
			list_del(&folio->lru);
			folio_put(folio);
		}
		if (i < n)
			break;
		n *= 2;
	}
	mutex_unlock(&hm_room_lock);
	return hm_node_has_room(nid);
}

/* Has another thread of this process made and mapped the page? */
static bool hm_mapped_meanwhile(struct vm_fault *vmf)
{
	struct page *page;

	if (vmf->vma->vm_mm != current->mm ||
	    get_user_pages_fast_only(vmf->address & PAGE_MASK, 1, FOLL_WRITE,
				     &page) != 1)
		return false;
	put_page(page);
	return true;
}

/**
 * hm_check_private() - judge where the core mm has put a private page
 * @hf: the region
 * @vmf: the fault, whose cow_page is about to be mapped for the first time
 *
 * Return: 0 if it is well placed or need not be; VM_FAULT_SIGBUS if strict and
 * the node cannot give a page; VM_FAULT_NOPAGE if it can, or if another thread
 * has had one there meanwhile: then the fault is taken again, and
 * hm_get_policy() sees the pattern, or the memory, of now.
 */
vm_fault_t hm_check_private(struct hm_file *hf, struct vm_fault *vmf)
{
	struct hm_want want = hm_wanted(hf, vmf->pgoff);

	if (want.nid != NUMA_NO_NODE &&
	    page_to_nid(vmf->cow_page) != want.nid) {
		if (!want.strict) {
			hm_count(hf, HM_PRIVATE_FALLBACKS, 1);
			goto placed;
		}
		if (!hm_node_allowed(want.nid))
			goto refuse;
		/* hm_get_policy() did not let the mm reclaim: now it is time. */
		if (hm_make_room(want.nid) || hm_mapped_meanwhile(vmf))
			return VM_FAULT_NOPAGE;
		goto refuse;
	}
placed:
	hm_count(hf, HM_PRIVATE, 1);
	return 0;
refuse:
	hm_count(hf, HM_REFUSED, 1);
	return VM_FAULT_SIGBUS;
}

#ifdef CONFIG_NUMA
static struct mempolicy *hm_bind;	/* by node: MPOL_BIND */
static struct mempolicy *hm_prefer;	/* by node: MPOL_PREFERRED */

/*
 * Tell the core mm where a private page should be.
 *
 * MPOL_BIND on a node that is full would wake the OOM killer, which may choose
 * an innocent process.  So a strict page is bound only while the node has room,
 * and hm_check_private() refuses what then lands elsewhere.
 *
 * The policy returned is of one node and needs no reference; NULL: the task's.
 * The interleave index, in kernels that ask for it, has no use here.
 */
struct mempolicy *hm_get_policy(HM_GET_POLICY_ARGS)
{
	struct hm_file *hf = vma->vm_file->private_data;
	pgoff_t index = vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
	struct hm_want want = hm_wanted(hf, index);

	if (want.nid == NUMA_NO_NODE)
		return NULL;
	if (want.strict) {
		if (hm_node_allowed(want.nid) && hm_node_has_room(want.nid))
			return &hm_bind[want.nid];
		hm_count(hf, HM_PRIVATE_RELAXED, 1);
	}
	return &hm_prefer[want.nid];
}

/**
 * hm_set_policy() - refuse mbind(2): it cannot override a pattern
 * @vma: the mapping
 * @policy: what was asked for
 *
 * Return: -EOPNOTSUPP.
 */
int hm_set_policy(struct vm_area_struct *vma, struct mempolicy *policy)
{
	return -EOPNOTSUPP;
}

static int __init hm_policies_init(void)
{
	unsigned int nid;

	hm_bind = kcalloc(nr_node_ids, sizeof(*hm_bind), GFP_KERNEL);
	hm_prefer = kcalloc(nr_node_ids, sizeof(*hm_prefer), GFP_KERNEL);
	if (!hm_bind || !hm_prefer) {
		kfree(hm_bind);
		kfree(hm_prefer);
		return -ENOMEM;
	}
	for (nid = 0; nid < nr_node_ids; nid++) {
		hm_mempolicy_init(&hm_bind[nid], MPOL_BIND, nid);
		hm_mempolicy_init(&hm_prefer[nid], MPOL_PREFERRED, nid);
	}
	return 0;
}

/*
 * No mapping is left, but get_mempolicy(2) holds a reference for a moment after
 * it has let go of the mapping.
 */
static void hm_policies_exit(void)
{
	unsigned int nid;

	for (nid = 0; nid < nr_node_ids; nid++)
		while (atomic_read(&hm_bind[nid].refcnt) > 1 ||
		       atomic_read(&hm_prefer[nid].refcnt) > 1)
			schedule_timeout_uninterruptible(1);
	kfree(hm_bind);
	kfree(hm_prefer);
}
#else
static int __init hm_policies_init(void)
{
	return 0;
}

static void hm_policies_exit(void)
{
}
#endif /* CONFIG_NUMA */

/**
 * hm_placement_init() - make what placement needs to know of each node
 *
 * Return: 0 or -ENOMEM.
 */
int __init hm_placement_init(void)
{
	int err;

	hm_full = kcalloc(nr_node_ids, sizeof(*hm_full), GFP_KERNEL);
	if (!hm_full)
		return -ENOMEM;
	err = hm_policies_init();
	if (err)
		kfree(hm_full);
	return err;
}

/**
 * hm_placement_exit() - free it
 */
void hm_placement_exit(void)
{
	hm_policies_exit();
	kfree(hm_full);
}
